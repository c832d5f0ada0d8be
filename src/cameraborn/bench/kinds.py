"""The kinds of detector that a configuration can name: a new kind is one entry of `KINDS`.

A trivial cue is the simplest: a detector that does no better than these has not been shown to detect anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.util import find_spec

from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.scorers import ERROR_SCOPE, DetectorSection, FeatureSource
from cameraborn.data.cues import CUES
from cameraborn.detect.verdict import Scored, Scorer
from cameraborn.errors import BenchError, PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.registry import Registry


@dataclass(frozen=True)
class Kind:
    """One kind of detector.

    Attributes:
        open: makes the scorer of a section; features that it computes may be kept in the cache.
        choices: what a section can name; empty: whatever opens.
        scores: whether it scores by itself; else it gives features to the papers' protocol alone.
        takes_weights: whether a section may name weights.
        lacks: one line for a section whose weights are missing, else nothing; weights that do not fit are an error.
    """

    open: Callable[[DetectorSection, FeatureCache], Scorer | FeatureSource]
    choices: Collection[str] = ()
    scores: bool = True
    takes_weights: bool = False
    lacks: Callable[[DetectorSection], str] = lambda section: ""


def _open_bundle(section: DetectorSection, cache: FeatureCache) -> Scorer:
    # Only here: a report reads configurations without ONNX Runtime.
    from cameraborn.bench.bundles import BundleScorer

    return BundleScorer(section, cache)


def _open_rival(section: DetectorSection, cache: FeatureCache) -> Scorer:
    _needs_torch(section)
    from cameraborn.bench.rivals import RivalScorer

    return RivalScorer(section, cache)


def _open_encoder(section: DetectorSection, cache: FeatureCache) -> FeatureSource:
    _needs_torch(section)
    from cameraborn.bench.rivals import EncoderFeatures

    return EncoderFeatures(section, cache)


def _lacks_weights(section: DetectorSection) -> str:
    _needs_torch(section)
    from cameraborn.bench.rivals import lacking_weights

    return lacking_weights(section)


def _needs_torch(section: DetectorSection) -> None:
    if find_spec("torch") is None:
        raise BenchError(f"the {section.kind} {section.which} needs torch: pip install 'cameraborn[train]'")


class CueScorer:
    """A trivial cue as a detector: it has a score, and no threshold."""

    sources: Collection[str] = ()
    calibration_size = 0

    def __init__(self, section: DetectorSection, _: FeatureCache | None = None) -> None:
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


KINDS: Registry[Kind] = Registry("kind of detector", ValueError)
KINDS.add("bundle", Kind(_open_bundle))
KINDS.add("cue", Kind(CueScorer, choices=CUES))
KINDS.add("rival", Kind(_open_rival, takes_weights=True, lacks=_lacks_weights))
KINDS.add("encoder", Kind(_open_encoder, scores=False, takes_weights=True, lacks=_lacks_weights))
