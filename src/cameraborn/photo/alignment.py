"""Whether a picture is cut and turned around its face as FFHQ is, to which most face generators are trained.

FFHQ (Karras et al., arXiv 1812.04948, appendix A) cuts each photograph around the eyes and the mouth, so that they lie
at the same places in every picture; what a generator learns from it has them there too. Among photographs that nobody
aligned this is rare, so it is worth a note; but an aligned photograph looks the same, and so the verdict does not
depend on it. `misalignment` is the distance from FFHQ's own cut of this face to the picture's frame. How photographs lie
that nobody aligned was measured by `benchmarks/alignment.py`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Box, Pixels
from cameraborn.photo.face_points import points_of
from cameraborn.photo.faces import Face, FaceFinder

_LEFT_EYE, _RIGHT_EYE, _MOUTH = slice(36, 42), slice(42, 48), [48, 54]  # of the 68 points


def misalignment(points: NDArray[np.float32], width: int, height: int) -> float:
    """Mean distance from the corners of FFHQ's cut to those of the picture, over the picture's side.

    Args:
        points: landmarks [68 2], in pixels of the picture.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """
    frame = np.array([(0, 0), (0, height), (width, height), (width, 0)], np.float64)
    distances = np.linalg.norm(ffhq_quad(points) - frame, axis=1)
    return float(distances.mean()) / math.sqrt(width * height)


def ffhq_quad(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The corners [4 2] of FFHQ's cut of a face: those at the top left, bottom left, bottom right, top right.

    Args:
        points: landmarks [68 2].
    """
    left, right, mouth = (
        points[part].mean(axis=0, dtype=np.float64) for part in (_LEFT_EYE, _RIGHT_EYE, _MOUTH)
    )
    eyes, across = (left + right) / 2, right - left
    down = mouth - eyes
    x = across - _turned(down)
    x *= max(2.0 * math.hypot(*across), 1.8 * math.hypot(*down)) / math.hypot(*x)
    y, centre = _turned(x), eyes + 0.1 * down
    return np.array([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def _turned(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector turned by a quarter, from right to down."""
    return np.array([-vector[1], vector[0]])
