"""TOML that people write: recipes, configurations of benchmarks, defaults of options."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from cameraborn.errors import CamerabornError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_toml(path: Path, error_type: type[CamerabornError]) -> dict[str, Any]:
    """The tables of a file, in UTF-8 with or without a mark at its beginning, as editors on Windows write it.

    Args:
        path: the file.
        error_type: what is raised.

    Raises:
        CamerabornError: it cannot be read, or is not TOML; of the given type.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise error_type(f"{path}: cannot be read ({error.strerror}): check the path") from error
    if data.startswith(_UTF16):
        raise error_type(f"{path}: is UTF-16, and TOML is UTF-8: save it so")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise error_type(f"{path}: line {line} is not UTF-8: save the file so") from error
    except tomllib.TOMLDecodeError as error:
        raise error_type(f"{path}: not valid TOML ({error}): fix the line") from error
