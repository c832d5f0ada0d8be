"""Tables for people, once, for both the page and the Markdown; and the same figures for programs, as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import ERROR_SCOPE, SEEN_SCOPE
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.report.analysis import NAMES, UNKNOWN, Analysis, Figure, GeneratorFigures, SourceFigures
from cameraborn.report.paper import EqualNumbers, Thresholds, equal_number_figures, threshold_figures
from cameraborn.report.published import (
    Published,
    figures_on,
    not_comparable,
    our_metric,
    published_figures,
)

NONE = "–"
MANY = 6  # detectors, of which more do not fit beside each other
_NOISE_SHOWN = 20  # lines of differences that are noise


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        detail: smaller, behind it: an interval.
        shade: -1 (bad) to 1 (good) tints it; None leaves it.
        tone: `good`, `bad`, `noise` or nothing: a word that is a verdict.
    """

    text: str
    detail: str = ""
    shade: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table for people."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 1  # so many first columns are words
    last_apart: bool = False  # the last row is a summary of the others
    notes: Sequence[str] = field(default_factory=tuple)
    words: Sequence[int] = ()  # other columns that are words

    def is_word(self, column: int) -> bool:
        """Whether a column holds words, which stand on the left."""
        return column < self.left or column in self.words


def number(figure: Figure, *, shade: bool = False) -> Cell:
    """A figure between 0 and 1, as .64, with its interval."""
    if not figure.known:
        return Cell(NONE)
    return Cell(
        _decimal(figure.value),
        f"{_decimal(figure.low)}–{_decimal(figure.high)}",
        auc_shade(figure.value) if shade else None,
    )


def percent(figure: Figure, *, nominal: float | None = None) -> Cell:
    """A share in percent, with its interval; tinted where that lies wholly over what was promised."""
    if not figure.known:
        return Cell(NONE)
    over = nominal is not None and figure.low > nominal
    return Cell(
        f"{100 * figure.value:.1f} %",
        f"{100 * figure.low:.1f}–{100 * figure.high:.1f}",
        -0.8 if over else None,
    )


def auc_shade(value: float) -> float:
    """Chance is 0; far under it is bad, and as loud."""
    return max(-1.0, min(1.0, 2 * (value - 0.5)))


def _decimal(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.2f}"


def overview(analysis: Analysis) -> Table:
    """AUC of every detector on every generator, worst generator first (by the best detector's), the mean last.

    Many detectors stand below each other, few beside each other.
    """
    detectors = analysis.results.detectors
    found = {detector.key: by_comparison(analysis.generators(detector)) for detector in detectors}
    names = {comparison.name for comparison in analysis.results.comparisons}

    def best(name: str) -> float:
        return max((rows[name].auc.value for rows in found.values() if name in rows), default=math.nan)

    cue = _best_cues(analysis)
    rows = []
    for name in sorted(names, key=best):
        cells = [Cell(name)]
        for detector in detectors:
            figures = found[detector.key].get(name)
            cells.append(Cell(NONE) if figures is None else number(figures.auc, shade=True))
        rows.append([*cells, cue.get(name, Cell(NONE))])
    means = [found[detector.key].get("") for detector in detectors]
    if any(means):
        rows.append(
            [Cell("mean"), *(Cell(NONE) if m is None else number(m.auc, shade=True) for m in means), Cell("")]
        )
    names_of = [*(detector.name for detector in detectors), "best trivial cue"]
    notes = ("A trivial cue counts in whichever direction separates better, which flatters it.",)
    if len(detectors) > MANY:
        lines = [
            [Cell(name), *cells] for name, *cells in zip(names_of, *(row[1:] for row in rows), strict=True)
        ]
        return Table(["detector", *(row[0].text for row in rows)], lines, last_apart=True, notes=notes)
    return Table(["generator", *names_of], rows, last_apart=any(means), notes=notes)


def by_comparison(rows: Iterable[GeneratorFigures]) -> dict[str, GeneratorFigures]:
    """Figures by the comparison's name; the mean under the empty one."""
    return {row.comparison.name if row.comparison else "": row for row in rows}


def _best_cues(analysis: Analysis) -> dict[str, Cell]:
    best: dict[str, tuple[float, str]] = {}
    for cue in analysis.results.cues:
        for name, row in by_comparison(analysis.generators(cue)).items():
            value = max(row.auc.value, 1 - row.auc.value)
            best[name] = max(best.get(name, (0.0, "")), (value, cue.name))
    return {name: Cell(_decimal(value), cue) for name, (value, cue) in best.items()}


def audit_table(analysis: Analysis) -> Table:
    """What everything but the picture says of the label, track by track."""
    rows = []
    for stratum in analysis.results.photographs:
        found = analysis.results.audits.get((stratum.test_set, stratum.track))
        if found is None:
            continue
        together = _interval(found.auc, found.low, found.high)
        leaks = found.low is not None and found.low > 0.5
        cell = number(together)
        rows.append(
            [
                Cell(stratum.shown),
                Cell(cell.text, cell.detail, -abs(auc_shade(together.value)) if leaks else None),
                Cell(NONE)
                if found.strongest_auc is None
                else Cell(_decimal(found.strongest_auc), found.strongest),
                Cell(", ".join(found.leaks) or "none", tone="" if found.leaks else "good"),
                Cell(str(found.copies)),
                Cell(found.verdict),
            ]
        )
    return Table(
        ["track", "all cues together", "strongest", "cues that tell the labels apart", "copies", "verdict"],
        rows,
        notes=(
            "AUC of format, size, compression, metadata, sharpness and colour, cross-validated, without looking at the "
            "picture; tinted where that is more than chance. Copies: near-duplicates under both labels.",
        ),
        words=(0, 3, 5),
    )


def _interval(value: float | None, low: float | None, high: float | None) -> Figure:
    return UNKNOWN if value is None or low is None or high is None else Figure(value, low, high)


def cue_table(analysis: Analysis) -> Table:
    """What gives the labels away: each cue's AUC on each generator."""
    found = {cue.key: by_comparison(analysis.generators(cue)) for cue in analysis.results.cues}
    rows = []
    for comparison in analysis.results.comparisons if found else ():
        cells = [Cell(comparison.name)]
        for cue in analysis.results.cues:
            figures = found[cue.key].get(comparison.name)
            if figures is None:
                cells.append(Cell(NONE))
                continue
            apart = figures.auc.low > 0.5 or figures.auc.high < 0.5
            cell = number(figures.auc)
            shade = -abs(auc_shade(figures.auc.value)) if apart else None
            cells.append(Cell(cell.text, cell.detail, shade))
        rows.append(cells)
    return Table(
        ["generator", *(cue.name for cue in analysis.results.cues)],
        rows,
        notes=(
            "Tinted: the cue alone tells the classes apart (its interval excludes .50, in either direction).",
        ),
    )


def generator_table(analysis: Analysis, detector: DetectorRecord) -> Table:
    """One detector, generator by generator, worst first, the mean last."""
    figures = analysis.generators(detector)
    few = any(row.comparison and row.n_photos < 100 for row in figures)
    rows = [
        [
            Cell(row.comparison.name if row.comparison else "mean"),
            Cell(f"{row.n_photos} / {row.n_generated}"),
            number(row.auc, shade=True),
            number(row.ap_generated),
            number(row.ap_photo),
            percent(row.accuracy),
            percent(row.tpr_at_1),
            percent(row.tpr_at_5),
            percent(row.found),
            percent(row.false_alarms, nominal=analysis.results.config.false_alarm_rate),
        ]
        for row in figures
    ]
    notes = [
        "AP: average precision with that class as the positive one, both classes weighted alike. Accuracy: mean of the "
        "shares of both classes decided rightly, at the detector's own threshold. TPR: generated pictures found by the "
        "threshold that flags at most 1 % or 5 % of this track's photographs. The mean counts each generator alike, "
        "however few its pictures."
    ]
    if few:
        notes.append(
            "With fewer than 100 photographs, 'at 1 %' is above every one of them; with fewer than 20 'at 5 %' is too."
        )
    return Table(
        [
            "generator",
            "photographs / generated",
            "AUC",
            "AP generated",
            "AP photograph",
            "accuracy",
            "TPR at 1 %",
            "TPR at 5 %",
            "found",
            "false alarms",
        ],
        rows,
        last_apart=len(figures) > 1,
        notes=notes,
    )


def difference_table(analysis: Analysis) -> Table:
    """Which detectors differ on which generators by more than chance; of noise only the first lines."""
    ordered = sorted(analysis.differences(), key=lambda row: (row.noise, -abs(row.auc.value)))
    shown = sum(not row.noise for row in ordered) + _NOISE_SHOWN
    rows = []
    for row in ordered[:shown]:
        better = row.first if row.auc.value > 0 else row.second
        rows.append(
            [
                Cell(row.comparison.name),
                Cell(f"{row.first.name} against {row.second.name}"),
                Cell(_signed(row.auc.value), f"{_signed(row.auc.low)} to {_signed(row.auc.high)}"),
                Cell(_p(row.p)),
                Cell(_p(row.adjusted_p)),
                Cell("noise", tone="noise") if row.noise else Cell(f"{better.name} is better", tone="good"),
            ]
        )
    notes = [
        "On the same pictures: paired bootstrap interval, DeLong's p (by the bootstrap's spread where pictures come in "
        f"groups), adjusted for all {len(ordered)} differences (Holm). 'Noise': the adjusted p is over .05."
    ]
    if len(ordered) > shown:
        notes.append(f"{len(ordered) - shown} more lines of noise are in tables/differences.csv.")
    return Table(
        ["generator", "detectors", "difference of AUC", "p", "p, adjusted", "so"],
        rows,
        left=2,
        notes=notes,
        words=(5,),
    )


def _signed(value: float) -> str:
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")


def _p(value: float) -> str:
    if math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def source_table(analysis: Analysis) -> Table:
    """False alarms, photograph source by photograph source."""
    nominal = analysis.results.config.false_alarm_rate
    rows = [
        [
            Cell(row.source or "not named"),
            Cell(row.stratum.shown),
            Cell(row.detector.name),
            Cell("in-source" if row.in_source else "out-of-source"),
            Cell(str(row.n)),
            Cell(str(row.abstained)),
            percent(row.rate, nominal=nominal),
        ]
        for detector in analysis.results.detectors
        for row in analysis.sources(detector)
    ]
    return Table(
        ["photographs of", "track", "detector", "learnt from?", "judged", "abstained", "flagged"],
        rows,
        left=4,
        notes=(
            f"Promised: {100 * nominal:g} %. Tinted: more than that, beyond chance. In-source: the detector has learnt "
            "from, or was calibrated with, photographs of this very source.",
        ),
    )


def source_name(row: SourceFigures) -> str:
    """A photograph source and its track."""
    return f"{row.source or 'not named'} ({row.stratum.shown})"


def false_alarm_overview(analysis: Analysis) -> Table:
    """Detectors by photograph sources: the share flagged."""
    nominal = analysis.results.config.false_alarm_rate
    found = {
        detector.name: {source_name(row): row.rate for row in analysis.sources(detector)}
        for detector in analysis.results.detectors
    }
    names = list(dict.fromkeys(name for rates in found.values() for name in rates))
    return Table(
        ["detector", *names],
        [
            [Cell(detector), *(percent(rates.get(name, UNKNOWN), nominal=nominal) for name in names)]
            for detector, rates in found.items()
        ],
    )


def robustness_table(analysis: Analysis) -> Table:
    """Each detector under each degradation."""
    nominal = analysis.results.config.false_alarm_rate
    rows = [
        [
            Cell(row.degradation),
            Cell(detector.name),
            number(row.auc, shade=True),
            Cell(_decimal(row.worst_auc), row.worst_generator),
            percent(row.false_alarms, nominal=nominal),
            Cell(f"{100 * row.abstained:.1f} %"),
        ]
        for detector in analysis.results.detectors
        if detector.kind != "aigfd"
        for row in analysis.robustness(detector)
    ]
    return Table(
        ["degradation", "detector", "mean AUC", "worst AUC", "false alarms", "abstained"],
        rows,
        left=2,
        notes=(
            f"False alarms: all photographs together, at the nominal {100 * nominal:g} %; tinted where they are more "
            "than that, beyond chance. Both classes are degraded alike.",
        ),
    )


def abstention_table(analysis: Analysis) -> Table:
    """Every picture accounted for: scored, abstained and why, seen, failed, missing."""
    results = analysis.results
    rows = []
    for detector in results.scorers:
        for degradation in results.degradations(detector):
            counts: dict[str, dict[str, int]] = {"photo": {}, "generated": {}}
            strata = [*results.photographs, *(comparison.generated for comparison in results.comparisons)]
            for stratum in strata:
                predictions = results.predictions(detector, stratum, degradation)
                of = counts["generated" if stratum.generator else "photo"]
                for scope, count in (
                    {"missing": len(stratum)} if predictions is None else predictions.counts()
                ).items():
                    of[scope] = of.get(scope, 0) + count
            if any(set(of) - {"ok"} for of in counts.values()):
                rows.append(
                    [Cell(detector.name), Cell(degradation), *(Cell(_scopes(of)) for of in counts.values())]
                )
    return Table(
        ["detector", "degradation", "photographs", "generated"],
        rows,
        left=4,
        notes=(
            "Only lines with something to say. A picture without a score is in no figure of ranking, one without a "
            "decision in no rate; 'beyond-calibration' has a score and no decision.",
        ),
    )


_SCOPE_WORDS = {
    "ok": "judged",
    ERROR_SCOPE: "failed",
    SEEN_SCOPE: "seen in training",
    "missing": "not measured yet",
}


def _scopes(counts: Mapping[str, int]) -> str:
    order = sorted(counts, key=lambda scope: (scope != "ok", scope))
    return ", ".join(f"{counts[scope]} {_SCOPE_WORDS.get(scope, scope)}" for scope in order)


def protocol_table(figures: Sequence[EqualNumbers]) -> Table:
    """Accuracy and average precision as the papers count them."""
    return Table(
        ["generator", "detector", "of each class", "accuracy", "AUC", "AP photograph", "AP generated"],
        [
            [
                Cell(row.comparison.name),
                Cell(row.detector.name),
                Cell(str(row.n)),
                percent(row.accuracy),
                number(row.auc, shade=True),
                number(row.ap_photo),
                number(row.ap_generated),
            ]
            for row in figures
        ],
        left=2,
    )


def threshold_table(figures: Sequence[Thresholds], nominal: float) -> Table:
    """The real false-alarm rate of both thresholds."""
    return Table(
        [
            "photographs of",
            "track",
            "detector",
            "judged",
            "flagged, papers' threshold",
            "flagged, held-out threshold",
            "difference",
        ],
        [
            [
                Cell(row.source or "not named"),
                Cell(row.stratum.shown),
                Cell(row.detector.name),
                Cell(str(row.n)),
                percent(row.fitted, nominal=nominal),
                percent(row.held_out, nominal=nominal),
                Cell(
                    f"{100 * row.difference.value:+.1f}".replace("-", "−"),
                    f"{100 * row.difference.low:+.1f} to {100 * row.difference.high:+.1f}".replace("-", "−"),
                ),
            ]
            for row in figures
        ],
        left=3,
        notes=(
            f"Both promise {100 * nominal:g} %. The mixture and its scores are the same; only the photographs that set "
            "the threshold differ: those fitted to, or others. The difference is in percentage points, paired.",
        ),
    )


def published_table(analysis: Analysis) -> Table:
    """Ours beside the papers' printed figures, with why they do not compare."""
    detectors, config = analysis.results.detectors, analysis.results.config
    mine = {judge.key: by_comparison(analysis.generators(judge)) for judge in detectors}
    rows = []
    for comparison in analysis.results.comparisons:
        printed: dict[tuple[str, str, str], list[Published]] = {}
        for figure in figures_on(comparison.generator):
            if our_metric(figure):
                key = figure.paper, figure.metric, figure.positive_class
                printed.setdefault(key, []).append(figure)
        for (_, metric, positive), figures in printed.items():
            ours = [
                (judge, getattr(mine[judge.key][comparison.name], our_metric(figures[0]) or ""))
                for judge in detectors
                if comparison.name in mine[judge.key]
            ]
            known = [(judge, figure) for judge, figure in ours if figure.known]
            reasons = dict.fromkeys(
                reason
                for judge, _ in known
                for figure in figures
                for reason in not_comparable(figure, judge, comparison, config)
            )
            if known:
                rows.append(
                    [
                        Cell(comparison.name),
                        Cell(metric + (f", positive class {positive}" if positive else "")),
                        Cell("; ".join(f"{100 * figure.value:.1f} {judge.name}" for judge, figure in known)),
                        Cell(
                            "; ".join(f"{figure.value:.2f} {figure.detector}" for figure in figures),
                            "; ".join(dict.fromkeys(figure.source for figure in figures)),
                        ),
                        Cell("comparable", tone="good") if not reasons else Cell("; ".join(reasons)),
                    ]
                )
    return Table(
        ["generator", "figure, %", "ours", "printed", "not comparable, because"],
        rows,
        left=5,
        notes=(
            f"All {len(published_figures())} printed figures, with their sources: published.csv in the package.",
        ),
    )


def write_tables(analysis: Analysis, folder: Path) -> list[Path]:
    """The figures as CSV: generators, false_alarms, robustness, differences, and with a protocol its two."""
    detectors, config = analysis.results.scorers, analysis.results.config
    nominal = config.false_alarm_rate
    tables: dict[str, list[dict[str, object]]] = {
        "generators": [
            _row_of(detector)
            | {
                "test_set": row.comparison.generated.test_set if row.comparison else "",
                "track": row.comparison.generated.track if row.comparison else "",
                "generator": row.comparison.generator if row.comparison else "mean",
                "degradation": UNDEGRADED,
                "photos": row.n_photos,
                "generated": row.n_generated,
            }
            | {k: v for name in NAMES for k, v in spread(name, getattr(row, name)).items()}
            for detector in detectors
            for row in analysis.generators(detector)
        ],
        "false_alarms": [
            _row_of(detector)
            | {
                "test_set": row.stratum.test_set,
                "track": row.stratum.track,
                "source": row.source,
                "in_source": str(row.in_source).lower(),
                "degradation": degradation,
                "judged": row.n,
                "abstained": row.abstained,
                "nominal": nominal,
            }
            | spread("rate", row.rate)
            for detector in analysis.results.detectors
            for degradation in analysis.results.degradations(detector)
            for row in analysis.sources(detector, degradation)
        ],
        "robustness": [
            _row_of(detector)
            | {"degradation": row.degradation}
            | spread("mean_auc", row.auc)
            | {"worst_auc": _plain(row.worst_auc), "worst_generator": row.worst_generator}
            | spread("false_alarms", row.false_alarms)
            | {"abstained": _plain(row.abstained)}
            for detector in detectors
            for row in analysis.robustness(detector)
        ],
        "differences": [
            {
                "first": row.first.name,
                "second": row.second.name,
                "generator": row.comparison.generator,
                "track": row.comparison.generated.track,
            }
            | spread("auc_difference", row.auc)
            | {"p": _plain(row.p), "adjusted_p": _plain(row.adjusted_p), "noise": str(row.noise).lower()}
            for row in analysis.differences()
        ],
    }
    if config.protocol is not None:
        tables["equal_numbers"] = [
            equal_numbers_row(row)
            for detector in analysis.results.detectors
            for row in equal_number_figures(analysis, detector, config.protocol)
        ]
        tables["thresholds"] = [
            _row_of(row.detector)
            | {"track": row.stratum.track, "source": row.source, "in_source": str(row.in_source).lower()}
            | {"photos": row.n, "nominal": nominal}
            | spread("fitting_set", row.fitted)
            | spread("held_out", row.held_out)
            | spread("difference", row.difference)
            for detector in analysis.results.detectors
            if detector.kind == "aigfd"
            for row in threshold_figures(analysis, detector, nominal)
        ]
    return [write_csv(rows, folder / f"{name}.csv") for name, rows in tables.items() if rows]


def equal_numbers_row(row: EqualNumbers) -> dict[str, object]:
    """One row of Tables I to III for programs."""
    named = {
        "generator": row.comparison.generator,
        "track": row.comparison.generated.track,
        "of_each_class": row.n,
    }
    figures = {"accuracy": row.accuracy, "auc": row.auc, "ap_photo": row.ap_photo}
    figures["ap_generated"] = row.ap_generated
    return (
        _row_of(row.detector)
        | named
        | {k: v for name, one in figures.items() for k, v in spread(name, one).items()}
    )


def write_csv(rows: Sequence[Mapping[str, object]], path: Path) -> Path:
    """Rows with the same columns, written beside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
    return path


def spread(name: str, figure: Figure) -> dict[str, object]:
    """A figure as three columns."""
    values = {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return {column: _plain(value) for column, value in values.items()}


def _row_of(detector: DetectorRecord) -> dict[str, object]:
    return {"detector": detector.name, "kind": detector.kind}


def _plain(value: float) -> object:
    return "" if math.isnan(value) else round(value, 4)
