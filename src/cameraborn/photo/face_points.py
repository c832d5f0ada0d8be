"""The 68 landmarks of a face, or none where their network doubts that it was shown a whole face.

An import, a training sample and a manipulated file all ask here, so that landmarks in a manifest are those that would
have been found without it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Box, Pixels
from cameraborn.photo.faces import Face, FaceFinder, landmarks_68

INSIDE = 0.5  # share of a found face in a data set's box, from which it is the face that is meant


def points_of(finder: FaceFinder, pixels: Pixels, face: Face) -> NDArray[np.float32] | None:
    """The landmarks [68 2] of a face that the finder has found in `pixels` [H W 3], in pixels of the picture."""
    mesh = finder.landmarks_if_sure(pixels, face)
    return None if mesh is None else landmarks_68(mesh)


def points_at(finder: FaceFinder, pixels: Pixels, box: Box) -> NDArray[np.float32] | None:
    """The landmarks [68 2] of the face in a box that may be a data set's.

    The landmarks' network knows our finder's boxes, which are smaller than most: where the finder sees a face there,
    its box is taken.
    """
    given = Face(box, 1.0)
    best = max(finder.find(pixels), key=lambda face: _shared(face.box, box), default=given)
    inside = _shared(best.box, box) >= INSIDE * _area(best.box)
    return points_of(finder, pixels, best if inside else given)


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
