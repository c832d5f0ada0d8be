"""The report: one page that carries everything it shows, the same as Markdown, the figures as CSV and PNG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import OWN_THRESHOLD, PROTOCOL
from cameraborn.files import replacing
from cameraborn.report import overviews, plots, tables
from cameraborn.report.analysis import Analysis, Figure, GeneratorFigures, RobustnessFigures
from cameraborn.report.columns import table_of
from cameraborn.report.document import Picture, Report, Section
from cameraborn.report.page import html_page, markdown_page
from cameraborn.report.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot


def write_report(folder: Path, tell: Callable[[str], None] = lambda line: None) -> Path:
    """Write report.html, report.md, tables/*.csv and figures/*.png into a run's folder; return the page.

    `tell` is told, in a line, that the run is not finished; the page says it too.

    Raises:
        BenchError: there is no run in the folder, or Matplotlib is missing.
    """
    plots.needs_matplotlib()
    analysis = Analysis(Results(folder))
    if unfinished := analysis.results.unfinished:
        tell(f"{folder}: {unfinished}")
    tables.write_tables(analysis, folder / "tables")
    report = build(analysis, folder / "figures")
    page = folder / "report.html"
    for path, text in ((page, html_page(report)), (folder / "report.md", markdown_page(report))):
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
    return page


def build(analysis: Analysis, figures: Path) -> Report:
    """Compute the whole report; its plots are also saved as PNG in the folder `figures`."""
    return Report("Benchmark", _summary(analysis), _facts(analysis), list(_sections(analysis, figures)))


def _sections(analysis: Analysis, figures: Path) -> Iterator[Section]:
    """The sections that there are figures for, what a test set gives away by itself first."""
    results, config = analysis.results, analysis.results.config

    def picture(draw: Callable[[Analysis], Plot], name: str, says: str) -> Picture:
        plot = draw(analysis)
        plots.save(plot, figures / f"{name}.png")
        return Picture(name, plots.svg(plot), says)

    if results.audits or results.cues:
        leaks = (overviews.audit_table(analysis), overviews.cue_table(analysis))
        yield Section(
            "What gives the labels away",
            "What looks for no generator at all. Where it separates the classes, a detector that does too may have "
            "learnt nothing else.",
            [table for table in leaks if table.rows],
        )
    if results.detectors and results.comparisons:
        says = "AUC of each detector on each generator with 95 % intervals"
        yield Section(
            "Generators, the worst first",
            "How well each detector ranks generated pictures above photographs of the same track: AUC, .50 is "
            "chance. The mean comes last because it hides what fails.",
            [picture(plots.forest, "auc", says), overviews.overview(analysis)],
        )
        for detector in results.detectors:
            yield Section(detector.name, detector.note, [tables.generator_table(analysis, detector)])
    if len(results.detectors) > 1 and analysis.differences():
        yield Section(
            "Which differences are noise",
            "Two detectors on the same pictures; a difference counts if chance does not explain it.",
            [tables.difference_table(analysis)],
        )
    if any(analysis.sources(detector) for detector in results.detectors):
        says = "False-alarm rate on each photograph source"
        yield Section(
            "False alarms, source by source",
            "A photograph source that a detector has not learnt from shows what its promise is worth elsewhere.",
            [picture(plots.false_alarms, "false_alarms", says), tables.source_table(analysis)],
        )
    if results.detectors and len(config.degradations) > 1:
        says = "AUC and false alarms under each degradation"
        yield Section(
            "What degradations do",
            "The same pictures, degraded as web sites do. A detector that flags every recompressed photograph is "
            "useless, whatever its AUC.",
            [picture(plots.robustness, "robustness", says), tables.robustness_table(analysis)],
        )
    yield from _protocol_sections(analysis)
    published = overviews.published_table(analysis)
    if published.rows:
        yield Section(
            "The papers' printed figures",
            "Printed figures on generators of the same name. None was measured here; the last column says why a "
            "comparison would mislead.",
            [published],
        )
    left_out = overviews.abstention_table(analysis)
    if left_out.rows:
        yield Section(
            "What was not judged",
            "Nothing is silently dropped: every picture is counted here.",
            [left_out],
        )


def _protocol_sections(analysis: Analysis) -> Iterator[Section]:
    results, protocol = analysis.results, analysis.results.config.protocol
    if protocol is None or not any(detector.kind == PROTOCOL for detector in results.detectors):
        return
    yield Section(
        "The papers' protocol",
        f"As AIGFD-EXIF counts: as many photographs as generated pictures (seed {protocol.seed}). Rows marked "
        "(aigfd) are a mixture on the same encoder, with its threshold from the photographs it was fitted to; "
        "those marked (own threshold) are rivals with their authors' threshold; the others are detectors as they are, "
        "with theirs from held-out photographs.",
        [table_of(tables.EQUAL_NUMBERS, tables.equal_number_rows(analysis, protocol))],
    )
    yield Section(
        "What a threshold from the fitting set costs",
        "One mixture, one set of scores, two thresholds.",
        [tables.threshold_table(analysis)],
    )


def _summary(analysis: Analysis) -> list[str]:
    """What a reader in a hurry must know, in sentences made from the figures."""
    unfinished = analysis.results.unfinished
    sentences = [f"{unfinished[0].upper()}{unfinished[1:]}."] if unfinished else []
    nominal = analysis.results.config.false_alarm_rate
    detectors = analysis.results.detectors
    if len(detectors) > overviews.MANY:  # the papers' protocol has sections of its own
        detectors = tuple(detector for detector in detectors if not detector.derived)
    for detector in detectors:
        if detector.kind != OWN_THRESHOLD:  # its scores, and so its ranks, are the rival's
            sentences += _ranking(detector, [row for row in analysis.generators(detector) if row.comparison])
        for row in analysis.robustness(detector)[:1]:
            if row.false_alarms.known:
                sentences.append(_false_alarms(row, nominal))
    differences = analysis.differences() if len(analysis.results.detectors) > 1 else []
    if differences:
        real = sum(not row.noise for row in differences)
        sentences.append(f"Of {len(differences)} differences between detectors, {real} are more than noise.")
    return sentences


def _ranking(detector: DetectorRecord, rows: Sequence[GeneratorFigures]) -> list[str]:
    """The worst and the best generator, of generators from the worst to the best."""
    if not rows:
        return []
    worst, best = rows[0], rows[-1]
    text = f"{detector.name}: worst on {worst.name}, AUC {_with_interval(worst.auc)}{_chance(worst.auc)}"
    if len(rows) > 1:
        text += f"; best on {best.name}, {_with_interval(best.auc)}{_chance(best.auc)}"
    return [f"{text}."]


def _false_alarms(row: RobustnessFigures, nominal: float) -> str:
    """What share of the photographs is flagged, and what was promised."""
    alarms = row.false_alarms
    if row.detector.promises:
        promise = f"promised were {100 * nominal:g} %{', which it breaks' if alarms.low > nominal else ''}"
    else:
        promise = "its threshold is not from held-out photographs, and promises nothing"
    return (
        f"{row.detector.name} flags {100 * alarms.value:.1f} % of the photographs as they are "
        f"({100 * alarms.low:.1f} to {100 * alarms.high:.1f} %); {promise}."
    )


def _with_interval(figure: Figure) -> str:
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _chance(figure: Figure) -> str:
    if math.isnan(figure.low) or not figure.low <= 0.5 <= figure.high:
        return ", worse than chance" if figure.high < 0.5 else ""
    return ", which may be chance"


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    results, config = analysis.results, analysis.results.config
    photos = sum(len(stratum) for stratum in results.photographs)
    generated = sum(len(comparison.generated) for comparison in results.comparisons)
    return [
        ("Pictures", f"{photos} photographs, {generated} generated"),
        ("Test sets", ", ".join(section.name for section in config.sets)),
        ("Detectors", ", ".join(f"{detector.name} [{detector.key}]" for detector in results.scorers)),
        ("Degradations", ", ".join(config.degradations)),
        ("Nominal false-alarm rate", f"{100 * config.false_alarm_rate:g} %"),
        (
            "Intervals",
            f"95 %, {config.draws} bootstrap draws by group; of false alarms exact where nothing is grouped",
        ),
        (
            "Positive class",
            "generated, unless a column says otherwise; higher scores are less like a photograph",
        ),
        ("Software", ", ".join(f"{name} {version}" for name, version in results.record.versions.items())),
    ]
