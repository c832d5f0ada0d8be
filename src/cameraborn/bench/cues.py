"""Trivial cues as detectors: what a detector must do better than."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from cameraborn.bench.scorers import ERROR_SCOPE, DetectorSection, Scored
from cameraborn.data.cues import CUES
from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture


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
