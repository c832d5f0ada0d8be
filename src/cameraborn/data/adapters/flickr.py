"""`flickr`: photographs named by their Flickr id, and their EXIF from a table or from a file each.

The table is YFCC100M's: a line a photograph, its id, a tab, and `Key:Value` pairs with commas between, URL-encoded.
The files are those that EXIF-as-Language and AIGFD-EXIF made of it: `<id>.json` with an object `EXIF` of names and
texts.
"""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote, unquote_plus

from cameraborn.data.adapters.entry import Entry, LeftOut, Options, entry, pictures_in
from cameraborn.errors import ManifestError, no_file
from cameraborn.photo.exif import Exif
from cameraborn.photo.exif_text import tags_of_texts
from cameraborn.photo.sniff import is_regular

Tags = dict[str, float | int | str]
_DIRECTORIES = frozenset(("Exif IFD0", "Exif SubIFD"))  # the others are thumbnails and makers' notes


def flickr_entries(source: Path, options: Options) -> Iterator[Entry | LeftOut]:
    """Photographs `<photo id>.jpg` (or `<photo id>_anything.jpg`) in a folder; a photograph is a group.

    The EXIF is what `options.exif` says of the photograph, or else what its file carries.
    """
    listed = None
    if options.exif is not None:
        listed = exif_of_photographs(options.exif, {photo_id(path) for path in pictures_in(source)})
    for path in pictures_in(source, options.census):
        photo = photo_id(path)
        try:
            tags = listed.get(photo) if listed else None
        except ManifestError as error:
            yield LeftOut(str(path), str(error))
            continue
        yield entry(path, read=tags is None, source="flickr", group=photo, exif=tags or {})


def photo_id(path: Path) -> str:
    """The photograph's id in a file's name."""
    return path.stem.partition("_")[0]


class ExifFolder:
    """EXIF by photograph, from a folder of `<photo id>.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, photo: str) -> Tags | None:
        """The tags of a photograph, None without a file. Raises ManifestError if its file is broken."""
        file = self.folder / f"{photo}.json"
        if not photo.isalnum() or not is_regular(file):  # ids come from files: none may lead elsewhere
            return None
        try:
            found: Any = json.loads(file.read_bytes())
            texts = found.get("EXIF", found)
            return Exif.from_mapping(tags_of_texts(texts)).to_mapping()
        except (ValueError, AttributeError, RecursionError) as error:
            raise ManifestError(f"{file}: not a JSON object of EXIF ({error}): fix or delete it") from error


class ExifTable:
    """EXIF by photograph, from a table; only that of the photographs asked for is kept, some 200 bytes each."""

    def __init__(self, file: Path, wanted: Container[str]) -> None:
        self._found: dict[str, bytes] = {}
        lines = pairs = 0
        try:
            with _opened(file) as table:
                for lines, line in enumerate(table, 1):  # noqa: B007 (counted below)
                    photo, tab, text = line.rstrip("\r\n").partition("\t")
                    pairs += bool(tab)
                    if photo in wanted:
                        tags = Exif.from_mapping(tags_of_texts(_texts(text))).to_mapping()
                        self._found[photo] = json.dumps(tags).encode()
        except (OSError, EOFError) as error:
            raise ManifestError(f"{file}: cannot be read ({error}): copy or download it again") from error
        if lines and not pairs:
            raise ManifestError(
                f"{file}: not a table of EXIF: its lines are a photograph's id, a tab, and Key:Value pairs"
            )

    def get(self, photo: str) -> Tags | None:
        """The tags of a photograph, None if the table does not list it."""
        found = self._found.get(photo)
        return None if found is None else json.loads(found)


def exif_of_photographs(place: Path, wanted: Container[str]) -> ExifFolder | ExifTable:
    """EXIF of the photographs `wanted`, from a folder or a table (which may be `.bz2` or `.gz`).

    Raises:
        ManifestError: it is neither, or cannot be read.
    """
    if place.is_dir():
        return ExifFolder(place)
    if place.is_file():
        return ExifTable(place, wanted)
    raise ManifestError(
        no_file(place, "file or folder", "give a table of EXIF, or a folder of <photo id>.json")
    )


def _opened(file: Path) -> TextIO:
    opener: Any = {".bz2": bz2.open, ".gz": gzip.open}.get(file.suffix, open)
    opened: TextIO = opener(file, "rt", encoding="utf-8", errors="replace", newline="\n")
    return opened


def _texts(pairs: str) -> dict[str, object]:
    """Names and texts of one line; the table's makers encoded some values twice."""
    found: dict[str, object] = {}
    for pair in pairs.split(","):
        key, colon, value = pair.partition(":")
        directory, dot, name = _decoded(key).partition(".")
        if colon and (not dot or directory in _DIRECTORIES):
            found.setdefault(name if dot else directory, _decoded(value))
    return found


def _decoded(text: str) -> str:
    return unquote_plus(unquote(text))
