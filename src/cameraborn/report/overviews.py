"""Tables of one kind of thing by another, and those that only people read: each is a matrix or a list of words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import ERROR_SCOPE, SEEN_SCOPE
from cameraborn.report.analysis import UNKNOWN, Analysis, Figure, GeneratorFigures, SourceFigures
from cameraborn.report.columns import NONE, auc_shade, decimal, number, percent, shaded_number
from cameraborn.report.document import Cell, Table
from cameraborn.report.published import Published, figures_on, not_comparable, our_metric, published_figures
from cameraborn.report.results import Results, Stratum

MANY = 6  # detectors, of which more do not fit next to each other


def overview(analysis: Analysis) -> Table:
    """AUC of every detector on every generator, worst generator first (by the best detector's), the mean last.

    Many detectors stand below each other, few next to each other.
    """
    detectors = analysis.results.detectors
    found = [by_comparison(analysis.generators(detector)) for detector in detectors]

    def best(name: str) -> float:
        return max((rows[name].auc.value for rows in found if name in rows), default=math.nan)

    names = sorted({comparison.name for comparison in analysis.results.comparisons}, key=best)
    names += ["mean"] if any("mean" in rows for rows in found) else []
    cues = _best_cues(analysis)
    lines = [
        [Cell(detector.name), *(shaded_number(rows[name].auc if name in rows else UNKNOWN) for name in names)]
        for detector, rows in zip(detectors, found, strict=True)
    ]
    best_cues = (Cell("") if name == "mean" else cues.get(name, Cell(NONE)) for name in names)
    lines.append([Cell("best trivial cue"), *best_cues])
    notes = ("A trivial cue counts in whichever direction separates better, which flatters it.",)
    if len(detectors) > MANY:
        return Table(["detector", *names], lines, last_apart=True, notes=notes)
    turned = [[Cell(name), *cells] for name, *cells in zip(names, *(line[1:] for line in lines), strict=True)]
    columns = ["generator", *(line[0].text for line in lines)]
    return Table(columns, turned, last_apart="mean" in names, notes=notes)


def by_comparison(rows: Iterable[GeneratorFigures]) -> dict[str, GeneratorFigures]:
    """Figures by their name."""
    return {row.name: row for row in rows}


def _best_cues(analysis: Analysis) -> dict[str, Cell]:
    best: dict[str, tuple[float, str]] = {}
    for cue in analysis.results.cues:
        for name, row in by_comparison(analysis.generators(cue)).items():
            value = max(row.auc.value, 1 - row.auc.value)
            best[name] = max(best.get(name, (0.0, "")), (value, cue.name))
    return {name: Cell(decimal(value), cue) for name, (value, cue) in best.items()}


def audit_table(analysis: Analysis) -> Table:
    """What everything but the picture says of the label, track by track."""
    rows = []
    for stratum in analysis.results.photographs:
        found = analysis.results.audits.get((stratum.test_set, stratum.track))
        if found is None:
            continue
        together, strongest = UNKNOWN, Cell(NONE)
        if found.auc is not None and found.low is not None and found.high is not None:
            together = Figure(found.auc, found.low, found.high)
        if found.strongest_auc is not None:
            strongest = Cell(decimal(found.strongest_auc), found.strongest)
        rows.append(
            [
                Cell(stratum.shown),
                _leak(together, leaks=together.low > 0.5),
                strongest,
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


def _leak(auc: Figure, *, leaks: bool) -> Cell:
    """The AUC of what should separate nothing: tinted as bad, in either direction, where it leaks the label."""
    return replace(number(auc), shade=-abs(auc_shade(auc.value)) if leaks else None)


def cue_table(analysis: Analysis) -> Table:
    """What gives the labels away: each cue's AUC on each generator."""
    cues = analysis.results.cues
    found = [by_comparison(analysis.generators(cue)) for cue in cues]
    rows = []
    for comparison in analysis.results.comparisons if cues else ():
        aucs = [rows_of[comparison.name].auc if comparison.name in rows_of else UNKNOWN for rows_of in found]
        leaks = [auc.low > 0.5 or auc.high < 0.5 for auc in aucs]
        cells = (_leak(auc, leaks=leak) for auc, leak in zip(aucs, leaks, strict=True))
        rows.append([Cell(comparison.name), *cells])
    return Table(
        ["generator", *(cue.name for cue in cues)],
        rows,
        notes=(
            "Tinted: the cue alone tells the classes apart (its interval excludes .50, in either direction).",
        ),
    )


def source_name(row: SourceFigures) -> str:
    """A photograph source and its track."""
    return f"{row.source or 'not named'} ({row.stratum.shown})"


def false_alarm_overview(analysis: Analysis) -> Table:
    """Detectors by photograph sources: the share flagged."""
    nominal = analysis.results.config.false_alarm_rate
    detectors = analysis.results.detectors
    found = [{source_name(row): row.rate for row in analysis.sources(detector)} for detector in detectors]
    names = list(dict.fromkeys(name for rates in found for name in rates))
    return Table(
        ["detector", *names],
        [
            [
                Cell(detector.name),
                *(
                    percent(rates.get(name, UNKNOWN), nominal=nominal if detector.promises else None)
                    for name in names
                ),
            ]
            for detector, rates in zip(detectors, found, strict=True)
        ],
    )


def abstention_table(analysis: Analysis) -> Table:
    """Every picture accounted for: scored, abstained and why, seen, failed, missing."""
    results = analysis.results
    generated = [comparison.generated for comparison in results.comparisons]
    rows = []
    for detector in results.scorers:
        for degradation in results.degradations(detector):
            counts = [
                sum((_scopes(results, detector, stratum, degradation) for stratum in strata), Counter[str]())
                for strata in (results.photographs, generated)
            ]
            if any(set(scopes) - {"ok"} for scopes in counts):
                rows.append([Cell(detector.name), Cell(degradation), *map(_scope_cell, counts)])
    return Table(
        ["detector", "degradation", "photographs", "generated"],
        rows,
        words=range(4),
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


def _scopes(results: Results, detector: DetectorRecord, stratum: Stratum, degradation: str) -> Counter[str]:
    predictions = results.predictions(detector, stratum, degradation)
    return Counter(["missing"] * len(stratum) if predictions is None else predictions.scope.tolist())


def _scope_cell(counts: Counter[str]) -> Cell:
    order = sorted(counts, key=lambda scope: (scope != "ok", scope))
    return Cell(", ".join(f"{counts[scope]} {_SCOPE_WORDS.get(scope, scope)}" for scope in order))


def published_table(analysis: Analysis) -> Table:
    """Our figures and the papers' printed ones, with why they do not compare."""
    config = analysis.results.config
    ours = [
        (detector, by_comparison(analysis.generators(detector))) for detector in analysis.results.detectors
    ]
    rows = []
    for comparison in analysis.results.comparisons:
        mine = [(detector, found[comparison.name]) for detector, found in ours if comparison.name in found]
        for (_, metric, positive), printed in _printed_on(comparison.generator).items():
            values = [(detector, getattr(row, our_metric(printed[0]) or "")) for detector, row in mine]
            known = [(detector, value) for detector, value in values if value.known]
            reasons = dict.fromkeys(
                reason
                for detector, _ in known
                for figure in printed
                for reason in not_comparable(figure, detector, comparison, config)
            )
            if known:
                rows.append(
                    [
                        Cell(comparison.name),
                        Cell(metric + (f", positive class {positive}" if positive else "")),
                        Cell(
                            "; ".join(f"{100 * value.value:.1f} {detector.name}" for detector, value in known)
                        ),
                        Cell(
                            "; ".join(f"{figure.value:.2f} {figure.detector}" for figure in printed),
                            "; ".join(dict.fromkeys(figure.source for figure in printed)),
                        ),
                        Cell("; ".join(reasons)) if reasons else Cell("comparable", tone="good"),
                    ]
                )
    return Table(
        ["generator", "figure, %", "ours", "printed", "not comparable, because"],
        rows,
        words=range(5),
        notes=(
            f"All {len(published_figures())} printed figures, with their sources: published.csv in the package.",
        ),
    )


def _printed_on(generator: str) -> dict[tuple[str, str, str], list[Published]]:
    """Printed figures on a generator that we have too, grouped by paper, metric and positive class."""
    found: dict[tuple[str, str, str], list[Published]] = {}
    for figure in figures_on(generator):
        if our_metric(figure):
            found.setdefault((figure.paper, figure.metric, figure.positive_class), []).append(figure)
    return found
