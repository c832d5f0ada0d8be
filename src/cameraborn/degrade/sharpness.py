"""How sharp a picture is, and how it is brought to a sharpness: by a blur, or by unsharp masking."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cameraborn.degrade.edits import blurred, sharpened
from cameraborn.files import Pixels

_WINDOW = 1024  # pixels: sharpness is measured in the middle, at the picture's own scale
_BISECTIONS = 5  # of the strength that brings a picture to a sharpness
_SIGMAS, _AMOUNTS = (0.25, 2.0), (0.0, 2.5)  # of that blur, pixels, and of that sharpening


def sharpness(pixels: Pixels) -> float:
    """Variance of the Laplacian of the grey levels (means of the channels), in the middle of a picture [H W 3]."""
    H, W, _ = pixels.shape
    y, x = max(0, H - _WINDOW) // 2, max(0, W - _WINDOW) // 2
    middle = pixels[y : y + _WINDOW, x : x + _WINDOW].astype(np.float32)
    grey = cv2.transform(middle, np.ones((1, 3), np.float32))  # times 3
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float64)) / 9


def brought_to_sharpness(x: Pixels, target: float) -> Pixels:
    """Blurred or sharpened until `sharpness` is the target, or as near as sane strengths allow: [H W 3]."""
    if sharpness(x) > target:
        return _bisected(lambda sigma: blurred(x, sigma), *_SIGMAS, lambda y: sharpness(y) > target)
    return _bisected(lambda amount: sharpened(x, 1.0, amount), *_AMOUNTS, lambda y: sharpness(y) <= target)


def _bisected(
    change: Callable[[float], Pixels], low: float, high: float, more: Callable[[Pixels], bool]
) -> Pixels:
    """The picture that bisection of a strength ends with; `more` says whether it takes more of it."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        y = change(middle)
        low, high = (middle, high) if more(y) else (low, middle)
    return y
