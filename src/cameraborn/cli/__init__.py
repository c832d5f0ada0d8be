"""The command line: one verb a function, errors in one line, exit codes as documented."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from cameraborn import __version__
from cameraborn.cli import (  # noqa: F401 (each adds its verbs to the application)
    audit,
    bench,
    data,
    explain,
    info,
    manipulate,
    model,
    provenance,
    reconstruct,
    score,
    serve,
    train,
    weights,
)
from cameraborn.cli.common import Option, app
from cameraborn.cli.config import default_config, read_defaults
from cameraborn.cli.failures import EXIT_USAGE, complain, in_one_line, terminate
from cameraborn.cli.output import ENCODING_ERRORS

__all__ = ["app", "main"]


def _version(asked: bool) -> None:
    if asked:
        print(f"cameraborn {__version__}")
        raise typer.Exit


def _config(context: typer.Context, path: Path | None) -> Path | None:
    if not context.resilient_parsing:
        context.default_map = read_defaults(
            path or default_config(), context.command, required=path is not None
        )
    return path


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    config: Annotated[
        Path | None,
        Option(
            "--config",
            envvar="CAMERABORN_CONFIG",
            callback=_config,
            is_eager=True,
            dir_okay=False,
            help="File of defaults (TOML): a table a verb, such as [score], with its options.",
            show_default="config.toml in the user's folder of settings, if there is one",
        ),
    ] = None,
) -> None:
    pass


def main() -> None:
    """The entry point."""
    if sys.stderr is None:  # closed: whatever is said goes nowhere, and not among the rows
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (until the end)
    if sys.stdout is None:
        complain("cameraborn: standard output is closed: open it, if only as '> /dev/null'")
        sys.exit(EXIT_USAGE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is not for a screen is UTF-8 everywhere; no file name may crash either.
        sys.stdout.reconfigure(
            encoding=None if sys.stdout.isatty() else "utf-8", errors=ENCODING_ERRORS, line_buffering=True
        )
    signal.signal(signal.SIGTERM, terminate)
    with in_one_line():
        app()
