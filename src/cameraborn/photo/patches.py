"""Square patches of a picture, as networks see them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.files import Pixels

PATCH_SIZE = 64


def grid_patches(pixels: Pixels, size: int = PATCH_SIZE, *, limit: int | None = None) -> Pixels:
    """The fewest patches that cover a picture [H W 3], evenly laid and overlapping where they must: [n 3 size size].

    With a `limit`, at most so many of them, evenly chosen.

    Raises:
        ValueError: a side of the picture is under that of a patch.
    """
    H, W, _ = pixels.shape
    if min(H, W) < size:
        raise ValueError(f"a picture of {W}x{H} is too small for a patch of {size}")
    corners = [(y, x) for y in _starts(H, size) for x in _starts(W, size)]
    if limit is not None and len(corners) > limit:
        corners = [corners[i] for i in np.linspace(0, len(corners) - 1, limit).round().astype(int)]
    stack = np.stack([pixels[y : y + size, x : x + size] for y, x in corners])
    return np.ascontiguousarray(stack.transpose(0, 3, 1, 2))


def tile_patches(pixels: Pixels, size: int = PATCH_SIZE) -> Pixels:
    """The patches of a picture [H W 3] that do not overlap, row by row, of its middle: [n 3 size size] (SDAIE's).

    What is left over of a side stays outside, half at each end.

    Raises:
        ValueError: a side is under `size`.
    """
    H, W, _ = pixels.shape
    down, across = H // size, W // size
    if not down or not across:
        raise ValueError(f"a picture of {W}x{H} is too small for a patch of {size}")
    y, x = (H - down * size) // 2, (W - across * size) // 2
    middle = pixels[y : y + down * size, x : x + across * size]
    tiles = middle.reshape(down, size, across, size, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(tiles.reshape(-1, 3, size, size))


def _starts(length: int, size: int) -> list[int]:
    count = math.ceil(length / size)
    return [int(start) for start in np.linspace(0, length - size, count).round()]


def shrink_to(pixels: Pixels, side: int) -> Pixels:
    """Shrink a picture so that its shorter side is `side`; a smaller one is left as it is: enlarging invents pixels.

    Lanczos with antialiasing: generators leave traces near the resolution limit, and a plain bilinear blurs them.
    """
    H, W, _ = pixels.shape
    if min(H, W) <= side:
        return pixels
    factor = side / min(H, W)
    size = (max(side, round(W * factor)), max(side, round(H * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def square_resize(pixels: Pixels, side: int, *, antialias: bool = True) -> Pixels:
    """Stretch a picture [H W 3] to [side side 3], bilinearly.

    Without antialiasing each pixel is interpolated from its four nearest only, as PyTorch's `interpolate` does unless
    asked otherwise: what the authors' networks were trained and tested with (methods of arXiv 2501.02207's code).
    """
    if antialias:
        return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))
    rows, row_after, row_share = _between(pixels.shape[0], side)
    columns, column_after, column_share = _between(pixels.shape[1], side)
    down = row_share[:, None, None]
    lines = pixels[rows] * (1 - down) + pixels[row_after] * down
    across = column_share[None, :, None]
    result = lines[:, columns] * (1 - across) + lines[:, column_after] * across
    return np.clip(result.round(), 0, 255).astype(np.uint8)


def _between(length: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of `side` pixels: the source pixels before and after its centre, and how near it is to the second."""
    centre = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
    before = np.floor(centre).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (centre - before).astype(np.float32)
