"""Plots: every mark stands where its figure is."""

import numpy as np
import pytest

from cameraborn.report import plots
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results

from .made_run import made_run


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return Analysis(Results(made_run(tmp_path_factory.mktemp("made")).output))


def dots(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line.get_xydata()


def test_the_forest_holds_every_auc_worst_on_top(analysis):
    (axes,) = plots.forest(analysis).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[-1] == "mean"
    detectors = analysis.results.detectors
    best = [
        max(row.auc.value for one in detectors for row in analysis.generators(one) if row.name == name)
        for name in names[:-1]
    ]
    assert best == sorted(best)
    for number, detector in enumerate(detectors):
        drawn = dots(axes, detector.name)
        figures = {row.name: row.auc.value for row in analysis.generators(detector)}
        assert [figures[names[round(y)]] for _, y in drawn] == pytest.approx([x for x, _ in drawn])
        assert {round(y - round(y), 3) for _, y in drawn} == {
            round((number - 1) * 0.8 / 3, 3)
        }  # beside each other
    cues = [line for line in axes.lines if line.get_marker() == "|"]
    assert len(cues) == 3


def test_false_alarms_are_in_percent_against_the_promise(analysis):
    (axes,) = plots.false_alarms(analysis).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    detector = analysis.results.detectors[0]
    rates = {
        f"{row.source or 'not named'} ({row.stratum.shown})": row.rate for row in analysis.sources(detector)
    }
    drawn = dots(axes, detector.name)
    assert [100 * rates[names[round(y)]].value for _, y in drawn] == pytest.approx([x for x, _ in drawn])
    assert [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]] == [5]


def test_robustness_shows_auc_above_and_false_alarms_below(analysis):
    upper, lower = plots.robustness(analysis).axes
    detector = analysis.results.detectors[1]
    rows = analysis.robustness(detector)
    of_detector = [line for line in upper.lines if len(line.get_xdata()) == len(rows)][1]
    assert list(of_detector.get_ydata()) == pytest.approx([row.auc.value for row in rows])
    assert [text.get_text() for text in lower.get_xticklabels()] == ["none", "jpeg 60"]
    shown = [line for line in lower.lines if len(line.get_xdata()) == len(rows)]
    alarms = [list(line.get_ydata()) for line in shown]
    assert any(np.allclose(one, [100 * row.false_alarms.value for row in rows]) for one in alarms)


def test_colours_come_again_with_other_markers():
    styles = [plots._style(number) for number in range(2 * len(plots.COLOURS))]
    assert len({(style["color"], style["marker"]) for style in styles}) == len(styles)


def test_a_table_as_a_picture_holds_its_texts():
    values = np.array([[0.0, np.nan], [1.0, 0.5]])
    (axes,) = plots.heat_table("t", ["a", "b"], ["c", "d"], values, [["1", "2"], ["3", "4"]]).axes
    assert [(t.get_text(), t.get_position()) for t in axes.texts] == [
        ("1", (0, 0)),
        ("2", (1, 0)),
        ("3", (0, 1)),
        ("4", (1, 1)),
    ]
    shown = axes.images[0].get_array()
    assert shown.mask.tolist() == [[False, True], [False, False]]


def test_figure_4_marks_the_best_held_out_number():
    curves = {
        "x": {
            "components": [1, 2, 4],
            "fit": [1, 2, 3],
            "held_out": [1, 3, 2],
            "bic": [3, 2, 1],
            "auc": [0.5] * 3,
        }
    }
    axes = plots.components("t", curves).axes
    assert [list(line.get_xdata()) for line in axes[0].lines if len(set(line.get_xdata())) == 1] == [[2, 2]]


def test_figure_5_draws_photographs_below_the_generators():
    places = np.arange(8.0).reshape(4, 2)
    panel = {"x": (places, ["gan", "photographs", "gan", "photographs"])}
    first, second = plots.embedding("t", panel).axes[0].collections
    assert first.get_label() == "photographs"
    assert first.get_offsets().tolist() == places[[1, 3]].tolist()
    assert second.get_offsets().tolist() == places[[0, 2]].tolist()


def test_the_same_figures_give_the_same_file(analysis, tmp_path):
    drawn = [plots.svg(plots.false_alarms(analysis)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    path = plots.save(plots.false_alarms(analysis), tmp_path / "figures" / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]
