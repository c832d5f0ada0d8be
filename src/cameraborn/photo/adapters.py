"""One generator function for each data-set layout: a folder on disk in, manifest rows out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cameraborn.errors import ManifestError, PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.exif import Exif
from cameraborn.photo.files import pictures_in
from cameraborn.photo.manifest import Row, sha256_of


def import_folder(folder: Path) -> Iterator[Row]:
    """Photographs in a folder, recursively; EXIF is read from each file, the group is its folder.

    A file that cannot be read is left out; `verify` and `score` say why.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder: give a folder of pictures")
    for path in map(Path, pictures_in(str(folder))):
        try:
            picture = open_picture(path)
        except PictureError:
            continue
        yield Row(
            path=str(path.resolve()),
            sha256=picture.sha256 or sha256_of(path),
            source=folder.name,
            group=str(path.parent.relative_to(folder)),
            exif=picture.exif.to_mapping(),
        )


def import_rows(file: Path) -> Iterator[Row]:
    """A JSON Lines file whose rows name files beside it and carry our field names, with others that are ignored.

    A `track` (a test set's name) becomes the kind. EXIF values go through the same validation as those read from files,
    so a `0` or a text stays missing.
    """
    if not file.is_file():
        raise ManifestError(f"{file}: no such file: give a JSON Lines file of rows with a 'path'")
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _row(file, number, line)


def _row(file: Path, number: int, line: bytes) -> Row:
    where = f"{file}, line {number}"
    try:
        fields: Any = json.loads(line)
    except ValueError as error:  # not JSON, or not UTF-8
        raise ManifestError(f"{where}: not JSON ({error}): mend or delete the line") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
        raise ManifestError(f"{where}: the row has no 'path': mend or delete the line")
    exif = fields.get("exif") or {}
    if not isinstance(exif, dict):
        raise ManifestError(f"{where}: exif: not a mapping of tags: mend or delete the line")
    path = (file.parent / fields["path"]).resolve()
    if not path.is_file():
        raise ManifestError(f"{where}: {path} is missing: restore the file or delete the line")
    known = {name: value for name, value in fields.items() if name in Row.model_fields and value is not None}
    if "track" in fields and "kind" not in known:
        known["kind"] = fields["track"]
    known |= {
        "path": str(path),
        "sha256": sha256_of(path),
        "exif": Exif.from_mapping(exif).to_mapping(),
    }
    try:
        return Row.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        raise ManifestError(f"{where}: {first['loc'][0]}: {first['msg']}: mend or delete the line") from error


ADAPTERS: dict[str, Callable[[Path], Iterator[Row]]] = {"folder": import_folder, "rows": import_rows}
