"""Tables I to III as the papers lay them out; and what their threshold does to photographs it was not set with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.config import ProtocolSection
from cameraborn.bench.record import DetectorRecord
from cameraborn.files import Array
from cameraborn.report import metrics
from cameraborn.report.analysis import UNKNOWN, Analysis, Figure, once, share_figure
from cameraborn.report.bootstrap import in_chunks, interval
from cameraborn.report.results import UNDECIDED, Comparison, Predictions, Stratum


@dataclass(frozen=True)
class EqualNumbers:
    """One detector on one generator, on as many photographs as generated pictures; no accuracy without a threshold."""

    detector: DetectorRecord
    comparison: Comparison
    n: int  # number of pictures of each class
    accuracy: Figure
    auc: Figure
    ap_photo: Figure
    ap_generated: Figure


@dataclass(frozen=True)
class Thresholds:
    """The false alarms of one mixture under both thresholds, on the photographs of one source of one track."""

    detector: DetectorRecord
    stratum: Stratum
    source: str
    in_source: bool
    n: int
    fitted: Figure  # threshold: a percentile of the fitting photographs
    held_out: Figure  # threshold: from held-out photographs
    difference: Figure  # the first minus the second


@once
def equal_number_figures(
    analysis: Analysis, detector: DetectorRecord, section: ProtocolSection
) -> list[EqualNumbers]:
    """The papers' way of counting, for any detector that has scored: generator by generator, as configured."""
    rows = []
    for comparison in analysis.results.comparisons:
        pair = analysis.results.pair(detector, comparison)
        if pair is None:
            continue
        places = [np.flatnonzero(predictions.scored) for predictions in pair]
        chosen = equal_numbers(len(places[0]), len(places[1]), section)
        strata = comparison.photos, comparison.generated
        parts = [
            _Part(stratum, predictions, place[numbers])
            for stratum, predictions, place, numbers in zip(strata, pair, places, chosen, strict=True)
        ]
        rows.append(EqualNumbers(detector, comparison, len(chosen[0]), *_with_intervals(parts, analysis)))
    return rows


def equal_numbers(n_photos: int, n_generated: int, section: ProtocolSection) -> tuple[list[int], list[int]]:
    """Which photographs and generated pictures the papers compare: as many of both, drawn by the seed, in order."""
    n = min(n_photos, n_generated, section.equal_numbers)
    rng = random.Random(section.seed)
    generated = rng.sample(range(n_generated), n)
    return sorted(rng.sample(range(n_photos), n)), sorted(generated)


@dataclass(frozen=True)
class _Part:
    """The chosen pictures of a class [n]."""

    stratum: Stratum
    predictions: Predictions
    places: NDArray[np.int64]

    @property
    def score(self) -> Array:
        return self.predictions.score[self.places]

    @property
    def flagged(self) -> NDArray[np.int8]:
        return self.predictions.flagged[self.places]


def _with_intervals(parts: Sequence[_Part], analysis: Analysis) -> list[Figure]:
    """Accuracy, AUC and both average precisions of photographs and generated pictures, by the bootstrap by group."""

    def chunk(first: int, draws: int) -> Array:
        return _figures(
            parts, [analysis.weights(part.stratum, first, draws)[:, part.places] for part in parts]
        )

    ones = [np.ones((1, len(part.places)), np.int64) for part in parts]
    drawn = in_chunks(chunk, draws=analysis.draws, pictures=sum(len(part.stratum) for part in parts))
    return [
        Figure(float(value), *interval(column)) if np.isfinite(value) else UNKNOWN
        for value, column in zip(_figures(parts, ones)[0], drawn.T, strict=True)
    ]


def _figures(parts: Sequence[_Part], drawn: Sequence[NDArray[np.int64]]) -> Array:
    """Accuracy, AUC and both average precisions under the weights [B n] of each class: [B 4]."""
    photos, generated = parts
    ranked = metrics.rank(photos.score, generated.score, *drawn)
    rights = np.concatenate([photos.flagged == 0, generated.flagged == 1])
    decided = np.concatenate([part.flagged != UNDECIDED for part in parts])
    accuracy = metrics.share(rights[decided], np.concatenate(drawn, axis=1)[:, decided])
    precisions = [ranked.average_precision(positive) for positive in ("photo", "generated")]
    return np.stack([accuracy, ranked.auc(), *precisions], axis=1)


@once
def threshold_figures(analysis: Analysis, detector: DetectorRecord, rate: float) -> list[Thresholds]:
    """What the papers' threshold and one from held-out photographs flag of each photograph source."""
    rows = []
    for stratum, source, predictions, of_source in analysis.results.by_source(detector):
        here = of_source & predictions.decided & np.isfinite(predictions.p_value)
        if not here.any():
            continue
        flags = np.stack([predictions.flagged[here] == 1, predictions.p_value[here] <= rate])
        drawn = _shares(stratum, here, flags, analysis)
        groups = len(set(stratum.units[here])) if stratum.grouped else 0
        fitted, held_out = (
            share_figure(int(flag.sum()), len(flag), column, groups)
            for flag, column in zip(flags, drawn.T, strict=True)
        )
        gap = Figure(fitted.value - held_out.value, *interval(drawn[:, 0] - drawn[:, 1]))
        known = bool(predictions.in_source[here].any())
        rows.append(Thresholds(detector, stratum, source, known, int(here.sum()), fitted, held_out, gap))
    return rows


def _shares(stratum: Stratum, here: NDArray[np.bool_], flags: NDArray[np.bool_], analysis: Analysis) -> Array:
    """Draws of the shares that each threshold flags [B 2], of flags [2 n] of the stratum's pictures `here` [N]."""

    def chunk(first: int, draws: int) -> Array:
        drawn = analysis.weights(stratum, first, draws)[:, here]
        return np.stack([metrics.share(flag, drawn) for flag in flags], axis=1)

    return in_chunks(chunk, draws=analysis.draws, pictures=int(here.sum()))
