"""The detectors of a configuration, opened, with the file of features that they share."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import cast

from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import BenchConfig
from cameraborn.bench.kinds import KINDS
from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import OWN_THRESHOLD, DetectorSection, FeatureSource, Observer, Uncalibrated
from cameraborn.detect.verdict import Scorer


class Detectors:
    """A configuration's detectors, in its order: `with closing(Detectors(config)) as detectors: detectors.open()`.

    What travels to another process is the configuration: the stage that works there opens them again. On another
    machine it keeps features in a file of that machine's, because SQLite's locks do not reach over a network.

    Raises:
        BenchError: on opening, the file of features cannot be used.
        BundleError: on opening, a bundle is missing or damaged.
        RecipeError: on opening, a rival or encoder is not known, or its weights are missing or do not fit.
    """

    def __init__(self, config: BenchConfig, machine: str | None = None) -> None:
        self.config = config
        self._machine = machine or platform.node()
        self._cache: FeatureCache | None = None
        self._opened: list[tuple[DetectorSection, Scorer | FeatureSource]] = []

    def __reduce__(self) -> tuple[type[Detectors], tuple[BenchConfig, str]]:
        return Detectors, (self.config, self._machine)

    def open(self) -> None:
        """Open them, if they are not open yet."""
        if self._cache is None:
            path = self.config.features
            if (here := platform.node()) != self._machine:
                path = path.with_stem(f"{path.stem}-{here}")
            self._cache = FeatureCache(path)
            self._opened = [
                (section, KINDS[section.kind].open(section, self._cache)) for section in self.config.detectors
            ]

    def close(self) -> None:
        """Close the file of features."""
        if self._cache is not None:
            self._cache.close()
        self._cache, self._opened = None, []

    def __iter__(self) -> Iterator[Scorer]:
        return (scorer for *_, scorer in self._scorers())

    def _scorers(self) -> Iterator[tuple[str, str, Scorer]]:
        """What scores, behind its kind and what it is; a rival that was calibrated also by its own threshold."""
        for section, opened in self._opened:
            if KINDS[section.kind].scores:
                yield section.kind, section.which, cast(Scorer, opened)
            if isinstance(opened, Uncalibrated) and opened.by_own_threshold is not None:
                yield OWN_THRESHOLD, section.which, opened.by_own_threshold

    def by_key(self) -> dict[str, Scorer]:
        """Scorers by the key that rows of scores know them by."""
        return {scorer.key: scorer for scorer in self}

    def source(self, key: str) -> Observer:
        """What has features, or scores of pictures, by its key."""
        return next(one for one in (*self.encoders, *self.uncalibrated) if one.key == key)

    @property
    def encoders(self) -> list[FeatureSource]:
        """Bundles and encoders of others, of which the papers' protocol takes features."""
        # A rival has features too, but they are its scores.
        found = (one for _, one in self._opened if not isinstance(one, Uncalibrated))
        return [one for one in found if isinstance(one, FeatureSource)]

    @property
    def uncalibrated(self) -> list[Uncalibrated]:
        """Rivals, whose p-values rest on photographs that the configuration holds out."""
        return [one for _, one in self._opened if isinstance(one, Uncalibrated)]

    @property
    def records(self) -> list[DetectorRecord]:
        """What a run remembers of them."""
        return [
            DetectorRecord(
                name=scorer.name,
                key=scorer.key,
                kind=kind,
                which=which,
                calibration_size=scorer.calibration_size,
                note=getattr(scorer, "note", ""),
            )
            for kind, which, scorer in self._scorers()
        ]
