"""Trivial cues as detectors: what separates a test set without looking for a generator.

A detector that does no better than these has not been shown to detect anything. Their sign is fixed beforehand, so an
AUC far from .5 in either direction says that the set gives the label away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cameraborn.photo.decode import Picture


def sharpness(picture: Picture) -> float:
    """Log variance of the Laplacian of the grey levels."""
    grey = picture.pixels.mean(axis=2)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.log(laplacian.var() + 1e-6))


def brightness(picture: Picture) -> float:
    """Mean level of all channels, 0 to 255."""
    return float(picture.pixels.mean())


def bytes_a_pixel(picture: Picture) -> float:
    """Size of the encoded file over its pixels."""
    H, W, _ = picture.pixels.shape
    return float((picture.n_bytes or 0) / (H * W))


CUES: dict[str, Callable[[Picture], float]] = {
    "sharpness": sharpness,
    "brightness": brightness,
    "bytes-per-pixel": bytes_a_pixel,
}
