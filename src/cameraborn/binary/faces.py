"""Faces of a manifest in memory: the part of each picture that training looks at, decoded once.

Of a picture with a face's box the square of `REGION` times the box is kept, at most `LARGEST` pixels; of one without
all of it, as native crops are small. Whole pictures would not fit into memory, and decoding them each time is slower
than all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from PIL import Image

from cameraborn.data.manifest import Row
from cameraborn.files import Box, Pixels
from cameraborn.photo.crops import square_window
from cameraborn.photo.decode import open_listed
from cameraborn.train.pictures import MemoryBudget, PictureCache

REGION = 1.6  # side of what is kept over the longer side of the box: squares of faces lie in it
LARGEST = 640  # pixels


@dataclass(frozen=True, eq=False)
class Face:
    """What is kept of a picture [H W 3], and the face's box in it."""

    pixels: Pixels
    box: Box | None

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.pixels.nbytes


class Faces(Protocol):
    """What is kept of some rows, by their numbers."""

    def __getitem__(self, number: int) -> Face:
        """The face of a row."""


def faces_of(rows: Sequence[Row], budget: MemoryBudget) -> PictureCache[Face]:
    """The faces of rows by their index; those that do not fit into the budget are read each time."""
    # Unlike a closure, it can be sent to a worker.
    read = partial(_read, [(row.path, row.box) for row in rows])
    return PictureCache(len(rows), read, budget)


def _read(places: Sequence[tuple[str, Box | None]], index: int) -> Face:
    path, box = places[index]
    return region_of(open_listed(path).pixels, box)


def region_of(pixels: Pixels, box: Box | None) -> Face:
    """The part of a picture [H W 3] that is kept."""
    if box is None:
        return Face(pixels, None)
    x0, y0, x1, y1 = square_window(pixels.shape[1], pixels.shape[0], box, REGION)
    part, factor = pixels[y0:y1, x0:x1], 1.0
    if (side := part.shape[0]) > LARGEST:
        factor = LARGEST / side
        part = np.asarray(
            Image.fromarray(np.ascontiguousarray(part)).resize((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        )
    moved = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
    left, top, right, bottom = (edge * factor for edge in moved)
    return Face(np.ascontiguousarray(part), (left, top, right, bottom))
