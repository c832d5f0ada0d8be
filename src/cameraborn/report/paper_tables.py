"""The papers' tables, each as CSV and as a picture, in the output folder's `paper/`.

Table I: detectors by generator. Table II: encoders' features, through one and the same mixture and through linear
probes. Table III: what a pretext task is worth, for a configuration that lists bundles trained on different tasks.
What is missing of the measurement is made first.

What the papers printed stands beside ours, with the reasons why both are not the same thing. A row whose weights are
missing stays empty, with a line that says where they are: a table says what there is, where a run that leaves out a
detector would look whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cameraborn.bench.config import BenchConfig, without_missing
from cameraborn.bench.features import Advance
from cameraborn.bench.protocol import run_protocol, section_of
from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.run import run
from cameraborn.bench.scorers import PROTOCOL, DetectorSection
from cameraborn.engine.stage import Jobs
from cameraborn.errors import BenchError
from cameraborn.report import plots
from cameraborn.report.analysis import Analysis
from cameraborn.report.columns import records_of, rounded, write_csv
from cameraborn.report.paper import EqualNumbers, equal_number_figures
from cameraborn.report.published import Published, has_printed, not_comparable, printed_in
from cameraborn.report.results import Comparison, Results
from cameraborn.report.tables import EQUAL_NUMBERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

FOLDER = "paper"
NOT_MEASURED = "not measured: no weights were given"
MEAN = "mean"  # in the column of generators
# Called with a configuration, `jobs`, `advance` and `tell`; returns the files that it wrote.
Study = Callable[..., list[Path]]
Tell = Callable[[str], None]  # is told what was left out, in a line
_FIGURES = ("accuracy", "auc", "ap_photo", "ap_generated")
_PROBE = "probe-"  # how the names of rivals begin that are a linear map of an encoder's features
_WHY = (
    "Printed: the papers' average of nine generators. It is not what ours measures: other pictures and photographs, "
    "other generators,\ndetectors that learnt from other data, thresholds set in another way. The CSV says for each "
    "row which of these hold."
)


@dataclass(frozen=True)
class Layout:
    """How a table of the papers is laid out.

    Attributes:
        name: of its files.
        number: in AIGFD-EXIF.
        title: of the picture.
        shade: the figure that tints a cell.
        texts: the figures that a cell holds.
        takes: whether a detector of this kind, which is this, has a row.
    """

    name: str
    number: str
    title: str
    shade: str
    texts: tuple[str, ...]
    takes: Callable[[str, str], bool]


@dataclass(frozen=True)
class Line:
    """One line of a table: a detector on all generators, or what it lacks."""

    detector: DetectorRecord
    rows: Sequence[EqualNumbers] = ()
    problem: str = ""

    def mean(self, figure: str) -> float:
        """Mean of a figure over the generators; NaN where there is none."""
        values = [getattr(row, figure).value for row in self.rows]
        return float(np.mean(values)) if values else float("nan")


def is_probe(kind: str, which: str) -> bool:
    """Whether such a detector is a linear map of an encoder's features."""
    return kind == "rival" and which.startswith(_PROBE)


TABLE1 = Layout(
    "table1",
    "I",
    "accuracy / AP with the photograph as positive class, %",
    "accuracy",
    ("accuracy", "ap_photo"),
    lambda kind, which: kind != "cue",
)
TABLE2 = Layout(
    "table2",
    "II",
    "AUC of encoders' features: of one and the same mixture, and of linear probes, %",
    "auc",
    ("auc",),
    lambda kind, which: kind == PROTOCOL or is_probe(kind, which),
)
TABLE3 = Layout(
    "table3",
    "III",
    "accuracy / AUC / AP with the photograph as positive class, %",
    "auc",
    ("accuracy", "auc", "ap_photo"),
    lambda kind, which: kind == PROTOCOL,
)


def with_weights(config: BenchConfig, tell: Tell) -> BenchConfig:
    """The configuration without the detectors whose weights are missing, of which `tell` is told.

    Raises:
        BenchError: no detector is left.
        RecipeError: a rival or encoder is not known, or weights that are there do not fit it.
    """
    return _told(config, tell)[0]


def _told(config: BenchConfig, tell: Tell) -> tuple[BenchConfig, list[tuple[DetectorSection, str]]]:
    given, missing = without_missing(config)
    for _, line in missing:
        tell(line)
    return given, missing


def _study(*layouts: Layout) -> Study:
    """The study that writes these tables of one measurement."""

    def study(
        config: BenchConfig,
        *,
        jobs: Jobs = None,
        advance: Advance = lambda done, total: None,
        tell: Tell = lambda line: None,
    ) -> list[Path]:
        plots.needs_matplotlib()
        section = section_of(config)
        given, missing = _told(config, tell)
        if any(layout.takes(one.kind, one.which) for layout in layouts for one in given.detectors):
            run(given, jobs=jobs, advance=advance)
        run_protocol(given, jobs=jobs, advance=advance)
        analysis = Analysis(Results(given.output))
        lines = [
            Line(detector, equal_number_figures(analysis, detector, section))
            for detector in analysis.results.detectors
        ]
        lines = [line for line in lines if line.rows]
        if not lines:
            raise BenchError(
                "no generator has photographs to be compared with: name a test set that has both"
            )
        lines += [Line(_would_be(one), problem=problem) for one, problem in missing]
        return [path for layout in layouts for path in _write(layout, lines, config)]

    return study


# Detectors as they are, and by the papers' protocol.
table1 = _study(TABLE1)
table2 = _study(TABLE2)
table3 = _study(TABLE3)
tables = _study(TABLE1, TABLE2)


def _would_be(section: DetectorSection) -> DetectorRecord:
    """The record of a detector that has no weights."""
    kind = PROTOCOL if section.kind == "encoder" else section.kind
    name = section.name or section.which
    name = f"{name} ({PROTOCOL})" if kind == PROTOCOL else name
    return DetectorRecord(name=name, key="", kind=kind, which=section.which)


def _write(layout: Layout, lines: Sequence[Line], config: BenchConfig) -> list[Path]:
    """The CSV and the picture of a table."""
    mine = [line for line in lines if layout.takes(line.detector.kind, line.detector.which)]
    if not mine:
        raise BenchError(f"no detector has a row in Table {layout.number}: name encoders or bundles")
    path = config.output / FOLDER / f"{layout.name}.csv"
    records = [record for line in mine for record in _records(layout, line, config)]
    plot = heat_table(layout, mine)
    return [write_csv(records, path), plots.save(plot, path.with_suffix(".png"))]


def _shown(layout: Layout, detector: DetectorRecord) -> str:
    """The detector's name; among mixtures a linear probe is named as such."""
    probe = layout is TABLE2 and is_probe(detector.kind, detector.which)
    return f"{detector.name} (linear probe)" if probe else detector.name


def _records(layout: Layout, line: Line, config: BenchConfig) -> list[dict[str, object]]:
    """Lines of the CSV: generator by generator, and the mean over them last; of an empty row that alone."""
    rows = [
        records_of(EQUAL_NUMBERS, [row])[0] | _beside(layout, line, row.comparison, config)
        for row in line.rows
    ]
    mean: dict[str, object] = {name: "" for column in EQUAL_NUMBERS for name in column.fields}
    mean |= {"kind": line.detector.kind, "generator": MEAN}
    mean |= {name: rounded(line.mean(name)) for name in _FIGURES} | _beside(layout, line, None, config)
    return [record | {"detector": _shown(layout, line.detector)} for record in (*rows, mean)]


def _beside(
    layout: Layout, line: Line, comparison: Comparison | None, config: BenchConfig
) -> dict[str, object]:
    """What was printed of the detector on a generator, or on average; why it is not the same; what the row lacks."""
    beside: dict[str, object] = {}
    if has_printed(layout.number):
        printed = _printed(layout, line.detector, comparison.generator if comparison else "")
        reasons = [NOT_MEASURED]
        if line.rows:
            reasons = [
                reason
                for figure in printed.values()
                for reason in not_comparable(figure, line.detector, comparison, config)
            ]
        for name in layout.texts:
            beside[f"printed_{name}"] = rounded(printed[name].value / 100) if name in printed else ""
        beside["printed_source"] = "; ".join(
            f"{one.paper}, table {one.table}, {one.metric}: {one.source}" for one in printed.values()
        )
        beside["not_comparable"] = "; ".join(dict.fromkeys(reasons))
    return beside | {"problem": line.problem}


def _printed(layout: Layout, detector: DetectorRecord, generator: str = "") -> dict[str, Published]:
    """The printed figures that a cell of the table has too."""
    found = printed_in(layout.number, detector, generator)
    return {name: found[name] for name in layout.texts if name in found}


def heat_table(layout: Layout, lines: Sequence[Line]) -> Plot:
    """A table as a picture: generators, the mean, and the printed average where there is one."""
    generators = list(dict.fromkeys(row.comparison.name for line in lines for row in line.rows))
    printed = [_printed(layout, line.detector) for line in lines]
    columns = [name.replace(" (", "\n(") for name in generators] + [MEAN]
    columns += ["printed"] if any(printed) else []
    tints = np.full((len(lines), len(columns)), np.nan)
    words = [[""] * len(columns) for _ in lines]
    for place, line in enumerate(lines):
        for row in line.rows:
            column = generators.index(row.comparison.name)
            tints[place, column] = getattr(row, layout.shade).value
            words[place][column] = _percents(getattr(row, name).value for name in layout.texts)
        tints[place, len(generators)] = line.mean(layout.shade)
        words[place][len(generators)] = (
            "no weights" if line.problem else _percents(map(line.mean, layout.texts))
        )
        if printed[place]:
            values = (printed[place].get(name) for name in layout.texts)
            words[place][-1] = _percents(one.value / 100 if one else float("nan") for one in values)
    names = [_shown(layout, line.detector) for line in lines]
    title = f"Table {layout.number}: {layout.title}"
    return plots.heat_table(title, names, columns, tints, words, note=_WHY if any(printed) else "")


def _percents(values: Iterable[float]) -> str:
    return " / ".join("–" if np.isnan(value) else f"{100 * value:.1f}" for value in values)
