"""The part of a picture that a network of whole faces looks at.

Two rules for the crop. `square` invents no pixel and keeps proportions. `authors` is that of AIGFD-EXIF's training code
(arXiv 2501.02207): clipped at the right and at the bottom, shifted at the left and at the top, so it may not be square
and is then stretched.
"""

from __future__ import annotations

from typing import Literal

from cameraborn.photo.faces import Box, square_window

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
