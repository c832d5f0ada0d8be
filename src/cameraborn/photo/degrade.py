"""What delivery does to a picture: named degradations, and random chains of them.

`"jpeg:75"`, `"webp:80"` and `"resize:0.5"` are deterministic. `random_delivery` draws what an unknown web site may have
done; photographs are put through it before a mixture is fitted or calibrated, so that delivery alone is no surprise.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.errors import PictureError

Pixels = NDArray[np.uint8]
LOWEST_QUALITY = 60  # of random recompression
_FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)


def degrade(pixels: Pixels, name: str) -> Pixels:
    """Apply one named degradation to pixels [H W 3]; the result is [H' W' 3].

    Raises:
        PictureError: the name is unknown or its number is out of range.
    """
    kind, _, text = name.partition(":")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if kind in ("jpeg", "webp") and 1 <= number <= 100:
        return recompressed(pixels, "JPEG" if kind == "jpeg" else "WEBP", int(number))
    if kind == "resize" and 0 < number <= 4:
        return resized(pixels, number, Image.Resampling.BICUBIC)
    raise PictureError(f"{name}: not a degradation: use jpeg:1..100, webp:1..100 or resize:0..4")


def recompressed(pixels: Pixels, format: Literal["JPEG", "WEBP"], quality: int) -> Pixels:
    """Encode and decode once."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def resized(pixels: Pixels, factor: float, resampling: Image.Resampling) -> Pixels:
    """Both sides times `factor`, at least one pixel each, antialiased."""
    H, W, _ = pixels.shape
    size = (max(1, round(W * factor)), max(1, round(H * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, resampling))


def random_delivery(
    pixels: Pixels, rng: np.random.Generator, *, smallest_side: int
) -> tuple[Pixels, int | None]:
    """A random chain: perhaps shrink (never under `smallest_side`), then perhaps recompress.

    Returns:
        The pixels, and the quality of the last JPEG compression, None if there was none.
    """
    side = min(pixels.shape[:2])
    if side > smallest_side and rng.random() < 0.5:
        factor = float(np.exp(rng.uniform(np.log(smallest_side / side), 0.0)))
        pixels = resized(pixels, factor, _FILTERS[rng.integers(len(_FILTERS))])
    quality = int(rng.integers(LOWEST_QUALITY, 100))
    if rng.random() < 0.6:
        return recompressed(pixels, "JPEG", quality), quality
    if rng.random() < 0.2:
        return recompressed(pixels, "WEBP", quality), None
    return pixels, None
