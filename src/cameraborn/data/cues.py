"""What can be said of a picture without looking at what is on it.

Cues of the container (format, size, compression, metadata) and of the crudest statistics of the pixels. A detector must
do better than these, or it has learnt how a data set was stored. `cues_of` measures all for an audit; `CUES` are three
that the benchmark ranks as detectors. Their sign is fixed, so an AUC far from .5 either way says that the set gives
the label away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cameraborn.degrade.sharpness import sharpness
from cameraborn.files import Pixels
from cameraborn.photo.decode import Picture

CATEGORIES = ("format", "dimensions", "JPEG tables", "chroma subsampling", "ICC profile", "EXIF")
NUMBERS = ("short side", "aspect", "JPEG quality", "bytes a pixel", "sharpness", "brightness", "saturation")
OF_PIXELS = frozenset({"sharpness", "brightness", "saturation"})  # all others are the container's


@dataclass(frozen=True)
class Cues:
    """The cues of one picture.

    Attributes:
        categories: a word for each of `CATEGORIES`.
        numbers: a number for each of `NUMBERS`, nan where the picture has none: short side in px; aspect as width over
            height; JPEG quality 1..100; bytes a pixel; `sharpness`; `brightness`; saturation as the mean of
            (highest - lowest channel) / highest, 0..1.
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
            sharpness(picture.pixels),
            brightness(picture.pixels),
            _saturation(picture.pixels),
        ),
    )


def brightness(pixels: Pixels) -> float:
    """Mean level of all channels, 0 to 255."""
    return float(pixels.mean())


def _saturation(pixels: Pixels) -> float:
    """The mean over some 512 x 512 pixels: it needs no more."""
    step = max(1, min(pixels.shape[:2]) // 512)
    sample = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    return float(np.asarray(sample.convert("HSV").getchannel("S")).mean()) / 255


CUES: dict[str, Callable[[Picture], float]] = {
    "sharpness": lambda picture: float(np.log(sharpness(picture.pixels) + 1e-6)),
    "brightness": lambda picture: brightness(picture.pixels),
    "bytes-per-pixel": lambda picture: (picture.n_bytes or 0) / (picture.pixels.size / 3),
}
