"""Tables that only people read: their cells against the figures, and their turning where detectors are many."""

import pytest

from cameraborn.bench.record import DetectorRecord, write_record
from cameraborn.report import columns, overviews, plots
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results

from .made_run import made_run, synthetic


def test_many_detectors_stand_below_each_other(tmp_path):
    analysis = synthetic(tmp_path / "out", n=20)
    scores = (analysis.results.folder / "scores.csv").read_text()
    names = [f"detector {number}" for number in range(overviews.MANY + 1)]
    good = [line for line in scores.splitlines(keepends=True) if ",good,good," in line]
    copies = [line.replace(",good,good,", f",{name},{name},") for name in names for line in good]
    (analysis.results.folder / "scores.csv").write_text(scores.splitlines(keepends=True)[0] + "".join(copies))
    write_record(
        analysis.results.config, [DetectorRecord(name=name, key=name, kind="bundle") for name in names]
    )
    analysis = Analysis(Results(analysis.results.folder))
    table = overviews.overview(analysis)
    assert table.columns == ["detector", "hard (a)", "easy (a)", "mean"]
    assert [row[0].text for row in table.rows] == [*names, "best trivial cue"]
    figures = analysis.generators(analysis.results.detectors[-1])
    assert table.rows[-2][1:] == [columns.number(row.auc, shade=True) for row in figures]
    for plot in (plots.forest(analysis), plots.false_alarms(analysis)):
        assert [label.get_text() for label in plot.axes[0].get_yticklabels()][:2] == names[:2]


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return Analysis(Results(made_run(tmp_path_factory.mktemp("made")).output))


def test_few_detectors_stand_next_to_each_other_worst_generator_first(analysis):
    table = overviews.overview(analysis)
    names = [detector.name for detector in analysis.results.detectors]
    assert table.columns == ["generator", *names, "best trivial cue"]
    assert table.last_apart
    assert [row[0].text for row in table.rows][-1] == "mean"
    found = [overviews.by_comparison(analysis.generators(one)) for one in analysis.results.detectors]
    best = []
    for row in table.rows:
        aucs = [figures[row[0].text].auc for figures in found]
        assert list(row[1:-1]) == [columns.number(auc, shade=True) for auc in aucs]
        best.append(max(auc.value for auc in aucs))
    assert best[:-1] == sorted(best[:-1])
    cue = overviews.by_comparison(analysis.generators(analysis.results.cues[0]))
    for row in table.rows[:-1]:
        value = cue[row[0].text].auc.value
        assert (row[-1].text, row[-1].detail) == (f"{max(value, 1 - value):.2f}", "sharpness")
    assert table.rows[-1][-1].text == ""


def test_a_cue_is_tinted_only_beyond_chance(analysis):
    table = overviews.cue_table(analysis)
    assert table.columns == ["generator", "sharpness"]
    found = overviews.by_comparison(analysis.generators(analysis.results.cues[0]))
    for row in table.rows:
        auc = found[row[0].text].auc
        apart = auc.low > 0.5 or auc.high < 0.5
        assert row[1].shade == (-abs(2 * auc.value - 1) if apart else None)
    assert len(table.rows) == len(analysis.results.comparisons)


def test_every_picture_is_accounted_for(analysis):
    rows = {
        (row[0].text, row[1].text): [cell.text for cell in row[2:]]
        for row in overviews.abstention_table(analysis).rows
    }
    assert rows["plain", "none"] == [
        "54 judged, 3 beyond-calibration, 3 no-face, 3 seen in training",
        "30 judged, 3 beyond-calibration, 3 no-face, 3 seen in training",
    ]
    assert rows["plain (aigfd)", "none"] == [
        "54 judged, 3 beyond-calibration, 3 not measured yet, 3 no-face",
        "30 judged, 3 beyond-calibration, 3 not measured yet, 3 no-face",
    ]
    assert ("plain (aigfd)", "jpeg:60") not in rows
    assert "3 failed" in rows["sharpness", "jpeg:60"][0]


def test_false_alarms_are_a_matrix_of_detectors_and_sources(analysis):
    table = overviews.false_alarm_overview(analysis)
    assert [row[0].text for row in table.rows] == [one.name for one in analysis.results.detectors]
    for row, detector in zip(table.rows, analysis.results.detectors, strict=True):
        rates = {overviews.source_name(one): one.rate for one in analysis.sources(detector)}
        nominal = 0.05 if detector.promises else None
        assert list(row[1:]) == [columns.percent(rates[name], nominal=nominal) for name in table.columns[1:]]


def test_printed_figures_stand_next_to_ours_with_what_keeps_them_apart(analysis):
    table = overviews.published_table(analysis)
    generators = {row[0].text for row in table.rows}
    assert generators == {"StyleGAN2 (dev/face)", "StyleGAN2 (dev/scene)"}  # nobody printed "SDXL, base"
    for row in table.rows:
        assert "arXiv" in row[3].detail
        assert "other pictures" in row[4].text
