"""What is cut from pictures for a batch: the square of a face, patches of it, and patches that show something else.

Pixels are uint8 [H W 3]; a square is [S S 3].
"""

from __future__ import annotations

import cv2
import numpy as np

from cameraborn.degrade.draw import Rng
from cameraborn.degrade.history import compressed, resized
from cameraborn.files import Box, Pixels
from cameraborn.photo.crops import longer_side

TILE = 32  # pixels; of shuffled patches

_FACE_SCALE, _FACE_SHIFT = (1.15, 1.5), 0.07  # of a square: sides of the box, and how far its middle is moved
_ANYWHERE = (144, 352)  # sides of squares from pictures of no face, pixels
_SMALLEST_FACE = 16  # pixels
_DETAIL = (1.5, 4.0)  # px: what a blur by this takes away is the detail of a patch
_COARSER = (3.0, 6.0)  # how far pictures without detail were shrunk
_COARSE_COMPRESSED = 0.5  # share of them that is compressed


def face_square(pixels: Pixels, box: Box | None, rng: Rng, whole: float = 0.0) -> Pixels:
    """A square around a face, its scale and place drawn; without a box, one of anywhere: [H W 3] to [S S 3]."""
    y, x, side = square_of(pixels.shape[0], pixels.shape[1], box, rng, whole)
    return pixels[y : y + side, x : x + side]


def square_of(height: int, width: int, box: Box | None, rng: Rng, whole: float = 0.0) -> tuple[int, int, int]:
    """Upper and left edge, and side, of the square that `face_square` cuts; pixels.

    Args:
        whole: share of the pictures without a box of which the largest square is taken.
    """
    H, W = height, width
    if box is None:
        side = min(H, W, int(rng.integers(_ANYWHERE[0], _ANYWHERE[1] + 1)))
        side = min(H, W) if whole and rng.random() < whole else side
        y, x = int(rng.integers(H - side + 1)), int(rng.integers(W - side + 1))
        return y, x, side
    scale, longer = float(rng.uniform(*_FACE_SCALE)), longer_side(box)
    right, down = rng.uniform(-_FACE_SHIFT, _FACE_SHIFT, 2) * longer
    side = min(max(_SMALLEST_FACE, round(longer * scale)), H, W)
    x = min(max(round((box[0] + box[2] - side) / 2 + right), 0), W - side)
    y = min(max(round((box[1] + box[3] - side) / 2 + down), 0), H - side)
    return y, x, side


def patch(x: Pixels, side: int, rng: Rng, shuffle: float = 0.0, turned: float = 0.0) -> Pixels:
    """A square patch, mirrored half of the time; a smaller picture is enlarged to it.

    In a share `turned` of cases it is turned by any number of quarters, in a share `shuffle` its tiles are shuffled
    (see `shuffled`).
    """
    if x.shape[0] < side:
        x = np.asarray(cv2.resize(x, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    y0, x0 = rng.integers(x.shape[0] - side + 1, size=2)
    x = x[y0 : y0 + side, x0 : x0 + side]
    x = x[:, ::-1] if rng.random() < 0.5 else x
    if turned and rng.random() < turned:
        x = np.rot90(x, int(rng.integers(4)))
    return shuffled(x, rng) if rng.random() < shuffle else x


def shuffled(x: Pixels, rng: Rng) -> Pixels:
    """The square tiles of a patch in another order: what it shows is gone, what its pixels are like stays.

    The side of the patch is divisible by `TILE`.
    """
    count = x.shape[0] // TILE
    tiles = x.reshape(count, TILE, count, TILE, 3).transpose(0, 2, 1, 3, 4).reshape(-1, TILE, TILE, 3)
    tiles = tiles[rng.permutation(len(tiles))].reshape(count, count, TILE, TILE, 3)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(x.shape)


def hybrid(fine: Pixels, coarse: Pixels, rng: Rng) -> Pixels:
    """The detail of one patch on what another shows (hybrid images, Oliva, Torralba & Schyns 2006): [s s 3].

    Detail decides then whether it is generated; that certain faces are photographed or generated more often does not.
    """
    sigma = float(rng.uniform(*_DETAIL))
    shown, hidden = (cv2.GaussianBlur(x.astype(np.float32), (0, 0), sigma) for x in (coarse, fine))
    return np.asarray((fine - hidden + shown).round().clip(0, 255), np.uint8)


def without_detail(x: Pixels, rng: Rng) -> Pixels:
    """Shrunk until nothing is left of a generator but what it shows, and enlarged again: [S S 3]."""
    side = x.shape[0]
    small = resized(x, max(8, int(side / rng.uniform(*_COARSER))), rng)
    x = resized(small, side, rng)
    return compressed(x, rng) if rng.random() < _COARSE_COMPRESSED else x
