"""The papers' tables: whose rows they hold, what was printed beside, and what a row without weights says."""

import csv

import numpy as np
import pytest

from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import DetectorSection
from cameraborn.report import paper_tables
from cameraborn.report.analysis import Analysis
from cameraborn.report.paper import equal_number_figures
from cameraborn.report.paper_tables import TABLE1, TABLE2, TABLE3, Line
from cameraborn.report.results import Results

from .made_run import made_run


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """The lines of a made-up run's detectors."""
    analysis = Analysis(Results(made_run(tmp_path_factory.mktemp("made")).output))
    section = analysis.results.config.protocol
    detectors = analysis.results.detectors[:2]
    return [Line(one, equal_number_figures(analysis, one, section)) for one in detectors]


@pytest.fixture
def config(tmp_path):
    return made_run(tmp_path)


def rows_of(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def renamed(line, **changes):
    detector = line.detector.model_copy(update=changes)
    return Line(detector, line.rows)


def test_cells_of_a_table_are_its_figures_with_the_mean_last(lines):
    (axes,) = paper_tables.heat_table(TABLE1, lines).axes
    texts = np.array([text.get_text() for text in axes.texts]).reshape(2, 4)
    for shown, line in zip(texts, lines, strict=True):
        values = [(row.accuracy.value, row.ap_photo.value) for row in line.rows]
        expected = [*values, np.mean(values, axis=0)]
        assert list(shown) == [" / ".join(f"{100 * value:.1f}" for value in one) for one in expected]
    tints = axes.images[0].get_array()
    assert tints[0, -1] == pytest.approx(np.mean([row.accuracy.value for row in lines[0].rows]))


def test_the_csv_has_the_mean_behind_the_generators(lines, config):
    csv_path, png = paper_tables._write(TABLE1, lines, config)
    assert png.read_bytes().startswith(b"\x89PNG")
    rows = rows_of(csv_path)
    generators = [row.comparison.generator for row in lines[0].rows]
    assert [row["generator"] for row in rows] == [*generators, "mean"] * 2
    for number, line in enumerate(lines):
        mean = rows[4 * number + 3]
        for name in ("accuracy", "auc", "ap_photo", "ap_generated"):
            literal = np.mean([getattr(row, name).value for row in line.rows])
            assert float(mean[name]) == pytest.approx(literal, abs=1e-4)
            assert mean[f"{name}_low"] == ""
        assert (mean["of_each_class"], mean["problem"]) == ("", "")


@pytest.mark.parametrize(
    ("layout", "which", "kind", "printed"),
    [
        (TABLE1, "recce", "rival", {"printed_accuracy": "0.7238", "printed_ap_photo": "0.8787"}),
        (TABLE1, "default", "bundle", {"printed_accuracy": "0.8663", "printed_ap_photo": "0.9301"}),
        (TABLE1, "", "bundle", {"printed_accuracy": "", "printed_ap_photo": ""}),
        (TABLE2, "clip-vit-l14", "aigfd", {"printed_auc": "0.7613"}),
        (TABLE2, "farl", "aigfd", {"printed_auc": "0.7512"}),
        (TABLE2, "exif-as-language", "aigfd", {"printed_auc": "0.8412"}),
        (TABLE2, "default", "aigfd", {"printed_auc": "0.9343"}),
    ],
)
def test_the_printed_average_stands_beside_our_mean(lines, config, layout, which, kind, printed):
    line = renamed(lines[0], which=which, kind=kind)
    *_, mean = rows_of(paper_tables._write(layout, [line], config)[0])
    assert {name: value for name, value in mean.items() if name in printed} == printed
    known = any(printed.values())
    assert bool(mean["printed_source"]) == bool(mean["not_comparable"]) == known
    if known:
        assert "arXiv" in mean["printed_source"]
        assert "other pictures, and other photographs" in mean["not_comparable"]
        (axes,) = (plot := paper_tables.heat_table(layout, [line])).axes
        assert axes.get_xticklabels()[-1].get_text() == "printed"
        assert "It is not what ours measures: other pictures" in plot.get_supxlabel()
    else:
        assert paper_tables.heat_table(layout, [line]).get_supxlabel() == ""


def test_a_printed_figure_stands_beside_its_own_generator(lines, config):
    line = renamed(lines[0], which="clip-vit-l14", kind="aigfd")
    rows = rows_of(paper_tables._write(TABLE2, [line], config)[0])
    by_generator = {row["generator"]: row for row in rows}
    assert by_generator["StyleGAN2"]["printed_auc"] == "0.3399"
    assert "BLADES, table AUC, AUC: arXiv 2507.22824" in by_generator["StyleGAN2"]["printed_source"]
    assert by_generator["SDXL, base"]["printed_auc"] == ""


def test_a_row_without_weights_is_empty_but_for_what_was_printed(lines, config):
    missing = DetectorSection(kind="rival", which="univfd", name="UnivFD")
    line = Line(paper_tables._would_be(missing), problem="univfd: get this")
    rows = rows_of(paper_tables._write(TABLE1, [*lines, line], config)[0])
    row = rows[-1]
    assert (row["detector"], row["kind"], row["problem"]) == ("UnivFD", "rival", "univfd: get this")
    assert (row["accuracy"], row["ap_photo"]) == ("", "")
    assert row["not_comparable"] == "not measured: no weights were given"
    assert (row["printed_accuracy"], row["printed_ap_photo"]) == ("0.6796", "0.746")
    (axes,) = paper_tables.heat_table(TABLE1, [*lines, line]).axes
    texts = [text.get_text() for text in axes.texts][-5:]
    assert texts == ["", "", "", "no weights", "68.0 / 74.6"]


@pytest.mark.parametrize(
    ("kind", "which"), [("encoder", "farl"), ("encoder", "self-description"), ("rival", "npr")]
)
@pytest.mark.parametrize("layout", [TABLE1, TABLE2])
def test_a_row_without_weights_says_that_nothing_was_measured(lines, config, layout, kind, which):
    line = Line(paper_tables._would_be(DetectorSection(kind=kind, which=which)), problem="get this")
    mixture = renamed(lines[0], kind="aigfd", name="mine (aigfd)")
    rows = rows_of(paper_tables._write(layout, [mixture, line], config)[0])
    said = {row["detector"]: row["not_comparable"] for row in rows}
    empty = said.pop(line.detector.name, None)
    assert empty == (None if (layout, kind) == (TABLE2, "rival") else paper_tables.NOT_MEASURED)
    assert paper_tables.NOT_MEASURED not in said.values()


def test_an_encoder_without_weights_has_the_row_of_its_mixture():
    record = paper_tables._would_be(DetectorSection(kind="encoder", which="farl"))
    assert (record.name, record.kind, record.which) == ("farl (aigfd)", "aigfd", "farl")


def test_linear_probes_stand_in_table_ii_and_are_named_as_such(lines, config):
    probe = renamed(lines[0], kind="rival", which="probe-efficientnet-lite0", name="Lite0")
    mixture = renamed(lines[1], kind="aigfd", which="efficientnet-lite0", name="Lite0 (aigfd)")
    other = renamed(lines[1], kind="rival", which="npr", name="NPR")
    shown = {
        layout.name: list(
            dict.fromkeys(
                row["detector"]
                for row in rows_of(paper_tables._write(layout, [probe, mixture, other], config)[0])
            )
        )
        for layout in (TABLE1, TABLE2, TABLE3)
    }
    assert shown == {
        "table1": ["Lite0", "Lite0 (aigfd)", "NPR"],
        "table2": ["Lite0 (linear probe)", "Lite0 (aigfd)"],
        "table3": ["Lite0 (aigfd)"],
    }


def test_a_probes_own_threshold_is_no_second_row():
    own = DetectorRecord(name="p (own threshold)", key="k", kind="own threshold", which="probe-farl")
    assert not TABLE2.takes(own.kind, own.which)
    assert TABLE1.takes(own.kind, own.which)


def test_table_iii_has_nothing_printed(lines, config):
    line = renamed(lines[0], which="default", kind="aigfd")
    rows = rows_of(paper_tables._write(TABLE3, [line], config)[0])
    assert not any(name.startswith("printed") for name in rows[0])
