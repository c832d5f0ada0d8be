"""Write docs/cli.md from the --help of every verb, and docs/rows.schema.json: python tools/write_cli_docs.py"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cameraborn.cli import app
from cameraborn.detect.rows import schema

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 80  # whatever the terminal's
INTRODUCTION = """# The command line

Written by `python tools/write_cli_docs.py` from `--help`; do not edit.
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(sections(typer.main.get_command(app), None, "cameraborn"))


def sections(
    command: Any,  # noqa: ANN401 (its class is not public)
    parent: typer.Context | None,
    name: str,
) -> Iterator[str]:
    """A section for a command, then those of the commands inside it, in the order of its help."""
    context = typer.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=WIDTH,
        color=False,
        help_option_names=["-h", "--help"],
    )
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    for verb in command.list_commands(context) if hasattr(command, "commands") else ():
        yield from sections(command.commands[verb], context, verb)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PAGE.with_name("rows.schema.json").write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
