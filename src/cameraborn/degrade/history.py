"""One random processing history for photographs and fakes alike: turned, resized, edited, compressed, shrunk.

What one class alone goes through, a network learns in place of what generators leave. So a draw knows nothing of the
class, and a photograph and its reconstruction are given the same draw: the same seed. The steps, in order:

1. perhaps turned by some degrees, then brought to a side that is drawn, never far above its own; perhaps with another
   tone and without noise, so that neither is a sign of the class;
2. `degrade.random.random_edits`, and in half of the cases a sharpness that is drawn;
3. compressed, perhaps resized and compressed again;
4. the detector's own part: shrunk to `SIDE`.

Pixels are uint8 [H W 3]; a square is [S S 3].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from cameraborn.degrade.draw import Rng, log_uniform
from cameraborn.degrade.edits import brought_to_sharpness, colour, denoise, tone
from cameraborn.degrade.named import Encoding, recompressed
from cameraborn.degrade.random import INTERPOLATING, draw_encoding, random_edits
from cameraborn.files import Pixels

SIDE = 256  # pixels; a larger face is shrunk to it before the network

_TURNED, _SMALLEST_TURNED = 0.35, 160  # share that is turned, and from which side on, pixels
_SIDES, _LARGEST_NATIVE = (112, 420), 480  # sides that faces are brought to, pixels; where not all are shrunk
_KEPT = 0.8  # share of those drawn larger than they are that keep their side; others grow, by at most 1.8
_COLOURED_TOO = 0.4  # share of changed tones
_MATCHED, _SHARPNESS = 0.5, (5.5, 0.9)  # share brought to a sharpness whose logarithm is drawn
_COMPRESSED, _AGAIN = 0.7, 0.25  # shares compressed, and processed by a second site
_SMALLEST_AGAIN = 104  # pixels
_LIGHT_COMPRESSED, _LIGHT_QUALITY = 0.8, 60  # of histories without edits

WEBP = 0.3  # share of compressions: the rest is JPEG
_CHROMA_HALVED = 0.65  # share of JPEG files in which the colours have half the resolution

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
class Histories:
    """How much random histories do to pictures.

    Attributes:
        strength: how often edits happen, over the chances of `degrade.random`.
        native: share of the larger faces that are not shrunk to `SIDE` in the end.
        light: share that is resized and compressed once, without edits.
        toned: share of all whose tone is changed first, two in five times with the colours.
        denoised: share of all from which noise is taken first.
    """

    strength: float = 1.0
    native: float = 0.0
    light: float = 0.0
    toned: float = 0.0
    denoised: float = 0.0


def random_history(square: Pixels, rng: Rng, histories: Histories, side: int | None = None) -> Pixels:
    """All steps: [S S 3] to [S' S' 3]; a side that is given is not drawn."""
    if rng.random() < _TURNED and square.shape[0] >= _SMALLEST_TURNED:
        square = turned(square, rng)
    x = resized(square, drawn_side(square.shape[0], rng, histories) if side is None else side, rng)
    if histories.toned and rng.random() < histories.toned:
        x = tone(x, rng)
        x = colour(x, rng) if rng.random() < _COLOURED_TOO else x
    if histories.denoised and rng.random() < histories.denoised:
        x = denoise(x, rng)
    if rng.random() < histories.light:
        x = compressed(x, rng, _LIGHT_QUALITY) if rng.random() < _LIGHT_COMPRESSED else x
        return _as_detected(x, rng, histories)
    x = random_edits(x, rng, histories.strength)
    if rng.random() < _MATCHED:
        x = brought_to_sharpness(x, math.expm1(rng.normal(*_SHARPNESS)))
    if rng.random() < _COMPRESSED:
        x = compressed(x, rng)
    if rng.random() < _AGAIN:
        x = _processed_again(x, rng)
    return _as_detected(x, rng, histories)


def drawn_side(own: int, rng: Rng, histories: Histories) -> int:
    """The side in pixels that a square of `own` pixels is brought to; every factor is as likely as any other."""
    side = int(log_uniform(rng, _SIDES[0], _LARGEST_NATIVE if histories.native else _SIDES[1]))
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


def compressed(x: Pixels, rng: Rng, lowest: int = 45) -> Pixels:
    """Stored at a quality of `lowest` to 99: as WebP in a share `WEBP` of cases, else as JPEG."""
    quality = int(rng.integers(lowest, 100))
    if rng.random() < WEBP:
        return recompressed(x, "WEBP", quality)
    return recompressed(x, "JPEG", quality, "4:2:0" if rng.random() < _CHROMA_HALVED else "4:4:4")


def stored(x: Pixels, rng: Rng, format: Encoding, lowest: int = 72) -> Pixels:
    """As a file of that format holds it, at a quality of `lowest` to 96."""
    return recompressed(x, format, int(rng.integers(lowest, 97)))


def blurred_and_stored(
    x: Pixels,
    rng: Rng,
    blur_probability: float,
    blur_sigma: tuple[float, float],
    jpeg_probability: float,
    jpeg_quality: tuple[int, int],
) -> Pixels:
    """Perhaps blurred, perhaps stored as JPEG, as Wang et al. do (CVPR 2020, arXiv 1912.11035, section 4.1)."""
    if rng.random() < blur_probability:
        sigma = rng.uniform(*blur_sigma)
        x = gaussian_filter(x, sigma=(sigma, sigma, 0.0))
    encoding = draw_encoding(rng, jpeg=jpeg_probability, jpeg_quality=jpeg_quality)
    return x if encoding is None else recompressed(x, *encoding)


def _processed_again(x: Pixels, rng: Rng) -> Pixels:
    """By a second site: resized, and perhaps compressed."""
    if (side := int(x.shape[0] * rng.uniform(0.6, 1.3))) >= _SMALLEST_AGAIN:
        x = resized(x, side, rng)
    return compressed(x, rng) if rng.random() < _COMPRESSED else x


def _as_detected(x: Pixels, rng: Rng, histories: Histories) -> Pixels:
    """Shrunk as the detector does, but for a share that stays as it is."""
    return antialiased(x, SIDE) if x.shape[0] > SIDE and rng.random() >= histories.native else x
