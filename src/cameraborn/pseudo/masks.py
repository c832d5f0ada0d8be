"""Where a local manipulation acts on a face: a rectangle found from landmarks, and the soft mask that blends it in.

The rectangle bounds a line through the feature (eye: corner to corner; mouth: corner to corner; nose: its base to the
middle between the eyes), dilated in proportion to the face. Inside, the mask rises softly from 0 to 1; the patch that
is flipped is a few pixels larger. Recipe and constants: BLADES (arXiv 2507.22824), whose code made the released data
of AIGFD-EXIF (arXiv 2501.02207) too.

Rule for sizes: the constants are pixels of a 224-pixel picture; for another, each is multiplied by (shorter side)/224
and rounded, kernels to odd sizes. Landmarks are the 68 points of 300-W, x and y in pixels. Shapes: H W picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Feature = Literal["left-eye", "right-eye", "mouth", "nose"]  # left and right in the picture
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom; the last two lie outside
Landmarks = NDArray[np.floating]  # [68 2]
Mask = NDArray[np.float32]  # [H W], 0 to 1

REFERENCE_SIDE = 224
_LINE = 2  # thickness of the line through the feature
_EROSION = 15  # diameter of the ellipse that shrinks the mask before its last blur
_LAST_BLUR = (51, 10.0)  # kernel size, sigma
_CORNERS = {"left-eye": (36, 39), "right-eye": (42, 45), "mouth": (48, 54)}
_NOSE_BASE = 33
# How much larger the patch is than the rectangle, pixels on each side; and the blur that rounds the rectangle's
# corners, kernel size and sigma.
_NOSE, _EYE_OR_MOUTH = (3, (15, 2.0)), (5, (91, 7.0))


@dataclass(frozen=True)
class Region:
    """One place to manipulate: the `patch` to flip and the `mask` to blend it in with; `mask` peaks at 1."""

    patch: Rectangle
    mask: Mask


def find_region(landmarks: Landmarks, feature: Feature, height: int, width: int) -> Region | None:
    """Where `feature` lies in a picture of that size, or None if the landmarks do not show it.

    They do not if a point is not finite, if the line through the feature leaves the picture (a mouth cut by the frame
    has no other half to change places with) or is too short to be dilated, or if the mask comes out empty.
    """
    rectangle = feature_rectangle(landmarks, feature, height, width)
    if rectangle is None:
        return None
    growth, first_blur = _NOSE if feature == "nose" else _EYE_OR_MOUTH
    mask = soft_mask(rectangle, height, width, first_blur=first_blur)
    if mask is None:
        return None
    return Region(_grown(rectangle, round(growth * _scale(height, width)), height, width), mask)


def feature_rectangle(landmarks: Landmarks, feature: Feature, height: int, width: int) -> Rectangle | None:
    """The bounding rectangle of the dilated line through `feature`, or None as `find_region` says.

    The line is dilated by a cross, `reach` times: 2 (d // 4) for an eye and d // 3 for the mouth, d the distance of
    their corners; d // 4 for the nose, d the distance of the eyes. Each time moves every side outwards by one pixel.
    """
    line = _line(landmarks, feature)
    if line is None:
        return None
    start, end, reach = line
    inside = all(0 <= x < width and 0 <= y < height for x, y in (start, end))
    if not inside or reach < 1:
        return None
    drawn = np.zeros((height, width), np.uint8)
    cv2.line(drawn, start, end, 1, max(1, round(_LINE * _scale(height, width))))
    x, y, w, h = cv2.boundingRect(drawn)
    return _grown((x, y, x + w, y + h), reach, height, width)


def soft_mask(rectangle: Rectangle, height: int, width: int, *, first_blur: tuple[int, float]) -> Mask | None:
    """The mask [H W] of a rectangle: rounded, eroded, blurred, divided by its maximum; None if nothing is left.

    The rectangle is blurred and cut at a half, which rounds its corners (the reference does so by blurring whole
    numbers). One that this empties is rounded by a blur of sigma 1; one that the erosion empties is not eroded.
    """
    scale = _scale(height, width)
    # Further out the mask is 0: the first blur adds nothing, but to a narrow gap between rectangle and edge.
    window = _grown(rectangle, _odd(_LAST_BLUR[0] * scale) // 2 + 1, height, width)
    kernel, sigma = first_blur
    rounded = _rounded(rectangle, window, height, width, kernel * scale, sigma * scale)
    if not rounded.any():
        rounded = _rounded(rectangle, window, height, width, kernel * scale, 1.0)
    if not rounded.any():
        return None
    size = _odd(_EROSION * scale)
    eroded = cv2.erode(rounded, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    sharp = (eroded if eroded.any() else rounded).astype(np.float32)
    size = _odd(_LAST_BLUR[0] * scale)
    soft = cv2.GaussianBlur(sharp, (size, size), _LAST_BLUR[1] * scale)
    mask: Mask = np.zeros((height, width), np.float32)
    left, top, right, bottom = window
    mask[top:bottom, left:right] = soft / soft.max()
    return mask


def _rounded(
    rectangle: Rectangle, window: Rectangle, height: int, width: int, kernel: float, sigma: float
) -> NDArray[np.uint8]:
    """The window's part of the rectangle after it was blurred, 1 where at least a half is left."""
    (left, top, right, bottom), (x0, y0, x1, y1) = rectangle, window
    # A blurred rectangle is the product of two blurred lines.
    down = _blurred_line(top, bottom, height, kernel, sigma)[y0:y1]
    across = _blurred_line(left, right, width, kernel, sigma)[x0:x1]
    return (np.outer(down, across) >= 0.5).astype(np.uint8)


def _blurred_line(start: int, stop: int, length: int, kernel: float, sigma: float) -> NDArray[np.float32]:
    """A row of pixels, 1 from start to stop and 0 elsewhere, blurred."""
    line = np.zeros((1, length), np.float32)
    line[0, start:stop] = 1
    return np.asarray(cv2.GaussianBlur(line, (_odd(kernel), 1), sigma)[0])


def _line(landmarks: Landmarks, feature: Feature) -> tuple[tuple[int, int], tuple[int, int], int] | None:
    """Both ends of the line through a feature, in whole pixels, and by how many pixels it is dilated."""
    if not np.isfinite(landmarks).all() or np.abs(landmarks).max() > 2**20:
        return None
    if feature != "nose":
        start, end = (_pixel(landmarks[index]) for index in _CORNERS[feature])
        apart = math.dist(start, end)
        return start, end, int(apart // 3) if feature == "mouth" else 2 * int(apart // 4)
    left, right = (
        _pixel((landmarks[a] + landmarks[b]) / 2) for a, b in (_CORNERS["left-eye"], _CORNERS["right-eye"])
    )
    between = ((left[0] + right[0]) // 2, (left[1] + right[1]) // 2)
    return _pixel(landmarks[_NOSE_BASE]), between, int(math.dist(left, right) // 4)


def _pixel(point: Landmarks) -> tuple[int, int]:
    return math.floor(point[0]), math.floor(point[1])


def _grown(rectangle: Rectangle, by: int, height: int, width: int) -> Rectangle:
    left, top, right, bottom = rectangle
    return max(left - by, 0), max(top - by, 0), min(right + by, width), min(bottom + by, height)


def _odd(size: float) -> int:
    return 2 * round((size - 1) / 2) + 1 if size > 1 else 1


def _scale(height: int, width: int) -> float:
    return min(height, width) / REFERENCE_SIDE
