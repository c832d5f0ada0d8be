"""What an adapter gives: pictures, with all that their data set says of them, and nothing yet of what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from cameraborn.data.invalid import first_problem
from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError
from cameraborn.photo import files
from cameraborn.photo.sniff import Census, is_regular

_NOT_HASHED = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One picture that a data set lists.

    Attributes:
        row: its row as far as the layout knows it; the path is absolute, the hash not yet that of the file.
        read: the picture is opened: it is left out if it is broken, and its own EXIF goes into the row.
    """

    row: Row
    read: bool = False


@dataclass(frozen=True)
class LeftOut:
    """One picture that is not imported, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Options:
    """What a user may say of a layout.

    Attributes:
        exif: a table of EXIF, or a folder with a JSON file for each photograph.
        group: what is one group in a folder of photographs: each sub-folder, or each photograph.
        census: counts what folders hold besides pictures.
    """

    exif: Path | None = None
    group: Literal["folder", "photo"] = "folder"
    census: Census | None = None


def standing(path: Path) -> Path:
    """The path from the root: a manifest reads a relative one from its own folder, not from where the import was run.

    Links are followed only where `..` asks for the folder around them.
    """
    return path.resolve() if ".." in path.parts else path.absolute()


def entry(path: Path, *, read: bool = False, **fields: Any) -> Entry | LeftOut:  # noqa: ANN401 (pydantic checks them)
    """An entry for a file that was found; left out if its name is not text, or a field has no meaning."""
    path = standing(path)
    try:
        "".join([str(path), *(value for value in fields.values() if isinstance(value, str))]).encode()
    except UnicodeEncodeError:
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        return LeftOut(name, f"{name}: the name is not UTF-8, which manifests are: rename the file")
    try:
        return Entry(Row(path=str(path), sha256=_NOT_HASHED, **fields), read)
    except ValidationError as error:
        return LeftOut(str(path), f"{path}: {first_problem(error, Row, 'row')}")


def listed_entry(where: str, path: Path, fields: dict[str, Any]) -> Entry:
    """An entry for a file that a list names; `where` is the list and line.

    Raises:
        ManifestError: the file is missing, or a field has no meaning.
    """
    if not is_regular(path):  # a name may be too long for any file
        raise ManifestError(f"{where}: {path} is missing: restore the file or delete the line")
    path = standing(path)
    try:
        return Entry(Row.model_validate(fields | {"path": str(path), "sha256": _NOT_HASHED}))
    except ValidationError as error:
        raise ManifestError(f"{where}: {first_problem(error, Row, 'row')}: fix or delete the line") from error


def pictures_in(folder: Path, census: Census | None = None) -> Iterator[Path]:
    """Pictures under a folder, as `photo.files` finds them.

    Raises:
        ManifestError: there is no such folder, or one in it cannot be opened.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder: give a folder of pictures")

    for path in map(Path, files.pictures_in(str(folder.absolute()), census)):
        if path.is_dir():  # passed on unopened
            raise ManifestError(f"{path}: cannot be opened: check its permissions")
        yield path
