"""From aligned scores to figures with intervals: generators, photograph sources, degradations, differences.

Every interval is of 95 %. AUC, average precision, accuracy and rates of detection: percentiles of the bootstrap by
group. A false-alarm rate is a share of photographs: where pictures are drawn one by one its interval is exact (Clopper
and Pearson), because a bootstrap of "none of 60 flagged" would give an interval of nothing.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import ERROR_SCOPE, OWN_THRESHOLD, SEEN_SCOPE
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.files import Array
from cameraborn.report import metrics
from cameraborn.report.bootstrap import Weights, in_chunks, interval, weights
from cameraborn.report.results import Comparison, Predictions, Results, Stratum

WeightedFigure = Callable[[Weights, Weights], Array]  # from weights [B P] and [B G] to [B ...]
P = ParamSpec("P")
T = TypeVar("T")
NOISE_LEVEL = 0.05  # adjusted p-value over which a difference is called noise


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)


UNKNOWN = Figure(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class GeneratorFigures:
    """One detector on one generator, or (without a comparison) the mean over them."""

    detector: DetectorRecord
    comparison: Comparison | None
    n_photos: int
    n_generated: int
    auc: Figure
    ap_generated: Figure
    ap_photo: Figure
    accuracy: Figure  # mean of the shares of both classes that are decided rightly
    tpr_at_1: Figure
    tpr_at_5: Figure
    found: Figure  # share of generated pictures flagged at the detector's own threshold
    false_alarms: Figure  # share of photographs flagged at the detector's own threshold

    @property
    def name(self) -> str:
        """Generator and track; `mean`, which no generator with its track can be."""
        return self.comparison.name if self.comparison else "mean"

    @property
    def generator(self) -> str:
        """The generator, or `mean`."""
        return self.comparison.generator if self.comparison else "mean"

    @property
    def test_set(self) -> str:
        """Name of the set; empty of the mean."""
        return self.comparison.generated.test_set if self.comparison else ""

    @property
    def track(self) -> str:
        """The track within its set; empty of the mean."""
        return self.comparison.generated.track if self.comparison else ""


NAMES = ("auc", "ap_generated", "ap_photo", "accuracy", "tpr_at_1", "tpr_at_5", "found", "false_alarms")


@dataclass(frozen=True)
class SourceFigures:
    """One detector's false alarms on the photographs of one source, in one track."""

    detector: DetectorRecord
    stratum: Stratum
    source: str
    in_source: bool
    degradation: str
    n: int  # decided on
    abstained: int
    rate: Figure


@dataclass(frozen=True)
class RobustnessFigures:
    """One detector under one degradation, over all generators and photographs."""

    detector: DetectorRecord
    degradation: str
    auc: Figure  # mean over generators; unknown where there are photographs alone
    worst_auc: float
    worst_generator: str
    false_alarms: Figure
    abstained: float  # share of all pictures


@dataclass(frozen=True)
class DifferenceFigures:
    """Two detectors on the same pictures of one generator."""

    first: DetectorRecord
    second: DetectorRecord
    comparison: Comparison
    auc: Figure  # the first minus the second, with the paired bootstrap's interval
    p: float  # DeLong's
    adjusted_p: float  # for the number of differences in the report

    @property
    def noise(self) -> bool:
        """Whether chance explains it."""
        return not self.adjusted_p <= NOISE_LEVEL


def once(compute: Callable[Concatenate[Analysis, P], T]) -> Callable[Concatenate[Analysis, P], T]:
    """Figures of an analysis that are computed when first asked for: page, plots and CSVs show the same ones."""
    signature = inspect.signature(compute)

    @wraps(compute)
    def known(analysis: Analysis, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call = signature.bind(analysis, *args, **kwargs)
        call.apply_defaults()
        key = compute.__name__, *call.args[1:]
        if key not in analysis.known:
            analysis.known[key] = compute(analysis, *args, **kwargs)
        found: T = analysis.known[key]
        return found

    return known


class Analysis:
    """Figures of a run; each is computed when asked for."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.draws = results.config.draws
        self.seed = results.config.seed
        self.known: dict[tuple[Any, ...], Any] = {}  # what `once` has computed

    @once
    def generators(self, detector: DetectorRecord, degradation: str = UNDEGRADED) -> list[GeneratorFigures]:
        """Each generator, worst AUC first; then, of several, the mean over them."""
        found = [
            pair
            for comparison in self.results.comparisons
            if (pair := self._generator(detector, comparison, degradation)) is not None
        ]
        found.sort(key=lambda pair: pair[0].auc.value)
        rows = [row for row, _ in found]
        if len(rows) > 1:
            rows.append(self._mean(detector, rows, np.stack([draws for _, draws in found])))
        return rows

    def _generator(
        self, detector: DetectorRecord, comparison: Comparison, degradation: str
    ) -> tuple[GeneratorFigures, Array] | None:
        """The figures, and their draws [B, figures]."""
        pair = self.results.pair(detector, comparison, degradation)
        if pair is None:
            return None
        photos, generated = pair

        figures = partial(_all_figures, photos, generated)
        value = figures(None, None)[0]
        draws = self._drawn(figures, comparison)
        by_name: dict[str, Figure] = {name: _figure(value[i], draws[:, i]) for i, name in enumerate(NAMES)}
        by_name["false_alarms"] = _rate(photos, comparison.photos, draws[:, NAMES.index("false_alarms")])
        by_name["found"] = _rate(generated, comparison.generated, draws[:, NAMES.index("found")])
        n_photos, n_generated = int(photos.scored.sum()), int(generated.scored.sum())
        return GeneratorFigures(detector, comparison, n_photos, n_generated, **by_name), draws

    def _mean(
        self, detector: DetectorRecord, rows: Sequence[GeneratorFigures], drawn: Array
    ) -> GeneratorFigures:
        """Over generators that have the figure, each alike."""
        means = {}
        for i, name in enumerate(NAMES):
            values = np.array([getattr(row, name).value for row in rows])
            known = drawn[:, :, i][np.isfinite(drawn[:, :, i]).all(axis=1)]
            has = np.isfinite(values).any() and len(known)
            means[name] = _figure(float(np.nanmean(values)), known.mean(axis=0)) if has else UNKNOWN
        photos = {row.comparison.photos.name: row.n_photos for row in rows if row.comparison}
        return GeneratorFigures(
            detector, None, sum(photos.values()), sum(row.n_generated for row in rows), **means
        )

    @once
    def sources(self, detector: DetectorRecord, degradation: str = UNDEGRADED) -> list[SourceFigures]:
        """False alarms on each photograph source of each track: out-of-source first, then the worst."""
        rows = []
        for stratum, source, predictions, here in self.results.by_source(detector, degradation):
            decided = here & predictions.decided
            rows.append(
                SourceFigures(
                    detector,
                    stratum,
                    source,
                    bool(predictions.in_source[here].any()),
                    degradation,
                    int(decided.sum()),
                    int((here & ~predictions.decided & _measured(predictions)).sum()),
                    self._false_alarms([(stratum, predictions, decided)]),
                )
            )
        return sorted(rows, key=lambda row: (row.in_source, -np.nan_to_num(row.rate.value, nan=-1.0)))

    @once
    def robustness(self, detector: DetectorRecord) -> list[RobustnessFigures]:
        """Each degradation, in the configuration's order."""
        return [self._robustness(detector, name) for name in self.results.degradations(detector)]

    def _robustness(self, detector: DetectorRecord, degradation: str) -> RobustnessFigures:
        aucs = {
            comparison.name: found
            for comparison in self.results.comparisons
            if (found := self._auc(detector, comparison, degradation)) is not None
        }
        mean, worst, where = UNKNOWN, math.nan, ""
        if aucs:
            values, draws = zip(*aucs.values(), strict=True)
            mean = _figure(float(np.mean(values)), np.mean(draws, axis=0))
            worst, where = min((value, name) for name, (value, _) in aucs.items())
        generated = [comparison.generated for comparison in self.results.comparisons]
        parts = [
            (stratum, predictions)
            for stratum in (*self.results.photographs, *generated)
            if (predictions := self.results.predictions(detector, stratum, degradation)) is not None
        ]
        measured = [(_measured(predictions), predictions.scope) for _, predictions in parts]
        abstained = sum(int((mask & (scope != "ok")).sum()) for mask, scope in measured)
        photos = [(stratum, found, found.decided) for stratum, found in parts if not stratum.generator]
        return RobustnessFigures(
            detector,
            degradation,
            mean,
            worst,
            where,
            self._false_alarms(photos),
            abstained / max(sum(int(mask.sum()) for mask, _ in measured), 1),
        )

    @once
    def differences(self) -> list[DifferenceFigures]:
        """Every pair of detectors on every generator, undegraded, on the pictures that both have scored.

        A rival's own threshold changes no score, so it is no detector to compare.
        """
        found = []
        scores = [detector for detector in self.results.detectors if detector.kind != OWN_THRESHOLD]
        for first, second in itertools.combinations(scores, 2):
            for comparison in self.results.comparisons:
                pair = self._difference(first, second, comparison)
                if pair is not None:
                    found.append((first, second, comparison, *pair))
        adjusted = metrics.holm([p for *_, p in found])
        return [DifferenceFigures(*row, fair) for row, fair in zip(found, adjusted, strict=True)]

    def _difference(
        self, first: DetectorRecord, second: DetectorRecord, comparison: Comparison
    ) -> tuple[Figure, float] | None:
        pair = self.results.pair(first, comparison)
        other = self.results.pair(second, comparison)
        if pair is None or other is None:
            return None
        (photos, generated), (other_photos, other_generated) = pair, other
        both_photos = photos.scored & other_photos.scored
        both_generated = generated.scored & other_generated.scored
        if both_photos.sum() < 2 or both_generated.sum() < 2:
            return None

        mine = _auc_of(photos, generated, both_photos, both_generated)
        theirs = _auc_of(other_photos, other_generated, both_photos, both_generated)
        test = metrics.delong(
            (photos.score[both_photos], other_photos.score[both_photos]),
            (generated.score[both_generated], other_generated.score[both_generated]),
        )
        drawn = self._drawn(lambda first, second: mine(first, second) - theirs(first, second), comparison)
        return _figure(test.value, drawn), self._paired_p(test, drawn, comparison)

    @staticmethod
    def _paired_p(test: metrics.Difference, drawn: Array, comparison: Comparison) -> float:
        """DeLong's; where pictures come in groups, which DeLong knows nothing of, the bootstrap's spread instead."""
        if not (comparison.photos.grouped or comparison.generated.grouped):
            return test.p
        spread = float(np.nanstd(drawn))
        if not spread > 0:
            return 1.0 if test.value == 0 else math.nan
        return math.erfc(abs(test.value) / spread / math.sqrt(2))

    def _auc(
        self, detector: DetectorRecord, comparison: Comparison, degradation: str
    ) -> tuple[float, Array] | None:
        pair = self.results.pair(detector, comparison, degradation)
        if pair is None:
            return None
        photos, generated = pair
        masks = photos.scored, generated.scored
        value = metrics.auc(photos.score[masks[0]], generated.score[masks[1]])
        return value, self._drawn(_auc_of(photos, generated, *masks), comparison)

    def _drawn(self, figure: WeightedFigure, comparison: Comparison) -> Array:
        """All draws of a figure of the pictures of a comparison."""
        strata = comparison.photos, comparison.generated

        def chunk(first: int, draws: int) -> Array:
            return figure(*(self.weights(stratum, first, draws) for stratum in strata))

        return in_chunks(chunk, draws=self.draws, pictures=sum(len(stratum) for stratum in strata))

    def weights(self, stratum: Stratum, first: int, draws: int) -> Weights:
        """How often each picture of a stratum is in each draw from the first one [draws N]."""
        return weights(stratum.units, stratum.name, seed=self.seed, draws=draws, first=first)

    def _false_alarms(self, parts: Sequence[tuple[Stratum, Predictions, NDArray[np.bool_]]]) -> Figure:
        """The share flagged of the decided photographs of some strata."""
        hits = sum(int((predictions.flagged[decided] == 1).sum()) for _, predictions, decided in parts)
        n = sum(int(decided.sum()) for *_, decided in parts)
        if n == 0 or not any(stratum.grouped for stratum, *_ in parts):
            return share_figure(hits, n)

        def chunk(first: int, draws: int) -> Array:
            flagged = total = np.zeros(draws)
            for stratum, predictions, decided in parts:
                drawn = self.weights(stratum, first, draws)[:, decided]
                flagged = flagged + drawn @ (predictions.flagged[decided] == 1)
                total = total + drawn.sum(axis=1)
            shares: Array = np.divide(flagged, total, out=np.full(draws, np.nan), where=total > 0)
            return shares

        drawn = in_chunks(chunk, draws=self.draws, pictures=n)
        return share_figure(hits, n, drawn, sum(len(set(s.units[decided])) for s, _, decided in parts))


def _measured(predictions: Predictions) -> NDArray[np.bool_]:
    """Pictures that were measured and are no errors."""
    return ~np.isin(predictions.scope, ("missing", ERROR_SCOPE, SEEN_SCOPE))


def _figure(value: float, drawn: Array) -> Figure:
    return Figure(float(value), *interval(drawn)) if math.isfinite(value) else UNKNOWN


def _rate(predictions: Predictions, stratum: Stratum, drawn: Array) -> Figure:
    """The share flagged of the pictures of a stratum that were decided on, by its draws [B]."""
    hits, decided = int((predictions.flagged == 1).sum()), predictions.decided
    groups = len(set(stratum.units[decided])) if stratum.grouped else 0
    return share_figure(hits, int(decided.sum()), drawn, groups)


def share_figure(hits: int, n: int, drawn: Array | None = None, groups: int = 0) -> Figure:
    """The share of n that are hits. Its interval is exact, but by the draws [B] where n are drawn by so many groups.

    Where no draw can differ, it is the exact one of so many groups.
    """
    if n == 0:
        return UNKNOWN
    if not groups or drawn is None:
        return Figure(hits / n, *metrics.clopper_pearson(hits, n))
    if hits in (0, n):
        return Figure(hits / n, *metrics.clopper_pearson(round(hits / n * groups), groups))
    return Figure(hits / n, *interval(drawn))


def _auc_of(
    photos: Predictions, generated: Predictions, of_photos: NDArray[np.bool_], of_generated: NDArray[np.bool_]
) -> WeightedFigure:
    """The AUC of some photographs [P] and generated pictures [G], as a figure of weights [B P] and [B G]."""
    scores = photos.score[of_photos], generated.score[of_generated]
    return lambda first, second: metrics.rank(*scores, first[:, of_photos], second[:, of_generated]).auc()


def _all_figures(
    photos: Predictions,
    generated: Predictions,
    photo_weights: Weights | None,
    generated_weights: Weights | None,
) -> Array:
    """Every figure by `NAMES`, of weights [B P] and [B G] (None: ones): [B, figures]."""
    parts = ((photos, photo_weights), (generated, generated_weights))
    scored = [None if w is None else w[:, predictions.scored] for predictions, w in parts]
    ranked = metrics.rank(photos.score[photos.scored], generated.score[generated.scored], *scored)
    alarms, found = (
        metrics.share(
            predictions.flagged[predictions.decided] == 1, None if w is None else w[:, predictions.decided]
        )
        for predictions, w in parts
    )
    columns = {
        "auc": ranked.auc(),
        "ap_generated": ranked.average_precision("generated"),
        "ap_photo": ranked.average_precision("photo"),
        "accuracy": (1 - alarms + found) / 2,
        "tpr_at_1": ranked.tpr_at(0.01),
        "tpr_at_5": ranked.tpr_at(0.05),
        "found": found,
        "false_alarms": alarms,
    }
    return np.stack([columns[name] for name in NAMES], axis=1)
