"""From scores to rows: AUC, what is found and what is flagged wrongly, with 95 % intervals, and what a detector costs.

AUC: percentiles of the package's bootstrap, photographs of a source drawn together. Shares: exact (Clopper, Pearson).
`found` and `false_alarms` are at the threshold that 5 % of the held-out photographs pass (of a bundle: of its own
categories of condition); `own_` at the detector's own threshold: even odds, or of a mixture the 5th percentile of the
photographs that it was fitted to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cameraborn.bench.record import SCORES, read_record
from cameraborn.bench.scorers import OWN_THRESHOLD, PROTOCOL
from cameraborn.bench.scores import ScoreRow, read_scores
from cameraborn.files import Array
from cameraborn.report.bootstrap import drawn_by, interval, weights
from cameraborn.report.metrics import clopper_pearson, rank

DRAWS, RATE = 1000, 0.05
Line = dict[str, object]


@dataclass(frozen=True)
class Scored:
    """One detector on one track: rows of its photographs and of its fakes, and those by its own threshold."""

    detector: str
    track: str
    photographs: list[ScoreRow]
    fakes: list[ScoreRow]
    own: list[ScoreRow]

    def auc(self) -> tuple[float, Array]:
        """The AUC, and its draws [DRAWS]."""
        parts, counts = [], []
        for label, rows in (("photo", self.photographs), ("generated", self.fakes)):
            rows = [row for row in rows if row.score is not None]
            parts.append(np.array([row.score for row in rows]))
            units = drawn_by([row.group or (row.source if label == "photo" else "") for row in rows])
            pictures = " ".join(map(content_of, rows))  # tracks that share photographs share their draws
            counts.append(weights(units, pictures, seed=0, draws=DRAWS))
        return float(rank(*parts).auc()[0]), rank(*parts, *counts).auc()


def scored(folder: Path) -> list[Scored]:
    """What a run of the benchmark holds of the detectors that its record names."""
    keys = {detector.key for detector in read_record(folder).detectors}
    found: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in read_scores(folder / SCORES):
        if row.detector_key in keys and not row.error:
            found[row.detector, row.track].append(row)
    return [
        Scored(
            name,
            track,
            [row for row in rows if row.label == "photo"],
            [row for row in rows if row.label == "generated"],
            rows if name.endswith(f"({PROTOCOL})") else found.get((f"{name} ({OWN_THRESHOLD})", track), []),
        )
        for (name, track), rows in found.items()
        if not name.endswith(f"({OWN_THRESHOLD})")
    ]


def lines_of(parts: Sequence[Scored], *, calibrated: bool = True) -> list[Line]:
    """A line for each detector and track, and for each detector the mean over its tracks.

    Args:
        parts: of any detectors.
        calibrated: whether thresholds are those of photographs that are not tested.
    """
    by_detector: dict[str, list[Scored]] = defaultdict(list)
    for part in parts:
        by_detector[part.detector].append(part)
    lines: list[Line] = []
    for name, of in by_detector.items():
        aucs = [part.auc() for part in of]
        for part, (value, draws) in zip(of, aucs, strict=True):
            counts = {"photographs": _judged(part.photographs), "generated": _judged(part.fakes)}
            shares = _shares(part, calibrated=calibrated)
            lines.append({"detector": name, "track": part.track, **counts, **_of_auc(value, draws), **shares})
        mean = np.mean([draws for _, draws in aucs], axis=0)
        whole = Scored(
            name,
            "mean",
            _once(row for part in of for row in part.photographs),
            _once(row for part in of for row in part.fakes),
            _once(row for part in of for row in part.own),
        )
        value = float(np.mean([value for value, _ in aucs]))
        counts = {"photographs": _judged(whole.photographs), "generated": _judged(whole.fakes)}
        shares = _shares(whole, calibrated=calibrated)
        lines.append({"detector": name, "track": "mean", **counts, **_of_auc(value, mean), **shares})
    return lines


def content_of(row: ScoreRow) -> str:
    """What tells a picture from others."""
    return row.sha256 or row.path


def _once(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Each picture once: families share the photographs that they are compared with."""
    return list({content_of(row): row for row in rows}.values())


def _judged(rows: Iterable[ScoreRow]) -> int:
    return sum(row.score is not None for row in rows)


def _of_auc(value: float, draws: Array) -> Line:
    low, high = interval(draws)
    return {"auc": round(value, 3), "auc_low": round(low, 3), "auc_high": round(high, 3)}


def _shares(part: Scored, *, calibrated: bool) -> Line:
    """What is flagged of the fakes and of the photographs, by both thresholds."""
    line: Line = {}
    for name, rows in (("found", part.fakes), ("false_alarms", part.photographs)):
        flags = [row.p_value <= RATE for row in rows if row.p_value is not None] if calibrated else []
        line |= _share(name, flags)
    for name, label in (("own_found", "generated"), ("own_false_alarms", "photo")):
        line |= _share(
            name, [row.flagged for row in part.own if row.label == label and row.flagged is not None]
        )
    return line


def _share(name: str, flags: Sequence[bool]) -> Line:
    """A share and its exact interval; empty where nothing was decided."""
    if not flags:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), "")
    low, high = clopper_pearson(sum(flags), len(flags))
    return {
        name: round(sum(flags) / len(flags), 3),
        f"{name}_low": round(low, 3),
        f"{name}_high": round(high, 3),
    }
