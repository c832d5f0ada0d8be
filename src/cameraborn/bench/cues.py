"""Trivial cues as detectors: what separates a test set without looking for a generator.

A detector that does no better than these has not been shown to detect anything. Their sign is fixed beforehand, so an
AUC far from .5 in either direction says that the set gives the label away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

import numpy as np

from cameraborn.bench.scorers import ERROR_SCOPE, DetectorSection, Scored
from cameraborn.errors import PictureError
from cameraborn.photo.decode import Picture, open_picture


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


class CueScorer:
    """A trivial cue as a detector: it has a score, and no threshold."""

    sources: Collection[str] = ()
    calibration_size = 0

    def __init__(self, section: DetectorSection) -> None:
        self.name = section.name or section.which
        self.key = "cue-" + hashlib.sha256(section.which.encode()).hexdigest()[:12]
        self._cue = CUES[section.which]

    def check(self, false_alarm_rate: float) -> None:
        """Pass at every rate: a cue decides nothing."""

    def has_seen(self, sha256: str) -> bool:
        """Never: a cue learns nothing."""
        return False

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """The cue's value."""
        try:
            return Scored("ok", self._cue(open_picture(data, name=name)))
        except PictureError as error:
            return Scored(ERROR_SCOPE, error=str(error))
