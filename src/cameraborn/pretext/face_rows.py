"""Rows for a network that sees faces: where the manifest gives no box, the face that is found; no face, no row.

A whole picture is no face: in it an eye may be five pixels wide, and scoring would never show the network such a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cameraborn.data.manifest import Row
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Stage
from cameraborn.photo.decode import open_upright
from cameraborn.photo.faces import FaceFinder


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
