"""What can be said of a picture without looking at what is on it.

Cues of the container (format, size, compression, metadata) and of the crudest statistics of the pixels. A detector must
do better than these, or it has learnt how a data set was stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.photo.decode import Picture

CATEGORIES = ("format", "dimensions", "JPEG tables", "chroma subsampling", "ICC profile", "EXIF")
NUMBERS = ("short side", "aspect", "JPEG quality", "bytes a pixel", "sharpness", "brightness", "saturation")
LOOKS = frozenset({"sharpness", "brightness", "saturation"})  # of the pixels; all others are the container's
_WINDOW = 1024  # px: sharpness is looked at in the middle, at the picture's own scale


@dataclass(frozen=True)
class Cues:
    """The cues of one picture.

    Attributes:
        categories: a word for each of `CATEGORIES`.
        numbers: a number for each of `NUMBERS`, nan where the picture has none: short side in px; aspect as width over
            height; JPEG quality 1..100; bytes a pixel; sharpness as the variance of the luma's Laplacian; brightness as
            the mean luma, 0..255; saturation as the mean of (highest - lowest channel) / highest, 0..1.
    """

    categories: tuple[str, ...]
    numbers: tuple[float, ...]


def cues_of(picture: Picture) -> Cues:
    """Measure a picture."""
    H, W, _ = picture.pixels.shape
    quality = picture.jpeg_quality
    return Cues(
        categories=(
            picture.format,
            f"{W} x {H}",
            "none" if picture.jpeg_tables is None else f"Q{quality} {picture.jpeg_tables}",
            picture.subsampling or "none",
            "present" if picture.has_icc else "absent",
            "present" if picture.has_exif else "absent",
        ),
        numbers=(
            min(H, W),
            W / H,
            np.nan if quality is None else quality,
            np.nan if picture.n_bytes is None else picture.n_bytes / (H * W),
            _sharpness(picture.pixels),
            *_brightness_and_saturation(picture.pixels),
        ),
    )


def _sharpness(pixels: NDArray[np.uint8]) -> float:
    H, W, _ = pixels.shape
    y, x = max(0, H - _WINDOW) // 2, max(0, W - _WINDOW) // 2
    middle = Image.fromarray(pixels[y : y + _WINDOW, x : x + _WINDOW])
    luma = np.asarray(middle.convert("L")).astype(np.int32)
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return float(laplacian.var())


def _brightness_and_saturation(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Means over some 512 x 512 pixels: they need no more."""
    step = max(1, min(pixels.shape[:2]) // 512)
    sample = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    saturation = np.asarray(sample.convert("HSV").getchannel("S"))
    return float(np.asarray(sample.convert("L")).mean()), float(saturation.mean()) / 255
