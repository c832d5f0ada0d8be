"""What photographers, phones and editors do to a picture: changes that draw their own strengths.

How often each happens stands in the tables of `degrade.random`. The Gaussian blur is OpenCV's: Pillow's, that of
`degrade.named`, is made of boxes, which at .6 pixels blur three times as much, and takes seven times as long. OpenCV
comes with training alone, so nothing that runs without it may import this file.

Pixels are uint8 [H W 3].
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from cameraborn.degrade.draw import Rng, log_uniform
from cameraborn.degrade.sharpness import sharpness
from cameraborn.files import Pixels
from cameraborn.registry import Registry

Edit = Callable[[Pixels, Rng], Pixels]

_BISECTIONS = 5  # of the strength that brings a picture to a sharpness
_SIGMAS, _AMOUNTS = (0.25, 2.0), (0.0, 2.5)  # of that blur, pixels, and of that sharpening


def tone(x: Pixels, rng: Rng) -> Pixels:
    """Another gamma, contrast and brightness; now and then an S-shaped curve or its inverse, as "HDR" looks have."""
    gamma, gain, lift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.12)), rng.normal(0, 8)
    levels = np.arange(256) / 255
    curve = 255 * levels**gamma
    if rng.random() < 0.3:
        curve = curve + rng.uniform(-18, 18) * np.sin(levels * 2 * np.pi)
    curve = (curve - 128) * gain + 128 + lift
    return np.asarray(cv2.LUT(x, np.clip(curve, 0, 255).astype(np.uint8)), np.uint8)


def colour(x: Pixels, rng: Rng) -> Pixels:
    """Another saturation and white balance."""
    grey = x.mean(axis=2, keepdims=True)
    balance = np.exp(rng.normal(0, 0.06, 3))
    return _levels(((x - grey) * rng.uniform(0.5, 1.5) + grey) * balance.astype(np.float32))


def grey(x: Pixels, rng: Rng) -> Pixels:
    """Without colour."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def retouch(x: Pixels, rng: Rng) -> Pixels:
    """Skin smoothed, as editors and phones do."""
    kind = rng.integers(4)
    if kind == 0:
        smooth = cv2.bilateralFilter(x, 5, float(rng.uniform(8, 35)), float(rng.uniform(1, 4)))
    elif kind == 1:
        smooth = cv2.medianBlur(x, 3)
    elif kind == 2:
        smooth = cv2.bilateralFilter(x, 9, float(rng.uniform(8, 30)), 5.0)
    else:
        smooth = cv2.boxFilter(x, -1, (3, 3))
    share = float(rng.uniform(0.3, 1.0))
    return np.asarray(cv2.addWeighted(x, 1 - share, smooth, share, 0), np.uint8)


def gaussian_blur(x: Pixels, rng: Rng) -> Pixels:
    """Gaussian, of .35 to 1.8 pixels."""
    return blurred(x, log_uniform(rng, 0.35, 1.8))


def unsharp_mask(x: Pixels, rng: Rng) -> Pixels:
    """Unsharp masking with a radius of .6 to 2.5 pixels."""
    radius, amount = float(rng.uniform(0.6, 2.5)), float(rng.uniform(0.2, 1.6))
    return sharpened(x, radius, amount)


def grain(x: Pixels, rng: Rng) -> Pixels:
    """Noise of .8 to 9 grey levels, of each channel or of the brightness, now and then with a grain."""
    strength = log_uniform(rng, 0.8, 9)
    if rng.random() < 0.5:
        noise = rng.standard_normal(x.shape, np.float32)
    else:
        noise = np.repeat(rng.standard_normal((*x.shape[:2], 1), np.float32), 3, axis=2)
    if rng.random() < 0.3:
        noise = 1.8 * np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.7))
    return _levels(x + strength * noise)


def denoise(x: Pixels, rng: Rng) -> Pixels:
    """Noise taken away, by non-local means or by a guided filter, of 1 to 6 grey levels, often more in the colours."""
    strength = log_uniform(rng, 1.0, 6.0)
    if rng.random() < 0.5:
        colours = strength * float(rng.uniform(0.7, 2.0))
        smooth = cv2.fastNlMeansDenoisingColored(x, None, strength, colours, 3, 9)
    else:
        smooth = guided(x, int(rng.integers(1, 4)), 2 * strength)
    share = float(rng.uniform(0.5, 1.0))
    return np.asarray(cv2.addWeighted(x, 1 - share, smooth, share, 0), np.uint8)


EDITS: Registry[Edit] = Registry("edit")
for _edit in (tone, colour, grey, retouch, gaussian_blur, unsharp_mask, grain, denoise):
    EDITS.add(_edit.__name__, _edit)


def blurred(x: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; `sigma` in pixels."""
    return np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8)


def sharpened(x: Pixels, radius: float, amount: float) -> Pixels:
    """Unsharp masking: what a blur of `radius` pixels takes away is added `amount` times."""
    return np.asarray(cv2.addWeighted(x, 1 + amount, blurred(x, radius), -amount, 0), np.uint8)


def guided(x: Pixels, radius: int, edge: float) -> Pixels:
    """Smoothed where it differs by less than `edge` grey levels within `radius` pixels; edges stay.

    The guided filter with the picture as its own guide (He, Sun and Tang, TPAMI 2013, equations 5, 6 and 8).
    """
    levels, window = x.astype(np.float32), (2 * radius + 1,) * 2
    mean = cv2.blur(levels, window)
    variance = cv2.blur(levels * levels, window) - mean * mean
    slope = variance / (variance + edge * edge)
    return _levels(cv2.blur(slope, window) * levels + cv2.blur(mean - slope * mean, window))


def brought_to_sharpness(x: Pixels, target: float) -> Pixels:
    """Blurred or sharpened until its `sharpness` is the target, or as near as sane strengths allow."""
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


def _levels(values: NDArray[np.floating]) -> Pixels:
    levels: Pixels = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return levels
