"""The kinds of detector that a configuration can name: a new kind is one entry of `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.cues import CueScorer
from cameraborn.bench.scorers import DetectorSection, Scorer
from cameraborn.data.cues import CUES
from cameraborn.registry import Registry


@dataclass(frozen=True)
class Kind:
    """One kind of detector.

    Attributes:
        open: makes the scorer of a section; features that it computes may be kept in the cache.
        choices: what a section can name; empty: a path.
    """

    open: Callable[[DetectorSection, FeatureCache], Scorer]
    choices: Collection[str] = ()


def _open_bundle(section: DetectorSection, cache: FeatureCache) -> Scorer:
    # Only here: a report reads configurations without ONNX Runtime.
    from cameraborn.bench.bundles import BundleScorer

    return BundleScorer(section, cache)


KINDS: Registry[Kind] = Registry("kind of detector", ValueError)
KINDS.add("bundle", Kind(_open_bundle))
KINDS.add("cue", Kind(lambda section, _: CueScorer(section), choices=CUES))
