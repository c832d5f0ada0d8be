"""The command line: one verb a function, errors in one line, exit codes as documented."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cameraborn import __version__
from cameraborn.cli.common import VERBS, Option
from cameraborn.cli.common import app as _app
from cameraborn.cli.config import default_config, read_defaults
from cameraborn.cli.failures import EXIT_USAGE, complain, in_one_line, terminate
from cameraborn.cli.output import ENCODING_ERRORS

if TYPE_CHECKING:
    from cameraborn.cli.common import app

__all__ = ["app", "main"]


def _define(verbs: Iterable[str]) -> None:
    """Import the files that define some verbs: whoever asks for one does not wait for the others."""
    for verb in verbs:
        for file in VERBS[verb]:
            import_module(f"{__name__}.{file}")


def __getattr__(name: str) -> object:
    """`app`, the application with every verb."""
    if name != "app":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    _define(VERBS)
    return _app


def _every_verb() -> Any:  # noqa: ANN401 (its class is not public)
    _define(VERBS)
    return typer.main.get_command(_app)


def _version(asked: bool) -> None:
    if asked:
        print(f"cameraborn {__version__}")
        raise typer.Exit


def _config(context: typer.Context, path: Path | None) -> Path | None:
    if not context.resilient_parsing:
        context.default_map = read_defaults(path or default_config(), _every_verb, required=path is not None)
    return path


@_app.callback()
def _options(
    show_version: Annotated[  # not called `version`, as CAMERABORN_VERSION may well be in an environment
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
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of folders that it keeps no fonts in
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    with in_one_line():
        _define([first] if first in VERBS else VERBS)
        _app()
