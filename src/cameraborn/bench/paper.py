"""Tables I to III as the papers lay them out; and what their threshold does to photographs it was not set with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cameraborn.bench import metrics
from cameraborn.bench.analysis import Analysis, Figure
from cameraborn.bench.bootstrap import in_chunks, interval, weights
from cameraborn.bench.config import ProtocolSection
from cameraborn.bench.protocol import equal_numbers
from cameraborn.bench.results import Array, Comparison, Stratum
from cameraborn.bench.run import DetectorRecord


@dataclass(frozen=True)
class EqualNumbers:
    """One detector on one generator, on as many photographs as generated pictures; NaN where it has no threshold."""

    detector: DetectorRecord
    comparison: Comparison
    n: int  # of each class
    accuracy: float
    auc: float
    ap_photo: float
    ap_generated: float


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
    difference: Figure  # of the first minus of the second


def equal_number_figures(
    analysis: Analysis, detector: DetectorRecord, section: ProtocolSection
) -> list[EqualNumbers]:
    """The papers' way of counting, for any detector that has scored: generator by generator, as configured."""
    rows = []
    for comparison in analysis.results.comparisons:
        photos = analysis.results.answers(detector, comparison.photos)
        generated = analysis.results.answers(detector, comparison.generated)
        if photos is None or generated is None:
            continue
        parts = []
        places = [np.flatnonzero(answers.scored) for answers in (photos, generated)]
        drawn = equal_numbers(len(places[0]), len(places[1]), section)
        for answers, place, chosen in zip((photos, generated), places, drawn, strict=True):
            parts.append((answers.score[place[chosen]], answers.flagged[place[chosen]]))
        (photo_scores, photo_flags), (generated_scores, generated_flags) = parts
        if not len(photo_scores):
            continue
        ranked = metrics.rank(photo_scores, generated_scores)
        rights = np.concatenate(
            [photo_flags[photo_flags >= 0] == 0, generated_flags[generated_flags >= 0] == 1]
        )
        rows.append(
            EqualNumbers(
                detector,
                comparison,
                len(photo_scores),
                float(rights.mean()) if len(rights) else float("nan"),
                float(ranked.auc()[0]),
                float(ranked.average_precision("photo")[0]),
                float(ranked.average_precision("generated")[0]),
            )
        )
    return rows


def threshold_figures(analysis: Analysis, detector: DetectorRecord, rate: float) -> list[Thresholds]:
    """What the papers' threshold and one from held-out photographs flag of each photograph source."""
    rows = []
    for stratum in analysis.results.photographs:
        answers = analysis.results.answers(detector, stratum)
        if answers is None:
            continue
        of = np.array(stratum.sources)
        for source in dict.fromkeys(stratum.sources):
            here = (of == source) & answers.judged & np.isfinite(answers.p_value)
            n = int(here.sum())
            if n == 0:
                continue
            flags = np.stack([answers.flagged[here] == 1, answers.p_value[here] <= rate])

            def shares(
                first: int,
                draws: int,
                stratum: Stratum = stratum,
                here: np.ndarray = here,
                flags: np.ndarray = flags,
            ) -> Array:
                drawn = weights(stratum.units, stratum.name, seed=analysis.seed, draws=draws, first=first)[
                    :, here
                ]
                return np.stack([metrics.share(flag, drawn) for flag in flags], axis=1)

            drawn = in_chunks(shares, draws=analysis.draws, pictures=n)
            units = len(set(stratum.units[here]))
            figures = []
            for flag, column in zip(flags, drawn.T, strict=True):
                hits = int(flag.sum())
                exact = not stratum.grouped or hits in (0, n)
                limits = (
                    metrics.clopper_pearson(round(hits / n * units), units) if exact else interval(column)
                )
                figures.append(Figure(hits / n, *limits))
            fitted, held_out = figures
            gap = Figure(fitted.value - held_out.value, *interval(drawn[:, 0] - drawn[:, 1]))
            known = bool(answers.in_source[here].any())
            rows.append(Thresholds(detector, stratum, source, known, n, fitted, held_out, gap))
    return rows
