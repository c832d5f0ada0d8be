"""Edits at random: what photographers, phones and web sites do to a picture, for photographs and fakes alike.

The table `EDITS` says how often each happens. An edit takes a picture and its own random numbers, and knows nothing of
where the picture comes from. Pixels are uint8 [H W 3].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cameraborn.data.cues import sharpness
from cameraborn.degrade.random import log_uniform
from cameraborn.files import Pixels

Rng = np.random.Generator
Edit = Callable[[Pixels, Rng], Pixels]
Format = Literal["jpg", "webp"]

WEBP = 0.3  # share of compressions: the rest is JPEG
_CHROMA_HALVED = 0.65  # share of JPEG files in which the colours have half the resolution
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


def blur(x: Pixels, rng: Rng) -> Pixels:
    """Gaussian, of .35 to 1.8 pixels."""
    return blurred(x, log_uniform(rng, 0.35, 1.8))


def sharpen(x: Pixels, rng: Rng) -> Pixels:
    """Unsharp masking."""
    radius, amount = float(rng.uniform(0.6, 2.5)), float(rng.uniform(0.2, 1.6))
    return sharpened(x, radius, amount)


def noise(x: Pixels, rng: Rng) -> Pixels:
    """Noise of .8 to 9 grey levels, of each channel or of the brightness, now and then with a grain."""
    strength = log_uniform(rng, 0.8, 9)
    if rng.random() < 0.5:
        grain = rng.standard_normal(x.shape, np.float32)
    else:
        grain = np.repeat(rng.standard_normal((*x.shape[:2], 1), np.float32), 3, axis=2)
    if rng.random() < 0.3:
        grain = 1.8 * np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.7))
    return _levels(x + strength * grain)


EDITS: tuple[tuple[float, Edit], ...] = (  # how often each happens
    (0.35, tone),
    (0.25, colour),
    (0.05, grey),
    (0.08, retouch),
    (0.16, blur),
    (0.16, sharpen),
    (0.14, noise),
)


def edited(x: Pixels, rng: Rng, strength: float, table: tuple[tuple[float, Edit], ...] = EDITS) -> Pixels:
    """The edits of a table in an order drawn at random, each as often as it says times `strength`."""
    for place in rng.permutation(len(table)):
        share, edit = table[place]
        # Its own numbers, so that an edit that draws one more leaves what follows as it was.
        own = np.random.default_rng(int(rng.integers(2**31)))
        if rng.random() < share * strength:
            x = edit(x, own)
    return x


def compressed(x: Pixels, rng: Rng, lowest: int = 45) -> Pixels:
    """Stored at a quality of `lowest` to 99: as WebP in a share `WEBP` of cases, else as JPEG."""
    quality = int(rng.integers(lowest, 100))
    if rng.random() < WEBP:
        return encoded(x, "webp", quality)
    halved = rng.random() < _CHROMA_HALVED
    return encoded(x, "jpg", quality, halved=halved)


def stored(x: Pixels, rng: Rng, format: Format, lowest: int = 72) -> Pixels:
    """As a file of that format holds it, at a quality of `lowest` to 96."""
    return encoded(x, format, int(rng.integers(lowest, 97)))


def encoded(x: Pixels, format: Format, quality: int, *, halved: bool = True) -> Pixels:
    """Compressed and read again; `halved`: a JPEG's colours have half the resolution."""
    settings = [cv2.IMWRITE_WEBP_QUALITY, quality]
    if format == "jpg":
        full, half = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, half if halved else full]
    _, file = cv2.imencode(f".{format}", cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2BGR), settings)
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a line ago
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def blurred(x: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; `sigma` in pixels."""
    return np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8)


def sharpened(x: Pixels, radius: float, amount: float) -> Pixels:
    """Unsharp masking: what a blur of `radius` pixels takes away is added `amount` times."""
    return np.asarray(cv2.addWeighted(x, 1 + amount, blurred(x, radius), -amount, 0), np.uint8)


def brought_to_sharpness(x: Pixels, target: float) -> Pixels:
    """Blurred or sharpened until `data.cues.sharpness` is the target, or as near as sane strengths allow."""
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
