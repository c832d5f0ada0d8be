"""The measurement: every detector on every picture of every test set after every degradation, into `scores.csv`.

What is done is not done again: a row is known by the detector's content, the set, the file's content and the
degradation, so an interrupted run goes on where it stopped, and a changed bundle is measured again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.features import Advance, calibrate_rivals
from cameraborn.bench.leaks import audit_tracks
from cameraborn.bench.record import SCORES, write_record
from cameraborn.bench.scorers import ERROR_SCOPE, SEEN_SCOPE
from cameraborn.bench.scores import ScoreFile, ScoreRow
from cameraborn.bench.sets import Sample, read_set
from cameraborn.data.manifest import not_as_listed
from cameraborn.degrade.named import degrade_encoded
from cameraborn.detect.verdict import Named, Scored, Scorer
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Jobs, Stage
from cameraborn.errors import BenchError, PictureError, first_line
from cameraborn.photo.sniff import refuse_special


@dataclass
class Tally:
    """Counts of what a run measured."""

    scored: int = 0
    abstained: int = 0
    seen: int = 0
    errors: int = 0
    known: int = 0  # rows that an earlier run had measured
    problems: list[str] = field(default_factory=list)  # the first few errors, a line each

    def add(self, rows: Sequence[ScoreRow]) -> None:
        """Count rows."""
        for row in rows:
            self.errors += bool(row.error)
            self.seen += row.scope == SEEN_SCOPE
            self.scored += row.scope == "ok"
            self.abstained += not row.error and row.scope not in ("ok", SEEN_SCOPE)
        self.problems = [*self.problems, *(row.error for row in rows if row.error)][:5]


@dataclass(frozen=True)
class Missing:
    """One picture, and what is still to be measured of it: each degradation with the keys of the detectors."""

    sample: Sample
    degradations: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass
class Measure(Stage[Missing, list[ScoreRow]]):
    """Scores one picture; whatever goes wrong with it is a row with an error."""

    detectors: Detectors
    false_alarm_rate: float

    def setup(self) -> None:
        """Open the detectors."""
        self.detectors.open()
        self._scorers = self.detectors.by_key()

    def work(self, item: Missing) -> list[ScoreRow]:
        """The rows of one picture, degradation by degradation."""
        rows, original = [], _bytes_of(item.sample)
        for degradation, keys in item.degradations:
            data = _degraded(item.sample, original, degradation)
            rows += [self._row(item.sample, degradation, data, self._scorers[key]) for key in keys]
        return rows

    def _row(self, sample: Sample, degradation: str, data: bytes | PictureError, scorer: Scorer) -> ScoreRow:
        if isinstance(data, PictureError):
            return row_of(sample, scorer, degradation, Scored(ERROR_SCOPE, error=str(data)))
        start = time.perf_counter()
        scored = _score(scorer, sample, data, self.false_alarm_rate)
        seconds = None if scored.remembered else round(time.perf_counter() - start, 6)
        return row_of(sample, scorer, degradation, scored, seconds)


def read_sets(config: BenchConfig) -> list[Sample]:
    """Every picture of every test set."""
    return [sample for section in config.sets for sample in read_set(section, seed=config.seed)]


def run(config: BenchConfig, *, jobs: Jobs = None, advance: Advance = lambda done, total: None) -> Tally:
    """Measure what is still missing in the output folder.

    Raises:
        BenchError: a set, or the output folder's older content, cannot be used, or nothing named has a score.
        BundleError: a bundle is missing or incomplete.
        RecipeError: a rival or encoder is not known, or its weights are missing or do not fit.
        CalibrationError: a bundle's calibration is too small for the nominal rate.
    """
    samples = read_sets(config)
    tally = Tally()
    with closing(Detectors(config)) as detectors:
        detectors.open()
        calibrate_rivals(detectors, config, samples, jobs=jobs, advance=advance)
        scorers = list(detectors)
        if not scorers and config.protocol is None:
            raise BenchError(
                "only encoders are named, which have no score of their own: give a [protocol], and --protocol aigfd"
            )
        for scorer in scorers:
            scorer.check(config.false_alarm_rate)
        with ScoreFile(config.output / SCORES) as scores:
            records = detectors.records
            write_record(config, records, finished=False)
            missing = list(_missing(samples, config.degradations, detectors, scores))
            total = len(samples) * len(config.degradations) * len(scorers)
            tally.known = total - sum(len(keys) for item in missing for _, keys in item.degradations)
            stage = Measure(detectors, config.false_alarm_rate)
            for done, rows in enumerate(map_in_order(stage, missing, jobs), 1):
                scores.append(rows)
                tally.add(rows)
                advance(done, len(missing))
    audit_tracks(samples, config.output, jobs=jobs if isinstance(jobs, int) else None)  # no network runs
    write_record(config, records)
    return tally


def row_of(
    sample: Sample, detector: Named, degradation: str, scored: Scored, seconds: float | None = None
) -> ScoreRow:
    """One detector's answer as a row."""
    return ScoreRow(
        path=sample.path,
        sha256=sample.sha256,
        detector=detector.name,
        detector_key=detector.key,
        test_set=sample.test_set,
        track=sample.track,
        degradation=degradation,
        label=sample.label,
        generator=sample.generator,
        source=sample.source,
        group=sample.group,
        in_source=sample.source in detector.sources,
        scope=scored.scope,
        score=None if scored.error else scored.score,
        p_value=None if scored.error else scored.p_value,
        flagged=None if scored.error else scored.flagged,
        seconds=seconds,
        error=scored.error,
    )


def _missing(
    samples: Sequence[Sample], degradations: Sequence[str], detectors: Detectors, scores: ScoreFile
) -> Iterator[Missing]:
    for sample in samples:
        found = []
        for degradation in degradations:
            keys = tuple(
                scorer.key
                for scorer in detectors
                if (scorer.key, sample.test_set, sample.sha256, degradation) not in scores.done
            )
            if keys:
                found.append((degradation, keys))
        if found:
            yield Missing(sample, tuple(found))


def _score(scorer: Scorer, sample: Sample, data: bytes, false_alarm_rate: float) -> Scored:
    if any(map(scorer.has_seen, sample.hashes)):
        return Scored(SEEN_SCOPE)
    try:
        return scorer.score(data, sample.path, false_alarm_rate)
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:  # RuntimeError: ONNX Runtime's
        reason = first_line(error)
        return Scored(ERROR_SCOPE, error=f"{sample.path}: {scorer.name} failed ({reason})")


def _bytes_of(sample: Sample) -> bytes | PictureError:
    """The bytes of the very file that the set names, or why there are none."""
    try:
        refuse_special(sample.file, name=sample.path)
        data = sample.file.read_bytes()
    except PictureError as error:
        return error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        return PictureError(f"{sample.path}: cannot be read ({reason}): restore the file")
    if hashlib.sha256(data).hexdigest() != sample.sha256:
        return not_as_listed(sample.path)
    return data


def _degraded(sample: Sample, data: bytes | PictureError, degradation: str) -> bytes | PictureError:
    if isinstance(data, PictureError):
        return data
    try:
        return degrade_encoded(data, degradation, picture=sample.path, key=sample.sha256)
    except PictureError as error:
        return error
