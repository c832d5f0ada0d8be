"""The part of a picture that a network of whole faces looks at, and its shrinking to the network's side.

Two rules for the crop. `square` invents no pixel and keeps proportions. `authors` is that of AIGFD-EXIF's training code
(arXiv 2501.02207): clipped at the right and at the bottom, shifted at the left and at the top, so it may not be square
and is then stretched.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.photo.faces import Box, square_window

Pixels = NDArray[np.uint8]
Window = tuple[int, int, int, int]  # x0, y0, x1, y1, whole pixels
CropRule = Literal["square", "authors"]


def face_window(width: int, height: int, box: Box | None, scale: float, rule: CropRule) -> Window:
    """Where the crop of a face lies in a picture; without a box the whole picture is taken for a face.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        box: x0, y0, x1, y1 of the face.
        scale: side of the crop over the longer side of the box.
        rule: `square`: of a whole picture the largest square in its middle; `authors`: all of it.

    Raises:
        PictureError: the box has no area.
    """
    if box is None:
        return (0, 0, width, height) if rule == "authors" else square_window(width, height, None, 1.0)
    if rule == "square":
        return square_window(width, height, box, scale)
    x0, y0, x1, y1 = (round(edge) for edge in box)
    side = int(max(x1 - x0, y1 - y0) * scale)
    left = min(max((x0 + x1) // 2 - side // 2, 0), width - 1)
    top = min(max((y0 + y1) // 2 - side // 2, 0), height - 1)
    return left, top, left + max(1, min(width - left, side)), top + max(1, min(height - top, side))


def resized(pixels: Pixels, side: int, *, antialias: bool) -> Pixels:
    """Pixels [H W 3] stretched to [side side 3], bilinear.

    Without `antialias` each pixel is a mixture of its four nearest neighbours however much is shrunk, as tensors were
    resized by torchvision until 0.16 and so by the authors.
    """
    if antialias:
        return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))
    mixed = pixels.astype(np.float32)
    for axis, length in enumerate(pixels.shape[:2]):
        place = ((np.arange(side) + 0.5) * (length / side) - 0.5).clip(0, length - 1)
        low = place.astype(np.intp)
        share = (place - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        high = np.minimum(low + 1, length - 1)
        mixed = mixed.take(low, axis) * (1 - share) + mixed.take(high, axis) * share
    return (mixed + 0.5).astype(np.uint8)
