"""The measurement: every detector on every picture of every test set after every degradation, into `scores.csv`.

What is done is not done again: a row is known by the detector's content, the set, the file's content and the
degradation, so an interrupted run goes on where it stopped, and a changed bundle is measured anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cameraborn.bench.bundles import BundleJudge
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import BenchConfig
from cameraborn.bench.degraded import deliver
from cameraborn.bench.judge import ERROR_SCOPE, SEEN_SCOPE, CueJudge, Judge, Judgement, Named
from cameraborn.bench.leaks import audit_tracks
from cameraborn.bench.scores import ScoreFile, ScoreRow
from cameraborn.bench.sets import Specimen, read_set
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import BenchError, PictureError

SCORES, RUN = "scores.csv", "run.json"
Advance = Callable[[int, int], None]  # how many pictures of how many are done


class DetectorRecord(BaseModel):
    """What a run remembers of a detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    key: str
    kind: str  # `bundle`, `cue` or `aigfd`
    calibration_size: int = 0  # photographs its p-values rest on
    note: str = ""


class RunRecord(BaseModel):
    """`run.json`: what was measured, so that the report needs nothing else but `scores.csv`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: BenchConfig
    detectors: tuple[DetectorRecord, ...]
    versions: dict[str, str]


@dataclass
class Tally:
    """What a run came to."""

    scored: int = 0
    abstained: int = 0
    seen: int = 0
    errors: int = 0
    known: int = 0  # rows that an earlier run had measured
    problems: list[str] = field(default_factory=list)  # the first few errors, a line each

    def add(self, row: ScoreRow) -> None:
        """Count a row."""
        if row.error:
            self.errors += 1
            if len(self.problems) < 5:
                self.problems.append(row.error)
        elif row.scope == SEEN_SCOPE:
            self.seen += 1
        elif row.scope == "ok":
            self.scored += 1
        else:
            self.abstained += 1


@dataclass(frozen=True)
class _Work:
    """One picture, and what is still to be measured of it."""

    specimen: Specimen
    wanted: tuple[tuple[str, tuple[Judge, ...]], ...]  # degradation, and by whom


def open_cache(config: BenchConfig) -> FeatureCache:
    """The configuration's file of features."""
    return FeatureCache(config.cache or config.output / "features.sqlite")


def read_sets(config: BenchConfig) -> list[Specimen]:
    """Every picture of every test set."""
    return [specimen for section in config.sets for specimen in read_set(section, seed=config.seed)]


def bundle_judges(config: BenchConfig, cache: FeatureCache) -> list[BundleJudge]:
    """The configuration's bundles as detectors."""
    return [BundleJudge(section, cache) for section in config.detectors if section.bundle]


def run(
    config: BenchConfig, *, jobs: int | None = None, advance: Advance = lambda done, total: None
) -> Tally:
    """Measure what is still missing in the output folder.

    Raises:
        BenchError: a set, or the output folder's older content, cannot be used.
        BundleError: a bundle is missing or incomplete.
        CalibrationError: a bundle's calibration is too small for the nominal rate.
    """
    specimens = read_sets(config)
    tally = Tally()
    with open_cache(config) as cache:
        bundles = bundle_judges(config, cache)
        for judge in bundles:
            judge.check(config.false_alarm_rate)
        judges = in_order(config, bundles)
        with ScoreFile(config.output / SCORES) as scores:
            write_record(config, [record_of(judge) for judge in judges])
            works = list(_missing(specimens, config.degradations, judges, scores))
            total = len(specimens) * len(config.degradations) * len(judges)
            tally.known = total - sum(len(by) for work in works for _, by in work.wanted)

            def measure(work: _Work) -> list[ScoreRow]:
                return list(_measure(work, config.false_alarm_rate))

            for done, rows in enumerate(map_in_order(Call(measure), works, jobs), 1):
                scores.append(rows)
                for row in rows:
                    tally.add(row)
                advance(done, len(works))
    audit_tracks(specimens, config.output, jobs=jobs)
    return tally


def row_of(
    specimen: Specimen, judge: Named, degradation: str, said: Judgement, seconds: float | None
) -> ScoreRow:
    """A judgement as a row."""
    return ScoreRow(
        path=specimen.path,
        sha256=specimen.sha256,
        detector=judge.name,
        detector_key=judge.key,
        test_set=specimen.test_set,
        track=specimen.track,
        degradation=degradation,
        label=specimen.label,
        generator=specimen.generator,
        source=specimen.source,
        group=specimen.group,
        in_source=specimen.source in judge.sources,
        scope=said.scope,
        score=None if said.error else said.score,
        p_value=None if said.error else said.p_value,
        flagged=None if said.error else said.flagged,
        seconds=seconds,
        error=said.error,
    )


def record_of(judge: Judge) -> DetectorRecord:
    """What a run remembers of a detector."""
    if isinstance(judge, BundleJudge):
        return DetectorRecord(
            name=judge.name, key=judge.key, kind="bundle", calibration_size=judge.calibration_size
        )
    return DetectorRecord(name=judge.name, key=judge.key, kind="cue")


def write_record(config: BenchConfig, detectors: Sequence[DetectorRecord]) -> None:
    """Write `run.json`.

    Raises:
        BenchError: two detectors have one name, or are the same.
    """
    config.output.mkdir(parents=True, exist_ok=True)
    names = [detector.name for detector in detectors]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BenchError(
            f"two detectors are called '{twice}': give one of them another name in the configuration"
        )
    keys = {detector.key: detector.name for detector in detectors}
    if len(keys) < len(detectors):
        same = next(d for d in detectors if keys[d.key] != d.name)
        raise BenchError(f"'{same.name}' and '{keys[same.key]}' are one and the same detector: name it once")
    packages = ("cameraborn", "numpy", "onnxruntime", "pillow", "scikit-learn")
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}
    record = RunRecord(config=config, detectors=tuple(detectors), versions=versions)
    part = config.output / (RUN + ".part")
    part.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(config.output / RUN)


def read_record(folder: Path) -> RunRecord:
    """Read a run's `run.json`.

    Raises:
        BenchError: it is missing or damaged.
    """
    path = folder / RUN
    if not path.is_file():
        raise BenchError(f"{folder}: no benchmark's folder (no {RUN} in it): give a configuration's 'output'")
    try:
        return RunRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise BenchError(
            f"{path}: damaged, or of another release ({reason}): run the benchmark again"
        ) from error


def in_order(config: BenchConfig, bundles: Iterable[BundleJudge]) -> list[Judge]:
    """Detectors in the configuration's order."""
    remaining = iter(bundles)
    return [next(remaining) if section.bundle else CueJudge(section) for section in config.detectors]


def _missing(
    specimens: Iterable[Specimen], degradations: Sequence[str], judges: Sequence[Judge], scores: ScoreFile
) -> Iterator[_Work]:
    for specimen in specimens:
        wanted = []
        for degradation in degradations:
            by = tuple(
                judge
                for judge in judges
                if (judge.key, specimen.test_set, specimen.sha256, degradation) not in scores.done
            )
            if by:
                wanted.append((degradation, by))
        if wanted:
            yield _Work(specimen, tuple(wanted))


def _measure(work: _Work, false_alarm_rate: float) -> Iterator[ScoreRow]:
    """The rows of one picture; whatever goes wrong with it is an error row, and the others go on."""
    specimen = work.specimen
    problem, data = _bytes_of(specimen)
    for degradation, judges in work.wanted:
        delivered = data
        here = problem
        if not here:
            try:
                delivered = deliver(data, degradation, name=specimen.path, key=specimen.sha256)
            except PictureError as error:
                here = str(error)
        for judge in judges:
            start = time.perf_counter()
            said = (
                Judgement(ERROR_SCOPE, error=here)
                if here
                else _judge(judge, specimen, delivered, false_alarm_rate)
            )
            seconds = None if here or said.remembered else round(time.perf_counter() - start, 6)
            yield row_of(specimen, judge, degradation, said, seconds)


def _judge(judge: Judge, specimen: Specimen, data: bytes, false_alarm_rate: float) -> Judgement:
    if judge.has_seen(specimen.sha256):
        return Judgement(SEEN_SCOPE)
    try:
        return judge.judge(data, specimen.path, false_alarm_rate)
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:  # RuntimeError: ONNX Runtime's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Judgement(ERROR_SCOPE, error=f"{specimen.path}: {judge.name} failed ({reason})")


def _bytes_of(specimen: Specimen) -> tuple[str, bytes]:
    """A problem, or the bytes of the very file that the set names."""
    try:
        data = specimen.file.read_bytes()
    except OSError as error:
        return f"{specimen.path}: cannot be read ({os.strerror(error.errno or 0)}): restore the file", b""
    if hashlib.sha256(data).hexdigest() != specimen.sha256:
        return f"{specimen.path}: not the file that was imported (its SHA-256 differs): import it again", b""
    return "", data
