"""The detectors of a configuration, opened, with the file of features that they share."""

from __future__ import annotations

from collections.abc import Iterator

from cameraborn.bench.bundles import BundleScorer
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import BenchConfig
from cameraborn.bench.kinds import KINDS
from cameraborn.bench.record import DetectorRecord
from cameraborn.detect.verdict import Scorer


class Detectors:
    """A configuration's detectors, in its order: `with closing(Detectors(config)) as detectors: detectors.open()`.

    What travels to another process is the configuration: the stage that works there opens them anew.

    Raises:
        BenchError: on opening, the file of features cannot be used.
        BundleError: on opening, a bundle is missing or damaged.
    """

    def __init__(self, config: BenchConfig) -> None:
        self.config = config
        self._cache: FeatureCache | None = None
        self._scorers: list[Scorer] = []

    def __reduce__(self) -> tuple[type[Detectors], tuple[BenchConfig]]:
        return Detectors, (self.config,)

    def open(self) -> None:
        """Open them, if they are not open yet."""
        if self._cache is None:
            self._cache = FeatureCache(self.config.cache or self.config.output / "features.sqlite")
            self._scorers = [
                KINDS[section.kind].open(section, self._cache) for section in self.config.detectors
            ]

    def close(self) -> None:
        """Close the file of features."""
        if self._cache is not None:
            self._cache.close()
        self._cache, self._scorers = None, []

    def __iter__(self) -> Iterator[Scorer]:
        return iter(self._scorers)

    def by_key(self) -> dict[str, Scorer]:
        """Scorers by the key that rows of scores know them by."""
        return {scorer.key: scorer for scorer in self}

    def bundle(self, key: str) -> BundleScorer:
        """The bundle of a key."""
        return next(bundle for bundle in self.bundles if bundle.key == key)

    @property
    def bundles(self) -> list[BundleScorer]:
        """Those of which the papers' protocol can take features."""
        return [scorer for scorer in self if isinstance(scorer, BundleScorer)]

    @property
    def records(self) -> list[DetectorRecord]:
        """What a run remembers of them."""
        return [
            DetectorRecord(
                name=scorer.name, key=scorer.key, kind=section.kind, calibration_size=scorer.calibration_size
            )
            for section, scorer in zip(self.config.detectors, self, strict=True)
        ]
