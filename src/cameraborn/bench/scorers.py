"""What the benchmark asks of a detector, a `Scorer`, and what it answers for one picture, `Scored`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

ERROR_SCOPE = "unreadable"
SEEN_SCOPE = "seen"


class DetectorSection(BaseModel):
    """One detector of a configuration, as `{kind = "bundle", which = "models/default"}` or `{bundle = "..."}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str  # one of `bench.kinds.KINDS`
    which: str  # a bundle's folder (`default`: the one that ships), a cue's name, ...
    name: str = ""  # in tables; empty: the detector's own
    whole_image: bool = False  # score whole pictures, look for no faces
    sources: tuple[str, ...] = ()  # photograph sources it has learnt from, besides those its bundle names


@dataclass(frozen=True)
class Scored:
    """What a detector answers for one picture.

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
    """What a row of scores says of its detector."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def key(self) -> str:
        """Digest of its content and settings."""
        ...

    @property
    def sources(self) -> Collection[str]:
        """Photograph sources that it has learnt from."""
        ...


class Scorer(Named, Protocol):
    """A detector as the benchmark sees it; thread-safe."""

    @property
    def calibration_size(self) -> int:
        """Number of photographs that its p-values rest on; 0 where it has none."""
        ...

    def check(self, false_alarm_rate: float) -> None:
        """Raise a `CamerabornError` if the detector cannot decide at this rate."""
        ...

    def has_seen(self, sha256: str) -> bool:
        """Whether it has learnt from this file."""
        ...

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """Score an encoded picture, which errors call by `name`."""
        ...
