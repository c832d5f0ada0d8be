"""The command line: one verb a function, errors in one line, exit codes as documented."""

from __future__ import annotations

import io
import signal
import sys
from typing import Annotated

import typer

from cameraborn import __version__
from cameraborn.cli import (  # noqa: F401 (each adds its verbs to the application)
    audit,
    bench,
    data,
    explain,
    manipulate,
    model,
    reconstruct,
    score,
    stats,
    train,
    weights,
)
from cameraborn.cli.common import Option, app, interrupted, terminate
from cameraborn.cli.output import ENCODING_ERRORS

__all__ = ["app", "main"]


def _version(asked: bool) -> None:
    if asked:
        print(f"cameraborn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is not for a screen is UTF-8 everywhere; no file name may crash either.
        sys.stdout.reconfigure(
            encoding=None if sys.stdout.isatty() else "utf-8", errors=ENCODING_ERRORS, line_buffering=True
        )
    signal.signal(signal.SIGTERM, terminate)
    try:
        app()
    except KeyboardInterrupt as error:
        interrupted(error)
