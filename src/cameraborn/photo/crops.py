"""The part of a picture that a network of whole faces looks at.

Two rules for the crop. `square` invents no pixel and keeps proportions. `authors` is that of AIGFD-EXIF's training code
(arXiv 2501.02207): clipped at the right and at the bottom, shifted at the left and at the top, so it may not be square
and is then stretched.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from cameraborn.errors import PictureError
from cameraborn.files import Box, Pixels

Window = tuple[int, int, int, int]  # x0, y0, x1, y1, whole pixels
CropRule = Literal["square", "authors"]


def face_window(width: int, height: int, box: Box, scale: float, rule: CropRule) -> Window:
    """Where the crop of a face lies in a picture, in training as in scoring.

    Args:
        box: x0, y0, x1, y1 of the face, pixels.
        scale: side of the crop over the longer side of the box.

    Raises:
        PictureError: the box has no area.
    """
    if rule == "square":
        return square_window(width, height, box, scale)
    x0, y0, x1, y1 = (round(edge) for edge in box)
    side = int(max(x1 - x0, y1 - y0) * scale)
    left = min(max((x0 + x1) // 2 - side // 2, 0), width - 1)
    top = min(max((y0 + y1) // 2 - side // 2, 0), height - 1)
    return left, top, left + max(1, min(width - left, side)), top + max(1, min(height - top, side))


def face_crop(pixels: Pixels, box: Box, scale: float, rule: CropRule) -> Pixels:
    """The crop of a face, cut from `pixels` [H W 3] at `face_window`: [h w 3].

    Raises PictureError for a box without area, or pixels that are no colour picture of 8 bits.
    """
    height, width = checked(pixels).shape[:2]
    x0, y0, x1, y1 = face_window(width, height, box, scale, rule)
    return np.ascontiguousarray(pixels[y0:y1, x0:x1])


def square_crop(pixels: Pixels, box: Box, scale: float) -> Pixels:
    """The square of side max(w, h) x `scale` around the centre of `box`, cut from `pixels` [H W 3]: [S S 3].

    No pixel is invented: a square that reaches outside is shifted in, and one that is larger than the picture
    becomes the largest square that fits, as near to the box's centre as the picture allows. Raises
    PictureError for a box without area.
    """
    return face_crop(pixels, box, scale, "square")


def square_window(width: int, height: int, box: Box, scale: float) -> Window:
    """x0, y0, x1, y1 of `square_crop` in a picture of `width` x `height`.

    Raises PictureError for a box without area.
    """
    if not (box[2] > box[0] and box[3] > box[1] and scale > 0):
        raise PictureError(
            f"face box {box} at scale {scale} has no area; give x0 < x1, y0 < y1 and a scale above 0"
        )
    side = max(1, min(round(longer_side(box) * scale), width, height))
    x = min(max(round((box[0] + box[2] - side) / 2), 0), width - side)
    y = min(max(round((box[1] + box[3] - side) / 2), 0), height - side)
    return x, y, x + side, y + side


def longer_side(box: Box) -> float:
    """The longer side of a box, pixels."""
    return max(box[2] - box[0], box[3] - box[1])


def checked(pixels: Pixels) -> Pixels:
    """The pixels, C-contiguous. Raises PictureError if they are not uint8 [H W 3], or none."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PictureError(
            f"a picture is uint8 [H W 3]; got {pixels.dtype} {list(pixels.shape)}: convert it to RGB first"
        )
    return np.ascontiguousarray(pixels)
