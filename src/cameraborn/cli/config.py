"""Defaults of options from a file: TOML, a table a verb, read by the command line's own means (`default_map`).

    [score]
    false-alarm = 0.01
    [data.import]
    jobs = 2

The command line comes before an environment variable (CAMERABORN_SCORE_FALSE_ALARM), that before the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from cameraborn.cli.failures import say
from cameraborn.errors import CamerabornError
from cameraborn.files import read_by_all
from cameraborn.photo.sniff import refuse_special
from cameraborn.registry import Registry


def default_config() -> Path:
    """Where the file lies if no other is named: in the user's folder of settings."""
    return Path(typer.get_app_dir("cameraborn")) / "config.toml"


def read_defaults(path: Path, application: Callable[[], Any], *, required: bool) -> dict[str, Any]:
    """The defaults of each verb's options, by the options' own names.

    Args:
        path: the file.
        application: makes the application with every verb; only a file that is there needs it.
        required: a missing file is an error.

    Raises:
        CamerabornError: it cannot be read, or names a verb or an option that does not exist.
    """
    if not required:
        refuse_special(path, CamerabornError)
        if not (os.access(path, os.R_OK) and path.is_file()):
            return {}
    from cameraborn.toml import read_toml  # most people have no such file, and need not wait for this

    found = read_toml(path, CamerabornError)
    read_by_all(path)
    say(f"{path}: defaults are taken from here")
    return _defaults(path, found, application())


def _defaults(path: Path, table: dict[str, Any], command: Any) -> dict[str, Any]:  # noqa: ANN401
    """A table of a group has verbs, that of a verb has options."""
    if hasattr(command, "commands"):
        verbs = _known(path, "verb", command.commands)
        for name, inside in table.items():
            if not isinstance(inside, dict):
                raise CamerabornError(
                    f"{path}: {name}: stands outside the tables: put it into one, such as [score]"
                )
        return {name: _defaults(path, inside, verbs[name]) for name, inside in table.items()}
    options = {
        spelling.lstrip("-"): parameter.name
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.expose_value
        for spelling in parameter.opts
    }
    names = _known(path, f"option of {command.name}", options)
    return {names[name.replace("_", "-")]: value for name, value in table.items()}


def _known(path: Path, what: str, things: dict[str, Any]) -> Registry[Any]:
    registry: Registry[Any] = Registry(what, lambda text: CamerabornError(f"{path}: {text}"))
    for name, thing in things.items():
        registry.add(name, thing)
    return registry
