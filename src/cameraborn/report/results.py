"""A run read back: `scores.csv` as arrays, picture by picture in one order for every detector.

A stratum is one class of pictures of one track: its photographs, or those of one generator. Whatever compares two
detectors compares them on the same pictures of a stratum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.leaks import read_audits
from cameraborn.bench.record import SCORES, DetectorRecord, RunRecord, read_record
from cameraborn.bench.scorers import SEEN_SCOPE
from cameraborn.bench.scores import ScoreRow, read_scores
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.errors import BenchError
from cameraborn.files import Array
from cameraborn.report.bootstrap import drawn_by

UNDECIDED = -1  # in `flagged`


@dataclass
class Stratum:
    """Pictures of one class of one track, N of them.

    Attributes:
        test_set, track: where they belong.
        generator: what made them; empty: photographs.
        shown: the track as people see it.
        sources, groups: source and group of each picture.
    """

    test_set: str
    track: str
    generator: str
    shown: str
    sources: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    _place: dict[str, int] = field(default_factory=dict)

    def place(self, row: ScoreRow) -> int:
        """The picture's number, by its content."""
        number = self._place.setdefault(row.sha256, len(self._place))
        if number == len(self.sources):
            self.sources.append(row.source)
            self.groups.append(row.group)
        return number

    @property
    def name(self) -> str:
        """For the bootstrap's draws, and for people."""
        return f"{self.test_set}/{self.track}/{self.generator or 'photo'}"

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """What each picture is drawn with [N]."""
        return drawn_by(self.groups)

    @property
    def grouped(self) -> bool:
        """Whether some of them are drawn together."""
        return int(self.units.max()) + 1 < len(self)

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class Predictions:
    """One detector's scores and decisions on a stratum after one degradation, in the stratum's order [N].

    Attributes:
        score: NaN where there is none.
        p_value: NaN where there is none.
        flagged: 1 or 0; -1 where the detector makes no decision.
        scope: `ok`, or why there is no verdict; `missing` where it was not measured yet.
        in_source: whether the detector has learnt from the picture's source.
    """

    score: Array
    p_value: Array
    flagged: NDArray[np.int8]
    scope: NDArray[np.str_]
    in_source: NDArray[np.bool_]

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which pictures have a score."""
        return np.isfinite(self.score)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Which pictures the detector decided on."""
        result: NDArray[np.bool_] = self.flagged != UNDECIDED
        return result


@dataclass(frozen=True)
class Comparison:
    """One generator against the photographs of its track."""

    photos: Stratum
    generated: Stratum

    @property
    def generator(self) -> str:
        """Its name."""
        return self.generated.generator

    @property
    def name(self) -> str:
        """Generator and track: no other comparison has both."""
        return f"{self.generator} ({self.track})"

    @property
    def track(self) -> str:
        """As people see it."""
        return self.generated.shown


class Results:
    """A run's scores, of the detectors that its configuration names.

    Raises:
        BenchError: the folder holds no run, or its files are damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record: RunRecord = read_record(folder)
        self.config = self.record.config
        self._strata: dict[tuple[str, str, str], Stratum] = {}
        self._predictions = self._align(self._of_configuration(read_scores(folder / SCORES)))
        self.audits = {(found.test_set, found.track): found for found in read_audits(folder)}
        if not self._predictions:
            raise BenchError(f"{folder}: no score of the configuration's detectors yet: run the benchmark")

    @property
    def scorers(self) -> tuple[DetectorRecord, ...]:
        """The detectors, as configured, with those of the papers' protocol; then the trivial cues."""
        return (*self.detectors, *self.cues)

    @property
    def unfinished(self) -> str:
        """That rows are missing, and how to go on; empty for a finished run."""
        if self.record.finished:
            return ""
        return (
            "this run is not finished, and its figures are of the rows that are there: the same 'cameraborn bench "
            "CONFIG' measures the others"
        )

    @property
    def detectors(self) -> tuple[DetectorRecord, ...]:
        """All scorers but the trivial cues."""
        return tuple(detector for detector in self.record.detectors if detector.kind != "cue")

    @property
    def cues(self) -> tuple[DetectorRecord, ...]:
        """The trivial cues."""
        return tuple(detector for detector in self.record.detectors if detector.kind == "cue")

    @property
    def photographs(self) -> list[Stratum]:
        """Strata of photographs."""
        return [stratum for stratum in self._strata.values() if not stratum.generator]

    @property
    def comparisons(self) -> list[Comparison]:
        """Every generator that has photographs to be compared with."""
        found = []
        for stratum in self._strata.values():
            photos = self._strata.get((stratum.test_set, stratum.track, ""))
            if stratum.generator and photos is not None:
                found.append(Comparison(photos, stratum))
        return found

    def predictions(
        self, detector: DetectorRecord, stratum: Stratum, degradation: str = UNDEGRADED
    ) -> Predictions | None:
        """Scores and decisions of a detector; None where nothing of the stratum is measured."""
        return self._predictions.get((detector.key, degradation, stratum.name))

    def pair(
        self, detector: DetectorRecord, comparison: Comparison, degradation: str = UNDEGRADED
    ) -> tuple[Predictions, Predictions] | None:
        """Predictions of photographs and of generated pictures; None where one of both has no score at all."""
        photos = self.predictions(detector, comparison.photos, degradation)
        generated = self.predictions(detector, comparison.generated, degradation)
        if photos is None or generated is None or not (photos.scored.any() and generated.scored.any()):
            return None
        return photos, generated

    def by_source(
        self, detector: DetectorRecord, degradation: str = UNDEGRADED
    ) -> Iterator[tuple[Stratum, str, Predictions, NDArray[np.bool_]]]:
        """Each photograph source of each stratum, with the stratum's predictions and which pictures [N] it holds."""
        for stratum in self.photographs:
            predictions = self.predictions(detector, stratum, degradation)
            if predictions is not None:
                sources = np.array(stratum.sources)
                for source in dict.fromkeys(stratum.sources):
                    yield stratum, source, predictions, sources == source

    def degradations(self, detector: DetectorRecord) -> list[str]:
        """Those that the detector was measured under, in the configuration's order."""
        measured = {degradation for key, degradation, _ in self._predictions if key == detector.key}
        return [name for name in self.config.degradations if name in measured]

    def _of_configuration(self, rows: Iterable[ScoreRow]) -> Iterator[ScoreRow]:
        keys = {detector.key for detector in self.record.detectors}
        sets = {section.name for section in self.config.sets}
        degradations = set(self.config.degradations)
        for row in rows:
            if row.detector_key in keys and row.test_set in sets and row.degradation in degradations:
                yield row

    def _shown(self, row: ScoreRow) -> str:
        """The track, with its set where there are several."""
        alone = len(self.config.sets) == 1 or row.track == row.test_set
        return row.track if alone else f"{row.test_set}/{row.track}"

    def _align(self, rows: Iterable[ScoreRow]) -> dict[tuple[str, str, str], Predictions]:
        found: dict[tuple[str, str, str], list[tuple[int, ScoreRow]]] = {}
        for row in rows:
            place = row.test_set, row.track, row.generator
            if place not in self._strata:
                self._strata[place] = Stratum(*place, self._shown(row))
            stratum = self._strata[place]
            found.setdefault((row.detector_key, row.degradation, stratum.name), []).append(
                (stratum.place(row), row)
            )
        sizes = {stratum.name: len(stratum) for stratum in self._strata.values()}
        return {key: _predictions_of(placed, sizes[key[2]]) for key, placed in found.items()}


def _predictions_of(placed: list[tuple[int, ScoreRow]], size: int) -> Predictions:
    score, p_value = np.full(size, np.nan), np.full(size, np.nan)
    flagged = np.full(size, UNDECIDED, np.int8)
    scope = np.full(size, "missing", "<U24")
    in_source = np.zeros(size, bool)
    for number, row in placed:
        scope[number] = row.scope
        in_source[number] = row.in_source
        if row.scope == SEEN_SCOPE or row.error:
            continue
        score[number] = np.nan if row.score is None else row.score
        p_value[number] = np.nan if row.p_value is None else row.p_value
        flagged[number] = UNDECIDED if row.flagged is None else row.flagged
    return Predictions(score, p_value, flagged, scope, in_source)
