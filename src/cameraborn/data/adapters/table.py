"""`csv`: a table with a column `path`, and as many of ours as there are."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cameraborn.data.adapters.entry import Entry, Options, listed_entry
from cameraborn.errors import ManifestError, no_file
from cameraborn.photo.exif import TAGS, Exif
from cameraborn.photo.sniff import in_utf_16, is_regular

_TEXTS = ("split", "generator", "source", "group", "kind", "manipulation", "licence")
_LABELS = {
    **dict.fromkeys(("photo", "real", "genuine", "nature", "0"), "photo"),
    **dict.fromkeys(("generated", "fake", "ai", "synthetic", "1"), "generated"),
}
_YES_NO = {**dict.fromkeys(("true", "yes", "1"), True), **dict.fromkeys(("false", "no", "0", ""), False)}


def csv_entries(source: Path, options: Options) -> Iterator[Entry]:
    """Rows of a CSV file with a header; paths are relative to it; columns that we do not know are ignored.

    Headings count in any case, and paths may be written as on Windows.

    Columns: `path`, `label` (photo, real, 0; generated, fake, 1), `split`, `generator`, `source`, `group`, `kind`,
    `manipulation`, `licence`, `research_only` (true, false), `box` (four numbers with spaces between), and the tags of
    `photo.exif.Exif`, as numbers or as EXIF tools write them. Commas, semicolons or tabs divide the columns.

    Raises:
        ManifestError: a row is broken or its file is missing; the message names the line.
    """
    if not source.is_file():
        raise ManifestError(no_file(source, "file", "give a CSV file with a column 'path'"))
    with source.open("rb") as start:
        if in_utf_16(start.read(2)):
            raise ManifestError(f"{source}: a text in UTF-16: save it as UTF-8")
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=header.count)
            table = csv.DictReader(file, delimiter=delimiter)
            table.fieldnames = [name.strip().lower() for name in table.fieldnames or ()]
            if "path" not in table.fieldnames:
                raise ManifestError(f"{source}: no column 'path': name it in the first line")
            for cells in table:
                yield _entry(source, f"{source}, line {table.line_num}", cells)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestError(f"{source}: not a CSV file in UTF-8 ({error}): save it as one") from error


def _entry(file: Path, where: str, cells: Mapping[str | None, Any]) -> Entry:
    values = {name: value.strip() for name, value in cells.items() if name and isinstance(value, str)}
    if not values.get("path"):
        raise ManifestError(f"{where}: the path is empty: fix or delete the line")
    fields: dict[str, Any] = {name: values[name] for name in _TEXTS if values.get(name)}
    label = values.get("label", "").lower()
    fields["label"] = _LABELS.get(label, label) if label else "photo"
    if values.get("box"):
        fields["box"] = values["box"].split()
    if "research_only" in values:
        fields["research_only"] = _YES_NO.get(values["research_only"].lower(), values["research_only"])
    fields["exif"] = Exif.from_mapping({tag.name: values.get(tag.name) for tag in TAGS}).to_mapping()
    return listed_entry(where, _file_of(file.parent, values["path"]), fields)


def _file_of(folder: Path, path: str) -> Path:
    r"""The file of a row: as it is written, or if there is none, with `\` between folders as on Windows."""
    file, other = folder / path, folder / path.replace("\\", "/")
    return other if is_regular(other) and not is_regular(file) else file
