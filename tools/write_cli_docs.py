"""Write docs/cli.md from the --help of every verb, and the JSON Schemas: python tools/write_cli_docs.py"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from cameraborn.cli import app
from cameraborn.data.manifest import Row
from cameraborn.detect.rows import schema
from cameraborn.detect.schema import BundleInfo

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
SCHEMAS: dict[
    str, Callable[[], Mapping[str, Any]]
] = {  # of what is read and written, by the file that holds each
    "rows.schema.json": schema,
    "manifest.schema.json": Row.model_json_schema,
    "bundle.schema.json": BundleInfo.model_json_schema,
}
WIDTH = 80  # whatever the terminal's
INTRODUCTION = """# The command line

Written by `python tools/write_cli_docs.py` from `--help`; do not edit.
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(sections(typer.main.get_command(app), None, "cameraborn"))


def schema_text(made: Mapping[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


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
    for name, made in SCHEMAS.items():
        PAGE.with_name(name).write_text(schema_text(made()), encoding="utf-8")
