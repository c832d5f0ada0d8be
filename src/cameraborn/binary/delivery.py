"""One random delivery for photographs and fakes alike: cut, resized, edited, compressed, shrunk as the detector does.

What one class alone goes through, a network learns in place of what generators leave. So a draw knows nothing of the
class, and a photograph and its reconstruction are given the same draw: the same seed. The steps, in order:

1. the face: 1.15 to 1.5 times its box, a little beside its middle (`face_square`);
2. perhaps turned by some degrees, then brought to a side that is drawn, never far above its own;
3. edits (`binary.edits`), and in half of the cases a sharpness that is drawn;
4. compressed, perhaps resized and compressed again;
5. the detector's own part: shrunk to `SIDE`, and patches cut from it.

Pixels are uint8 [H W 3]; a square is [S S 3].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from cameraborn.binary.edits import Rng, brought_to_sharpness, compressed, edited
from cameraborn.degrade.random import INTERPOLATING, log_uniform
from cameraborn.files import Box, Pixels
from cameraborn.photo.crops import longer_side

SIDE = 256  # pixels; a larger face is shrunk to it before the network
TILE = 32  # pixels; of shuffled patches

_FACE_SCALE, _FACE_SHIFT = (
    (1.15, 1.5),
    0.07,
)  # of the square: sides of the box, and how far its middle is moved
_ANYWHERE = (144, 352)  # sides of squares from pictures of no face, pixels
_SMALLEST_FACE = 16  # pixels
_TURNED, _SMALLEST_TURNED = 0.35, 160  # share that is turned, and from which side on, pixels
_SIDES, _LARGEST_NATIVE = (112, 420), 480  # sides that faces are brought to, pixels; where not all are shrunk
_KEPT = 0.8  # share of those drawn larger than they are that keep their side; others grow, by at most 1.8
_MATCHED, _SHARPNESS = 0.5, (5.5, 0.9)  # share brought to a sharpness whose logarithm is drawn
_COMPRESSED, _AGAIN, _SMALLEST_AGAIN = 0.7, 0.25, 104  # shares compressed, and delivered again; pixels
_LIGHT_COMPRESSED, _LIGHT_QUALITY = 0.8, 60  # of deliveries without edits

_DETAIL = (1.5, 4.0)  # px: what a blur by this takes away is the detail of a patch
_COARSER = (3.0, 6.0)  # how far pictures without detail were shrunk
_COARSE_COMPRESSED = 0.5  # share of them that is compressed

_ENLARGING = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def _bilinear(x: Pixels, side: int, rng: Rng) -> Pixels:
    return np.asarray(cv2.resize(x, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def _area(x: Pixels, side: int, rng: Rng) -> Pixels:
    return np.asarray(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _antialiased(x: Pixels, side: int, rng: Rng) -> Pixels:
    return antialiased(x, side, INTERPOLATING[rng.integers(len(INTERPOLATING))])


SHRINKING: tuple[tuple[float, Callable[[Pixels, int, Rng], Pixels]], ...] = (
    (0.05, _bilinear),  # without antialiasing
    (0.5, _area),
    (0.45, _antialiased),
)


@dataclass(frozen=True)
class Lottery:
    """How much deliveries do.

    Attributes:
        strength: how often edits happen, over what `edits.EDITS` says.
        native: share of the larger faces that are not shrunk to `SIDE` in the end.
        light: share that is resized and compressed once, and nothing else.
    """

    strength: float = 1.0
    native: float = 0.0
    light: float = 0.0


def deliver(square: Pixels, rng: Rng, lottery: Lottery) -> Pixels:
    """Steps 2 to 4, and the shrinking of step 5: [S S 3] to [S' S' 3]."""
    if rng.random() < _TURNED and square.shape[0] >= _SMALLEST_TURNED:
        square = turned(square, rng)
    x = resized(square, drawn_side(square.shape[0], rng, lottery), rng)
    if rng.random() < lottery.light:
        x = compressed(x, rng, _LIGHT_QUALITY) if rng.random() < _LIGHT_COMPRESSED else x
        return _as_detected(x, rng, lottery)
    x = edited(x, rng, lottery.strength)
    if rng.random() < _MATCHED:
        x = brought_to_sharpness(x, math.expm1(rng.normal(*_SHARPNESS)))
    if rng.random() < _COMPRESSED:
        x = compressed(x, rng)
    if rng.random() < _AGAIN:
        x = _delivered_again(x, rng)
    return _as_detected(x, rng, lottery)


def face_square(pixels: Pixels, box: Box | None, rng: Rng) -> Pixels:
    """A square around a face, its scale and place drawn; without a box, one of anywhere: [H W 3] to [S S 3]."""
    H, W, _ = pixels.shape
    if box is None:
        side = min(H, W, int(rng.integers(_ANYWHERE[0], _ANYWHERE[1] + 1)))
        y, x = int(rng.integers(H - side + 1)), int(rng.integers(W - side + 1))
        return pixels[y : y + side, x : x + side]
    scale, longer = float(rng.uniform(*_FACE_SCALE)), longer_side(box)
    right, down = rng.uniform(-_FACE_SHIFT, _FACE_SHIFT, 2) * longer
    side = min(max(_SMALLEST_FACE, round(longer * scale)), H, W)
    x = min(max(round((box[0] + box[2] - side) / 2 + right), 0), W - side)
    y = min(max(round((box[1] + box[3] - side) / 2 + down), 0), H - side)
    return pixels[y : y + side, x : x + side]


def drawn_side(own: int, rng: Rng, lottery: Lottery) -> int:
    """The side in pixels that a square of `own` pixels is brought to; every factor is as likely as any other."""
    side = int(log_uniform(rng, _SIDES[0], _LARGEST_NATIVE if lottery.native else _SIDES[1]))
    if side <= own:
        return side
    return own if rng.random() < _KEPT else min(side, int(own * rng.uniform(1.0, 1.8)))


def resized(square: Pixels, side: int, rng: Rng) -> Pixels:
    """A square brought to a side by a kernel of chance; shrinking is antialiased nineteen times in twenty."""
    own = square.shape[0]
    if side == own:
        return square
    if side > own:
        kernel = _ENLARGING[rng.integers(len(_ENLARGING))]
        return np.asarray(cv2.resize(square, (side, side), interpolation=kernel), np.uint8)
    shares = np.cumsum([share for share, _ in SHRINKING])
    _, shrink = SHRINKING[int(np.searchsorted(shares[:-1], rng.random(), side="right"))]
    return shrink(square, side, rng)


def antialiased(square: Pixels, side: int, filter: Image.Resampling = Image.Resampling.LANCZOS) -> Pixels:
    """Shrunk by Pillow, which takes all pixels into account."""
    return np.asarray(Image.fromarray(square).resize((side, side), filter))


def turned(square: Pixels, rng: Rng) -> Pixels:
    """Turned by some degrees and interpolated, as data sets of aligned faces (FFHQ) and editors do."""
    side = square.shape[0]
    angle, scale = float(rng.normal(0, 8)), float(rng.uniform(1.0, 1.4))
    about = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale)
    about[:, 2] += (scale - 1) * side / 2
    size = (int(side * scale),) * 2
    kernel = _ENLARGING[rng.integers(len(_ENLARGING))]
    return np.asarray(
        cv2.warpAffine(square, about, size, flags=kernel, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def patch(x: Pixels, side: int, rng: Rng, shuffle: float = 0.0) -> Pixels:
    """A square patch, mirrored half of the time; a smaller picture is enlarged to it.

    In a share `shuffle` of cases its tiles are shuffled, see `shuffled`.
    """
    if x.shape[0] < side:
        x = _bilinear(x, side, rng)
    y0, x0 = rng.integers(x.shape[0] - side + 1, size=2)
    x = x[y0 : y0 + side, x0 : x0 + side]
    x = x[:, ::-1] if rng.random() < 0.5 else x
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


def _delivered_again(x: Pixels, rng: Rng) -> Pixels:
    """By a second site: resized, and perhaps compressed."""
    if (side := int(x.shape[0] * rng.uniform(0.6, 1.3))) >= _SMALLEST_AGAIN:
        x = resized(x, side, rng)
    return compressed(x, rng) if rng.random() < _COMPRESSED else x


def _as_detected(x: Pixels, rng: Rng, lottery: Lottery) -> Pixels:
    """Shrunk as the detector does, but for a share that stays as it is."""
    return antialiased(x, SIDE) if x.shape[0] > SIDE and rng.random() >= lottery.native else x
