"""Manifests: JSON Lines, a row an image, the one way data enters training, fitting and calibration.

Rows are split by group (photographer, repository, source), never by file: pictures of one group share camera, editor
and subject, so a shuffled split measures memory instead of skill.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cameraborn.data.invalid import first_problem
from cameraborn.errors import ManifestError, PictureError, no_file
from cameraborn.files import Box, is_stream, replacing
from cameraborn.photo.exif import TAGS
from cameraborn.photo.sniff import in_utf_16

LANDMARKS = 68  # of the 300-W scheme, in its order: see `photo.faces.landmarks_68`
Point = tuple[float, float]
Manipulation = Literal["", "eye", "mouth", "mouth-vertical", "nose", "affine", "reconstructed"]


class Row(BaseModel):
    """One image of a data set.

    Attributes:
        path: the file, relative to the manifest's folder, or absolute.
        sha256: hex digest of the file.
        split: what it may be used for: `train`, `val`, `fit`, `calibration` or a name of your own; empty: undecided.
        label: `photo` or `generated` (the positive class everywhere).
        generator: what made it, for generated pictures.
        source: where it came from.
        group: what it shares with others; rows of one group are never divided between splits.
        kind: how it was cut from its original (`native-crop`, `web-320`, `face`, ...).
        box: x0, y0, x1, y1 of the face, in pixels of this image turned upright; it may reach outside.
        landmarks: the face's 68 points, x and y each, in the same pixels.
        points: other points of the face by name (`nose`, `right_eye`, ...), in the same pixels.
        manipulation: what was done to the face, or to the whole (`reconstructed`), as a sample for training
            (`pseudo.manipulate`, `pseudo.reconstruct`); empty: nothing.
        exif: tags by the names of `photo.exif.Exif`: numbers, and texts for `make`, `model` and `software`.
        labels: what the data set itself says of a pretext task, by the task's name: a number to rank by, or the index
            of a class; it counts before `exif`.
        licence: the licence of the picture.
        original: SHA-256 of the file that this one was made from, where it was; of the first of them, where several
            were made from each other.
        research_only: True if it may be measured on but must not train weights that are given away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    split: str = ""
    label: Literal["photo", "generated"] = "photo"
    generator: str = ""
    source: str = ""
    group: str = ""
    kind: str = ""
    box: Box | None = None
    landmarks: Annotated[tuple[Point, ...], Field(min_length=LANDMARKS, max_length=LANDMARKS)] | None = None
    points: dict[str, Point] = Field(default_factory=dict)
    manipulation: Manipulation = ""
    exif: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    licence: str = ""
    original: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    research_only: bool = False

    @field_validator("box")
    @classmethod
    def _has_area(cls, box: Box | None) -> object:
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError("a box is x0, y0, x1, y1 with x0 < x1 and y0 < y1")
        return box

    @property
    def first(self) -> str:
        """The SHA-256 that a file made from this one has as its `original`."""
        return self.original or self.sha256

    @property
    def hashes(self) -> tuple[str, ...]:
        """What tells that this picture was seen: the SHA-256 of its file, and of its original."""
        return hashes_of(self.sha256, self.original)

    @field_validator("exif")
    @classmethod
    def _tags_have_their_types(cls, exif: dict[str, Any]) -> dict[str, Any]:
        # A text where a number belongs would be a photograph without that tag to every reader, silently.
        for tag in TAGS:
            value = exif.get(tag.name)
            if tag.kind == "text":
                if not isinstance(value, str | None):
                    raise ValueError(f"{tag.name} is {value!r}, which is not a text")
            elif value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
            ):
                raise ValueError(f"{tag.name} is {value!r}, which is not a number")
        return exif


def read_manifest(path: Path) -> Iterator[Row]:
    """Yield the rows with `path` made absolute, one by one.

    Raises:
        ManifestError: the file is missing, empty, or a row is broken; the message names the line.
    """
    for number, line in manifest_lines(path):
        yield parse_row(path, number, line)


def manifest_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the text of each line that is not blank.

    Raises:
        ManifestError: the file is missing or empty.
    """
    if not path.is_file():
        raise no_such_manifest(path)
    seen = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                seen += 1
                yield number, line
    if not seen:
        raise ManifestError(f"{path}: the manifest is empty: import some pictures into it first")


def no_such_manifest(path: object) -> ManifestError:
    """The error of a manifest that is missing, by its path or address."""
    return ManifestError(no_file(path, "manifest", "make one with 'cameraborn data import'"))


def row_as_written(path: object, number: int, line: bytes) -> Row:
    """The row in line `number` of the manifest `path`, its path as it stands. Raises ManifestError if it is broken."""
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        if number == 1 and in_utf_16(line):
            raise ManifestError(f"{path}: a text in UTF-16: save it as UTF-8") from error
        raise ManifestError(
            f"{path}, line {number}: {first_problem(error, Row, 'row')}: fix or delete the line"
        ) from error


def parse_row(path: Path, number: int, line: bytes) -> Row:
    """The same with the picture's path made absolute."""
    row = row_as_written(path, number, line)
    # The links of the picture's own path are not followed.
    absolute = os.path.abspath(_real_folder(path.parent.absolute()) / row.path)  # noqa: PTH100
    return row.model_copy(update={"path": absolute})


@lru_cache(maxsize=16)
def _real_folder(folder: Path) -> Path:
    """A manifest's folder where it really is: `..` in a path is the folder around that, not around a link to it."""
    return folder.resolve()


def write_manifest(rows: Iterable[Row], path: Path) -> int:
    """Write the rows (absolute paths are made relative to the manifest's folder); return how many.

    The file appears only when it is complete. Paths in a device or a pipe stay absolute.

    Raises:
        ManifestError: it cannot be written, as on a full disk; an older manifest stays as it was.
    """
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever reads a pipe does not know where it lies.
        folder = None if is_stream(path) else path.parent.resolve()
        with replacing(path, alone=True) as part, part.open("w", encoding="utf-8") as out:
            for row in rows:
                out.write(_line(row, folder))
                count += 1
    except OSError as error:
        if error.filename not in (str(path), str(path.parent)):  # `rows` may read others
            raise
        raise cannot_write(path, error) from error
    return count


def _line(row: Row, folder: Path | None) -> str:
    """A row of a manifest that lies in `folder`, or nowhere."""
    path = row.path
    if Path(path).is_absolute() and folder is not None:
        path = os.path.relpath(Path(path).resolve(), folder)
    fields = row.model_copy(update={"path": path}).model_dump(mode="json", exclude_defaults=True)
    return json.dumps(fields, ensure_ascii=False) + "\n"


def cannot_write(path: Path, error: OSError) -> ManifestError:
    """One line for a file that cannot be written, for example on a full disk."""
    return ManifestError(f"{path}: cannot be written ({error.strerror}): free some space or check the folder")


def not_as_listed(path: str | Path) -> PictureError:
    """One line for a file whose SHA-256 is not that of its row."""
    return PictureError(f"{path}: not the file that was imported (its SHA-256 differs): import it again")


def hashes_of(sha256: str, original: str) -> tuple[str, ...]:
    """Those of a file and of its original, if it has one."""
    return (sha256, original) if original else (sha256,)


def group_of(row: Row) -> str:
    """What a row shares with others: its group; without one its source; without that it is alone."""
    return row.group or row.source or row.path


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
