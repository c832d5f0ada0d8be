"""What is said of a face, for programs and people; and what every scorer gives, whatever it is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from cameraborn.files import Box

Scope = Literal[
    "ok",
    "no-face",
    "doubtful-face",
    "too-small",
    "damaged",
    "hdr",
    "beyond-calibration",
    "video",
    "unreadable",
]


@dataclass(frozen=True)
class ChannelVerdict:
    """What one channel of evidence says of a face.

    Attributes:
        surprise: higher = less like a photograph, in the channel's own unit.
        p_value: share of held-out photographs of the same category that surprise this channel at least as much; None
            where the detector abstains, or the channel has not been calibrated.
    """

    surprise: float
    p_value: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What is said of one face, or of one picture without a face to judge.

    Attributes:
        path: what the picture was called.
        face: number of the face in its picture, from 0, largest first, everywhere; None where there is no face.
        box: x0, y0, x1, y1 of the face (or of the whole picture) in upright pixels.
        width, height: size of the upright picture, in pixels.
        score: higher = less like a photograph: the combined surprise of the bundle's evidence, or that of one channel.
        p_value: share of held-out photographs of the same category of condition that are at least as surprising;
            small = surprising for a photograph.
        flagged: p_value is at or under the false-alarm rate; None where the detector abstains.
        scope: `ok`, or why the detector abstains.
        error: what is wrong with an unreadable picture.
        bundle: the name of the bundle that judged.
        evidence: what each channel of evidence says, by name.
        decided_by: of the channels that make the score, the one that raised it most above what it adds for the middle
            photograph of the category (with two tails: that moved it most to its side); None where none did, and where
            the detector abstains. Of a face that is not flagged it decided nothing.
        face_confidence: how sure the face finder is that this is a face, in [0, 1); None where there is none.
        notes: what else a reader should know, which is no part of the verdict: damage, high dynamic range, the frame of
            an animation, eyes and mouth that lie as FFHQ aligns them.
        start_s, end_s: of a video, when the face is seen first and last, in seconds; None for a picture.
        frames: of a video, how many frames that were looked at show the face; None for a picture or a single frame.
    """

    path: str
    face: int | None
    box: Box | None
    width: int | None
    height: int | None
    score: float | None
    p_value: float | None
    flagged: bool | None
    scope: Scope
    error: str | None
    bundle: str
    evidence: Mapping[str, ChannelVerdict] = field(default_factory=dict, hash=False)
    decided_by: str | None = None
    face_confidence: float | None = None
    notes: tuple[str, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    frames: int | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The fields by name, ready for JSON; the notes are one text."""
        return asdict(self) | {"notes": "; ".join(self.notes)}


@dataclass(frozen=True)
class Scored:
    """What a scorer answers for one picture.

    Attributes:
        scope: `ok`; why the scorer abstains; `unreadable` where there is an error; `seen` where it has learnt from
            the very file, so that its answer means nothing.
        score: higher = less like a photograph; None where there is none.
        p_value: small = surprising for a photograph; None where there is none.
        flagged: the scorer's own decision; None where it makes none.
        error: one line; empty where there is none.
        remembered: features came from a store, so the time says nothing.
    """

    scope: str
    score: float | None = None
    p_value: float | None = None
    flagged: bool | None = None
    error: str = ""
    remembered: bool = False


class Named(Protocol):
    """What a row of scores says of its scorer."""

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
    """A detector of any make, as a benchmark or a service sees it; thread-safe."""

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
