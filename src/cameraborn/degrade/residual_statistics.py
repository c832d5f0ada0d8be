"""Residual statistics: what processing leaves in the pixels of a face, in 24 numbers that need no network.

Noise, sharpening, blur and resizing cannot be read from a file's header, and they move a detector's score more than
size and quality do. What they do to the finest details can be seen (a few milliseconds a face):

- in each octave, diagonal details and edges: blur, enlarging and shrinking lower the finest, sharpening raises them;
- from the smoothest to the busiest parts, how much detail there is: noise fills the smooth ones, compression empties
  them, blur takes from the busy ones.

They are measured on the face as the network sees it, and on its middle as it was delivered, where enlarging shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Pixels

ResidualStatistics = NDArray[np.float32]  # [N_STATISTICS]

_OCTAVES_SEEN, _OCTAVES_NATIVE = 4, 3
_SMOOTHEST = 10  # percent of the blocks
_PERCENTILES_SEEN, _PERCENTILES_NATIVE = (_SMOOTHEST, 25, 50, 75, 90), (_SMOOTHEST, 50, 90)
N_STATISTICS = 2 * _OCTAVES_SEEN + len(_PERCENTILES_SEEN) + 2 * _OCTAVES_NATIVE + len(_PERCENTILES_NATIVE) + 2
_NOISE = 2 * _OCTAVES_SEEN  # the place of the smoothest tenth
_BLOCK = 8  # pixels
_MIDDLE = 256  # pixels: as much of a large face says what there is to say
_LEAST = 0.05  # grey levels added before a logarithm: less is rounding
_DIGITS = 4  # as many as are written to a bundle, so that a class can be told again from the file


def residual_statistics(crop: Pixels, seen: Pixels) -> ResidualStatistics:
    """The residual statistics of a face: logarithms of grey levels, [N_STATISTICS].

    Args:
        crop: as it was delivered, [H W 3].
        seen: as the network sees it, [h w 3].

    Raises:
        ValueError: a side is under 16 pixels.
    """
    if min(seen.shape[:2]) < 2 * _BLOCK or min(crop.shape[:2]) < 2 * _BLOCK:
        raise ValueError(
            f"{seen.shape[1]} x {seen.shape[0]} pixels are too few to tell what they went through"
        )
    red, green, blue = (_plane(_middle(crop), channel) for channel in range(3))
    levels = [
        *_octaves(_plane(seen, 1), _OCTAVES_SEEN, _PERCENTILES_SEEN),
        *_octaves(green, _OCTAVES_NATIVE, _PERCENTILES_NATIVE),
        # what is left of colour's own detail
        *(_diagonal(channel - green).mean() for channel in (red, blue)),
    ]
    logarithms: ResidualStatistics = np.log(np.array(levels, np.float32) + np.float32(_LEAST))
    return logarithms


def noise_of(statistics: ResidualStatistics) -> float:
    """The level in the smoothest tenth of a face, where little but noise is left: log of grey levels."""
    return round(float(statistics[_NOISE]), _DIGITS)


def _octaves(plane: NDArray[np.float32], octaves: int, percentiles: tuple[int, ...]) -> list[float]:
    """Mean diagonal detail and mean edge of each octave, then percentiles of the finest diagonal over blocks."""
    finest = detail = _diagonal(plane)
    levels: list[float] = []
    for octave in range(octaves):
        if octave:
            plane = _halved(plane)
            detail = _diagonal(plane)
        edges = np.abs(plane[:-1] - plane[1:]).mean() + np.abs(plane[:, :-1] - plane[:, 1:]).mean()
        levels += [float(detail.mean()), float(edges) / 2]
    return levels + [float(level) for level in np.percentile(_blocks(finest), percentiles)]


def _plane(pixels: Pixels, channel: int) -> NDArray[np.float32]:
    return pixels[..., channel].astype(np.float32, order="C")


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every 2 x 2 pixels are one."""
    H, W = (length // 2 * 2 for length in plane.shape)
    rows = plane[:H:2] + plane[1:H:2]
    return (rows[:, :W:2] + rows[:, 1:W:2]) * np.float32(0.25)


def _diagonal(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Haar's diagonal detail of every 2 x 2 pixels, its size."""
    differences = plane[:-1] - plane[1:]
    return np.abs(differences[:, :-1] - differences[:, 1:]) * np.float32(0.5)


def _blocks(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    H, W = (length // _BLOCK * _BLOCK for length in detail.shape)
    means: NDArray[np.float32] = (
        detail[:H, :W].reshape(H // _BLOCK, _BLOCK, W // _BLOCK, _BLOCK).mean(axis=(1, 3))
    )
    return means


def _middle(pixels: Pixels) -> Pixels:
    H, W, _ = pixels.shape
    h, w = min(H, _MIDDLE), min(W, _MIDDLE)
    y, x = (H - h) // 2, (W - w) // 2
    return pixels[y : y + h, x : x + w]
