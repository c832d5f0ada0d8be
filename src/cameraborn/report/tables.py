"""The tables that people read in the report and programs in the CSVs: one list of columns gives both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cameraborn.bench.config import ProtocolSection
from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import PROTOCOL
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.report.analysis import (
    Analysis,
    DifferenceFigures,
    GeneratorFigures,
    RobustnessFigures,
    SourceFigures,
)
from cameraborn.report.columns import (
    Column,
    boolean,
    count,
    decimal,
    difference,
    figure,
    number,
    only_csv,
    p_value,
    percent,
    points,
    records_of,
    rounded,
    shaded_number,
    table_of,
    words,
    write_csv,
)
from cameraborn.report.document import Cell, Table
from cameraborn.report.paper import EqualNumbers, Thresholds, equal_number_figures, threshold_figures

R = TypeVar("R")
_NOISE_SHOWN = 20  # lines of differences that are noise


def generator_columns(nominal: float) -> tuple[Column[GeneratorFigures], ...]:
    """Columns of one detector on one generator, or on all of them."""
    return (
        only_csv(detector="detector.name", kind="detector.kind", test_set="test_set", track="track"),
        words("generator", "name", generator="generator"),
        only_csv(degradation=lambda row: UNDEGRADED),
        Column(
            "photographs / generated",
            lambda row: Cell(f"{row.n_photos} / {row.n_generated}"),
            {"photos": lambda row: row.n_photos, "generated": lambda row: row.n_generated},
        ),
        figure("AUC", "auc", shaded_number),
        figure("AP generated", "ap_generated", number),
        figure("AP photograph", "ap_photo", number),
        figure("accuracy", "accuracy", percent),
        figure("TPR at 1 %", "tpr_at_1", percent),
        figure("TPR at 5 %", "tpr_at_5", percent),
        figure("found", "found", percent),
        _alarms("false alarms", "false_alarms", nominal),
    )


def source_columns(nominal: float) -> tuple[Column[SourceFigures], ...]:
    """Columns of one detector's false alarms on one photograph source."""
    return (
        DETECTOR,
        words("track", "stratum.shown", test_set="stratum.test_set", track="stratum.track"),
        SOURCE,
        words(
            "learnt from?",
            lambda row: "in-source" if row.in_source else "out-of-source",
            in_source=lambda row: boolean(row.in_source),
            degradation="degradation",
        ),
        count("judged", "judged", "n"),
        count("abstained", "abstained", "abstained"),
        only_csv(nominal=lambda row: nominal),
        _alarms("flagged", "rate", nominal),
    )


def robustness_columns(nominal: float) -> tuple[Column[RobustnessFigures], ...]:
    """Columns of one detector under one degradation."""
    return (
        DETECTOR,
        words("degradation", "degradation", degradation="degradation"),
        figure("mean AUC", "mean_auc", shaded_number, "auc"),
        Column(
            "worst AUC",
            lambda row: Cell(decimal(row.worst_auc), row.worst_generator),
            {
                "worst_auc": lambda row: rounded(row.worst_auc),
                "worst_generator": lambda row: row.worst_generator,
            },
        ),
        _alarms("false alarms", "false_alarms", nominal),
        Column(
            "abstained",
            lambda row: Cell(f"{100 * row.abstained:.1f} %"),
            {"abstained": lambda row: rounded(row.abstained)},
        ),
    )


def threshold_columns(nominal: float) -> tuple[Column[Thresholds], ...]:
    """Columns of the false alarms of one mixture under both thresholds."""
    return (
        DETECTOR,
        words("track", "stratum.shown", track="stratum.track"),
        SOURCE,
        only_csv(in_source=lambda row: boolean(row.in_source)),
        count("judged", "photos", "n"),
        only_csv(nominal=lambda row: nominal),
        figure("flagged, papers' threshold", "fitting_set", partial(percent, nominal=nominal), "fitted"),
        figure("flagged, held-out threshold", "held_out", partial(percent, nominal=nominal)),
        figure("difference", "difference", points),
    )


def _alarms(heading: str, name: str, nominal: float) -> Column[Any]:
    """A column of shares of photographs flagged, tinted where a promise is broken."""

    def cell(row: Any) -> Cell:  # noqa: ANN401 (rows of several tables)
        return percent(getattr(row, name), nominal=nominal if row.detector.promises else None)

    return replace(figure(heading, name, percent), cell=cell)


def _better(row: DifferenceFigures) -> Cell:
    if row.noise:
        return Cell("noise", tone="noise")
    return Cell(f"{(row.first if row.auc.value > 0 else row.second).name} is better", tone="good")


DETECTOR: Column[Any] = words("detector", "detector.name", detector="detector.name", kind="detector.kind")
GENERATOR: Column[Any] = words(
    "generator", "comparison.name", generator="comparison.generator", track="comparison.generated.track"
)
SOURCE: Column[Any] = words("photographs of", lambda row: row.source or "not named", source="source")
DIFFERENCES: tuple[Column[DifferenceFigures], ...] = (
    words(
        "detectors",
        lambda row: f"{row.first.name} against {row.second.name}",
        first="first.name",
        second="second.name",
    ),
    GENERATOR,
    figure("difference of AUC", "auc_difference", difference, "auc"),
    Column("p", lambda row: p_value(row.p), {"p": lambda row: rounded(row.p)}),
    Column(
        "p, adjusted",
        lambda row: p_value(row.adjusted_p),
        {"adjusted_p": lambda row: rounded(row.adjusted_p)},
    ),
    Column("so", _better, {"noise": lambda row: boolean(row.noise)}, word=True),
)
EQUAL_NUMBERS: tuple[Column[EqualNumbers], ...] = (
    DETECTOR,
    GENERATOR,
    count("of each class", "of_each_class", "n"),
    figure("accuracy", "accuracy", percent),
    figure("AUC", "auc", shaded_number),
    figure("AP photograph", "ap_photo", number),
    figure("AP generated", "ap_generated", number),
)


def generator_table(analysis: Analysis, detector: DetectorRecord) -> Table:
    """One detector, generator by generator, worst first, the mean last."""
    rows = analysis.generators(detector)
    notes = [
        "AP: average precision with that class as the positive one, both classes weighted alike. Accuracy: mean of the "
        "shares of both classes decided rightly, at the detector's own threshold. TPR: generated pictures found by the "
        "threshold that flags at most 1 % or 5 % of this track's photographs. The mean counts each generator alike, "
        "however few its pictures."
    ]
    if any(row.comparison and row.n_photos < 100 for row in rows):
        notes.append(
            "With fewer than 100 photographs, 'at 1 %' is above every one of them; with fewer than 20 'at 5 %' is too."
        )
    columns = generator_columns(analysis.results.config.false_alarm_rate)
    return table_of(columns, rows, last_apart=len(rows) > 1, notes=notes)


def difference_table(analysis: Analysis) -> Table:
    """Which detectors differ on which generators by more than chance; of noise only the first lines."""
    ordered = sorted(analysis.differences(), key=lambda row: (row.noise, -abs(row.auc.value)))
    shown = sum(not row.noise for row in ordered) + _NOISE_SHOWN
    notes = [
        "On the same pictures: paired bootstrap interval, DeLong's p (by the bootstrap's spread where pictures come in "
        f"groups), adjusted for all {len(ordered)} differences (Holm). 'Noise': the adjusted p is over .05."
    ]
    if len(ordered) > shown:
        notes.append(f"{len(ordered) - shown} more lines of noise are in tables/differences.csv.")
    return table_of(DIFFERENCES, ordered[:shown], notes=notes)


def source_table(analysis: Analysis) -> Table:
    """False alarms, photograph source by photograph source."""
    nominal = analysis.results.config.false_alarm_rate
    return table_of(
        source_columns(nominal),
        rows_of(analysis.results.detectors, analysis.sources),
        notes=(
            f"Promised: {100 * nominal:g} %, by detectors that held-out photographs calibrate; rows marked (own "
            "threshold) or (aigfd) promise nothing. Tinted: more than was promised, beyond chance. In-source: the "
            "detector has learnt from, or was calibrated with, photographs of this very source.",
        ),
    )


def robustness_table(analysis: Analysis) -> Table:
    """Each detector under each degradation; the papers' protocol was measured on pictures as they are."""
    nominal = analysis.results.config.false_alarm_rate
    return table_of(
        robustness_columns(nominal),
        rows_of((one for one in analysis.results.detectors if one.kind != PROTOCOL), analysis.robustness),
        notes=(
            f"False alarms: all photographs together, at the nominal {100 * nominal:g} %; tinted where they are more "
            "than was promised, beyond chance: a rival's own threshold promises nothing. Both classes are "
            "degraded alike.",
        ),
    )


def equal_number_rows(analysis: Analysis, section: ProtocolSection) -> list[EqualNumbers]:
    """Accuracy and average precision of all detectors as the papers count them."""
    return rows_of(analysis.results.detectors, lambda one: equal_number_figures(analysis, one, section))


def threshold_rows(analysis: Analysis) -> list[Thresholds]:
    """The false alarms under both thresholds of the detectors by the papers' protocol."""
    nominal = analysis.results.config.false_alarm_rate
    fitted = (detector for detector in analysis.results.detectors if detector.kind == PROTOCOL)
    return rows_of(fitted, lambda one: threshold_figures(analysis, one, nominal))


def threshold_table(analysis: Analysis) -> Table:
    """The real false-alarm rate of both thresholds."""
    nominal = analysis.results.config.false_alarm_rate
    return table_of(
        threshold_columns(nominal),
        threshold_rows(analysis),
        notes=(
            "The mixture and its scores are the same; only the photographs that set the threshold differ: those fitted "
            f"to, or others, which promise {100 * nominal:g} %. Tinted: more than that, beyond chance. The difference "
            "is in percentage points, paired.",
        ),
    )


def rows_of(detectors: Iterable[DetectorRecord], figures: Callable[[DetectorRecord], Iterable[R]]) -> list[R]:
    """The rows of all detectors."""
    return [row for detector in detectors for row in figures(detector)]


def write_tables(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the figures as CSV: generators, false_alarms, robustness, differences; with a protocol its two."""
    results, config = analysis.results, analysis.results.config
    nominal = config.false_alarm_rate
    tables = {
        "generators": records_of(generator_columns(nominal), rows_of(results.scorers, analysis.generators)),
        "false_alarms": records_of(
            source_columns(nominal),
            [
                row
                for detector in results.detectors
                for degradation in results.degradations(detector)
                for row in analysis.sources(detector, degradation)
            ],
        ),
        "robustness": records_of(robustness_columns(nominal), rows_of(results.scorers, analysis.robustness)),
        "differences": records_of(DIFFERENCES, analysis.differences()),
    }
    if config.protocol is not None:
        tables["equal_numbers"] = records_of(EQUAL_NUMBERS, equal_number_rows(analysis, config.protocol))
        tables["thresholds"] = records_of(threshold_columns(nominal), threshold_rows(analysis))
    return [write_csv(records, folder / f"{name}.csv") for name, records in tables.items() if records]
