"""What the benchmark asks of a detector, and the trivial cues as detectors."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from cameraborn.bench.config import DetectorSection
from cameraborn.data.cues import CUES
from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture

ERROR_SCOPE = "unreadable"
SEEN_SCOPE = "seen"


@dataclass(frozen=True)
class Judgement:
    """What a detector says of one picture.

    Attributes:
        scope: `ok`; why the detector abstains; `unreadable` where there is an error; `seen` where it has learnt from
            the very file, so that its answer means nothing.
        score: higher = less like a photograph; None where there is none.
        p_value: small = surprising for a photograph; None where there is none.
        flagged: the detector's own decision; None where it makes none.
        error: one line; empty where there is none.
        remembered: features came from the cache, so the time says nothing.
    """

    scope: str
    score: float | None = None
    p_value: float | None = None
    flagged: bool | None = None
    error: str = ""
    remembered: bool = False


class Named(Protocol):
    """What a row says of its detector."""

    @property
    def name(self) -> str:
        """In tables."""
        ...

    @property
    def key(self) -> str:
        """Of its content and settings."""
        ...

    @property
    def sources(self) -> Collection[str]:
        """Photograph sources that it has learnt from."""
        ...


class Judge(Named, Protocol):
    """A detector as the benchmark sees it; thread-safe."""

    def has_seen(self, sha256: str) -> bool:
        """Has it learnt from this file?"""
        ...

    def judge(self, data: bytes, name: str, false_alarm_rate: float) -> Judgement:
        """Judge an encoded picture."""
        ...


class CueJudge:
    """A trivial cue as a detector: it has a score, and no threshold."""

    sources: Collection[str] = ()

    def __init__(self, section: DetectorSection) -> None:
        self.name = section.name or section.cue
        self.key = "cue-" + hashlib.sha256(section.cue.encode()).hexdigest()[:12]
        self._cue = CUES[section.cue]

    def has_seen(self, sha256: str) -> bool:
        """Never: nothing is learnt."""
        return False

    def judge(self, data: bytes, name: str, false_alarm_rate: float) -> Judgement:
        """The cue's value."""
        try:
            return Judgement("ok", self._cue(open_picture(data, name=name)))
        except PictureError as error:
            return Judgement(ERROR_SCOPE, error=str(error))
