"""`rows`: JSON Lines beside the files that they name, with our names for fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cameraborn.data.adapters.entry import Entry, Options, listed_entry
from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError, no_file
from cameraborn.photo.exif import Exif


def rows_entries(source: Path, options: Options) -> Iterator[Entry]:
    """Rows that carry our field names; others are ignored. A `track` (a test set's name) becomes the kind.

    EXIF values go through the same validation as those read from files, so a `0` or a text stays missing.

    Raises:
        ManifestError: a row is broken or its file is missing; the message names the line.
    """
    if not source.is_file():
        raise ManifestError(no_file(source, "file", "give a JSON Lines file of rows with a 'path'"))
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _entry(source, f"{source}, line {number}", line)


def _entry(file: Path, where: str, line: bytes) -> Entry:
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise ManifestError(f"{where}: not JSON ({error}): fix or delete the line") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
        raise ManifestError(f"{where}: the row has no 'path': fix or delete the line")
    exif = fields.get("exif") or {}
    if not isinstance(exif, dict):
        raise ManifestError(f"{where}: exif: not a mapping of tags: fix or delete the line")
    known = {name: value for name, value in fields.items() if name in Row.model_fields and value is not None}
    if "track" in fields and "kind" not in known:
        known["kind"] = fields["track"]
    known["exif"] = Exif.from_mapping(exif).to_mapping()
    return listed_entry(where, file.parent / fields["path"], known)
