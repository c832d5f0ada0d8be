"""Rows for a network that sees faces: where the manifest gives no box, the face that is found; no face, no row.

A whole picture is no face: in it an eye may be five pixels wide, and scoring would never show the network such a crop.

Faces that were manipulated on disk (`ID_0.png` ... beside `ID.png`: FDF's `face_dataaug_neg`, `data manipulate`) are
variants of one face, not faces of their own: AIGFD-EXIF's code draws the original half the time, else one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cameraborn.data.manifest import Row
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Stage
from cameraborn.files import Box
from cameraborn.photo.decode import open_upright
from cameraborn.photo.faces import FaceFinder


@dataclass(frozen=True)
class FaceOfRows:
    """One face that may be shown: the place of its row, and those of its variants by their manipulation."""

    place: int
    variants: Mapping[str, int] = field(default_factory=dict)


def faces_among(rows: Sequence[Row]) -> list[FaceOfRows]:
    """The faces of rows, in their order; what was manipulated and has no original among them is a face of its own."""
    originals = dict[tuple[str, str, str], int]()
    for place, row in enumerate(rows):
        if not row.manipulation:
            originals.setdefault(_name(row), place)
    found = {place: dict[str, int]() for place in originals.values()}
    for place, row in enumerate(rows):
        original = originals.get(_name(row))
        if row.manipulation and original is not None:
            found[original].setdefault(row.manipulation, place)
        else:
            found.setdefault(place, {})
    return [FaceOfRows(place, variants) for place, variants in sorted(found.items())]


def with_variants(rows: Iterable[Row], all_rows: Sequence[Row]) -> list[Row]:
    """Rows, each followed by its variants among `all_rows`."""
    found = {_face(all_rows[face.place]): face.variants for face in faces_among(all_rows)}
    groups = ((row, found[_face(row)].values()) for row in rows)
    return [each for row, variants in groups for each in (row, *(all_rows[place] for place in variants))]


def _face(row: Row) -> tuple[str, Box | None]:
    return row.path, row.box  # there may be several in one picture


def _name(row: Row) -> tuple[str, str, str]:
    """What a face and its variants share."""
    stem = Path(row.path).stem
    return row.source, row.group, stem.rpartition("_")[0] if row.manipulation else stem


@dataclass
class _FindFace(Stage[Row, Row | None]):
    """A row with the box of its largest face, None if there is no face."""

    def setup(self) -> None:
        self._finder = FaceFinder()

    def work(self, item: Row) -> Row | None:
        faces = self._finder.find(np.asarray(open_upright(Path(item.path))))
        return item.model_copy(update={"box": faces[0].box}) if faces else None


def with_faces(rows: Sequence[Row]) -> list[Row]:
    """The rows that show a face, each with its box.

    Raises:
        PictureError: a picture that must be searched cannot be read.
    """
    found = map_in_order(_FindFace(), (row for row in rows if row.box is None), None)
    completed = (next(found) if row.box is None else row for row in rows)
    return [row for row in completed if row is not None]
