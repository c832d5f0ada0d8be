"""A detector in a configuration of the benchmark; what one answers is `detect.verdict.Scored`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict

from cameraborn.bench.cache import Observed
from cameraborn.detect.verdict import Scorer
from cameraborn.files import Array, as_several

ERROR_SCOPE = "unreadable"
SEEN_SCOPE = "seen"
PROTOCOL, OWN_THRESHOLD = "aigfd", "own threshold"  # kinds of detector that no configuration names


class DetectorSection(BaseModel):
    """One detector of a configuration, as `{kind = "bundle", which = "models/default"}` or `{bundle = "..."}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str  # one of `bench.kinds.KINDS`
    which: str  # a bundle's folder (`default`: the one that ships), the name of a cue, a rival or an encoder
    name: str = ""  # in tables; empty: the detector's own
    whole_image: bool = False  # score whole pictures, look for no faces
    sources: tuple[str, ...] = ()  # photograph sources it has learnt from, besides those its bundle names
    evidence: str = ""  # of a bundle: judge by this channel alone; empty: by what makes its score
    # Of a rival or an encoder: files of import-checkpoint or of a training.
    weights: Annotated[tuple[Path, ...], BeforeValidator(as_several)] = ()


class Observer(Protocol):
    """What has numbers for the largest face of a picture, or for the whole picture; thread-safe."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def key(self) -> str:
        """Digest of its content and settings."""
        ...

    def has_seen(self, sha256: str) -> bool:
        """Whether it has learnt from this file."""
        ...

    def observe(self, file: Path, sha256: str) -> Observed:
        """The numbers of a file, from the cache if they are there.

        Raises:
            PictureError: the file cannot be read, or is another than it was.
        """
        ...


@runtime_checkable
class FeatureSource(Observer, Protocol):
    """What the papers' protocol takes features from: a bundle, or an encoder of others."""

    @property
    def encoder_key(self) -> str:
        """Digest of what decides a feature."""
        ...

    @property
    def section(self) -> DetectorSection:
        """What the configuration says of it."""
        ...


@runtime_checkable
class Uncalibrated(Observer, Protocol):
    """A scorer whose p-values rest on photographs that the configuration names: a rival."""

    @property
    def by_own_threshold(self) -> Scorer | None:
        """The same scores decided on as its authors do, once it is calibrated; None if they decide nothing."""
        ...

    def calibrate(self, scores: Array, photographs: Collection[str], sources: Collection[str]) -> None:
        """Decide from now on by the scores [n] of held-out photographs.

        Args:
            scores: of those that show a usable face.
            photographs: the files' digests.
            sources: where they came from.
        """
        ...
