"""One large JSON object, an entry at a time: `fdf_metainfo.json` is gigabytes, and a parsed copy several times that."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from cameraborn.errors import ManifestError

CHUNK = 1 << 20  # characters read at a time
LARGEST = 1 << 25  # characters of one entry
_NAME = re.compile(r'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')
_END = re.compile(r"\s*[,}]")
_DECODER = json.JSONDecoder()


def stream_object(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the JSON object in a file; one chunk of it is in memory.

    Raises:
        ManifestError: the file holds no JSON object, is broken or ends early; the message names the last good entry.
    """
    last = ""
    with file.open(encoding="utf-8-sig", errors="replace") as source:
        text = source.read(CHUNK).lstrip()
        if not text.startswith("{"):
            raise ManifestError(f"{file}: not a JSON object: give the file that came with the data set")
        text = text[1:]
        while True:
            last, text = yield from _whole_entries(text, last)
            chunk = source.read(CHUNK)
            if not chunk or len(text) > LARGEST:
                break
            text += chunk
    if text.strip(" \t\r\n,") != "}":
        where = f"after entry {last}" if last else "in its first entry"
        raise ManifestError(f"{file}: broken or cut off {where}: copy or download it again")


def _whole_entries(text: str, last: str) -> Generator[tuple[str, Any], None, tuple[str, str]]:
    """Yield the entries that lie whole in `text`; return the name of the last one, and what is left."""
    at = 0
    while name := _NAME.match(text, at):
        try:
            key = json.loads(name[1])
            value, end = _DECODER.raw_decode(text, name.end())
        except (json.JSONDecodeError, RecursionError):
            break
        if not _END.match(text, end):  # a number may go on
            break
        last, at = name[1], end
        yield key, value
    return last, text[at:]
