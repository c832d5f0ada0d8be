"""How sharp a picture is: one measure, for cues of data sets as for training."""

from __future__ import annotations

import numpy as np

from cameraborn.files import Pixels

_WINDOW = 1024  # pixels: sharpness is measured in the middle, at the picture's own scale


def sharpness(pixels: Pixels) -> float:
    """Variance of the Laplacian of the grey levels (means of the channels), in the middle of a picture [H W 3]."""
    H, W, _ = pixels.shape
    y, x = max(0, H - _WINDOW) // 2, max(0, W - _WINDOW) // 2
    middle = pixels[y : y + _WINDOW, x : x + _WINDOW].astype(
        np.int16
    )  # sums and Laplacians fit, and are exact
    grey = middle[..., 0] + middle[..., 1] + middle[..., 2]  # times 3
    laplacian = 4 * grey[1:-1, 1:-1]
    for neighbours in (grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:]):
        laplacian -= neighbours
    values = laplacian.ravel().astype(np.float64)
    return float(values @ values / values.size - values.mean() ** 2) / 9
