"""Whether a picture is cut and turned around its face as FFHQ is, to which most generators of faces are trained.

FFHQ (Karras et al., arXiv 1812.04948, appendix A) cuts each photograph around its eyes and mouth, so that they lie at
the same places in every picture; what a generator learns from it has them there too. Among photographs that nobody
aligned this is rare, so it is worth a note. An aligned photograph looks the same, so no verdict depends on it.

`misalignment` is the distance from FFHQ's own cut of this face to the frame of the picture. `_NEAREST` are the smallest
distances among official portraits, heads and shoulders in a square that nobody aligned, and so nearer to it than most
photographs are: `python benchmarks/alignment.py DATA_DIR` measures them and how often the note is given.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Pixels
from cameraborn.photo.crops import longer_side
from cameraborn.photo.face_points import points_of
from cameraborn.photo.faces import Face, FaceFinder

_LEFT_EYE, _RIGHT_EYE, _MOUTH = slice(36, 42), slice(42, 48), [48, 54]  # of the 68 points
_PORTRAITS, _NEAREST = 480, (0.0773, 0.0822, 0.0828, 0.0854)
RARE = 0.01  # p-values up to this are worth a note


def alignment_note(finder: FaceFinder, pixels: Pixels, face: Face) -> str | None:
    """What to say of a face that lies as in FFHQ; None where it does not, or where its landmarks are doubtful.

    Args:
        finder: finds landmarks; its network runs only where the box allows an alignment.
        pixels: the whole picture [H W 3].
        face: found in it.
    """
    H, W, _ = pixels.shape
    if not _is_possible(face, W, H) or (points := points_of(finder, pixels, face)) is None:
        return None
    p = p_value(misalignment(points, W, H))
    if p > RARE:
        return None
    return (
        "eyes and mouth lie as FFHQ aligns them, which is usual for generators of faces and rare among photographs "
        f"that nobody aligned: p = {p:.2g}"
    )


def p_value(distance: float) -> float:
    """Share of portraits that nobody aligned that lie at least as near to FFHQ's alignment.

    It is exact up to `RARE`, and a lower bound above it, which the portraits further away would raise.
    """
    return (1 + sum(near <= distance for near in _NEAREST)) / (1 + _PORTRAITS)


def misalignment(points: NDArray[np.float32], width: int, height: int) -> float:
    """Mean distance of FFHQ's corners by landmarks [68 2] from the picture's, all in pixels, over its side."""
    frame = np.array([(0, 0), (0, height), (width, height), (width, 0)], np.float64)
    distances = np.linalg.norm(ffhq_quad(points) - frame, axis=1)
    return float(distances.mean()) / math.sqrt(width * height)


def ffhq_quad(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Corners [4 2] of FFHQ's cut by landmarks [68 2]: top left, bottom left, bottom right, top right."""
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


def _is_possible(face: Face, width: int, height: int) -> bool:
    """Whether a face of this box can be aligned; of 266 pictures that nearly are, none has its box beyond these."""
    x0, y0, x1, y1 = face.box
    x, y, side = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height, longer_side(face.box)
    return (
        0.75 <= width / height <= 1.33
        and 0.3 <= x <= 0.7
        and 0.42 <= y <= 0.72
        and 0.45 <= side / math.sqrt(width * height) <= 0.9
    )
