"""The papers' printed figures: where they come from, and what keeps ours from being set against them."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from cameraborn.bench.record import DetectorRecord
from cameraborn.report.published import (
    figures_on,
    has_printed,
    not_comparable,
    our_metric,
    printed_in,
    published_figures,
)

from .made_run import synthetic


def test_published_figures_are_in_range_and_have_sources():
    figures = published_figures()
    assert len({dataclasses.astuple(figure) for figure in figures}) == len(figures)
    for figure in figures:
        assert 0 < figure.value <= 100
        assert figure.source.startswith("arXiv ")
        assert figure.third_party == ("digest" in figure.source)
        assert figure.positive_class in ("", "photo", "generated", "not stated")
    by_detector = {
        figure.detector: figure.value for figure in figures_on("sd21") if figure.metric == "accuracy"
    }
    assert by_detector["BLADES-OC"] == 80.70


def test_what_does_not_compare_is_said(tmp_path):
    figure = next(f for f in figures_on("StyleGAN2") if f.detector == "BLADES-OC" and f.metric == "accuracy")
    analysis = synthetic(tmp_path / "out", n=10)
    comparison, config = analysis.results.comparisons[0], analysis.results.config
    bundle = DetectorRecord(name="mine", key="k", kind="bundle")
    reasons = not_comparable(figure, bundle, comparison, config)
    assert [reason.split(",")[0] for reason in reasons] == [
        "other pictures",
        "our threshold is from held-out photographs",
        "other detectors",
        "theirs known from a third party's digest alone",
    ]
    of_paper = config.sets[0].model_copy(update={"of_paper": "BLADES"})
    same = config.model_copy(update={"sets": (of_paper,)})
    theirs = DetectorRecord(name="BLADES-OC (aigfd)", key="k", kind="aigfd")
    assert not_comparable(dataclasses.replace(figure, third_party=False), theirs, comparison, same) == []


def record(which, kind="rival", name="any name"):
    return DetectorRecord(name=name, key="k", kind=kind, which=which)


def test_an_average_is_found_by_what_a_detector_is_or_is_called():
    for detector in (record("lgrad"), record("", name="LGrad"), record("lgrad", "own threshold")):
        found = printed_in("I", detector)
        assert {metric: figure.value for metric, figure in found.items()} == {
            "accuracy": 72.43,
            "ap_photo": 91.75,
        }
    assert printed_in("I", record("lgrad"), "FreeDoM")["accuracy"].value == 66.58
    assert printed_in("I", record("lgrad"), "DDIM") == {}
    assert printed_in("I", record("npr")) == printed_in("III", record("lgrad")) == {}
    assert [has_printed(table) for table in ("I", "II", "III")] == [True, True, False]


def test_table_ii_is_known_from_both_papers_and_the_first_counts():
    clip = [printed_in("II", record(name, "aigfd"))["auc"] for name in ("clip-vit-l14", "clip-rn50")]
    assert clip[0] == clip[1]
    assert (clip[0].paper, clip[0].value) == ("BLADES", 76.13)
    ours = printed_in("II", record("default", "aigfd"))["auc"]
    assert (ours.paper, ours.value) == ("AIGFD-EXIF", 93.43)


def test_the_ranking_without_faces_is_another_detector_than_the_papers_own():
    """EXIF-L2R has a row of its own in Table II."""
    known = {figure.detector for figure in published_figures()}
    for kind, name in (("bundle", "EXIF-L2R"), ("aigfd", "EXIF-L2R (aigfd)"), ("bundle", "exif_l2r")):
        for table in ("I", "II"):
            found = printed_in(table, record("runs/exif_l2r", kind, name))
            assert {figure.detector for figure in found.values()} <= known & {"EXIF-L2R"}
    assert printed_in("II", record("", "bundle", "AIGFD-EXIF"))


@pytest.mark.parametrize(
    ("detector", "table", "metric", "words"),
    [
        (record("gramnet"), "I", "accuracy", "theirs learnt from CelebA-HQ and VQGAN's pictures"),
        (record("default", "bundle"), "I", "accuracy", "other detectors, trained on other data"),
        (record("farl", "aigfd"), "II", "auc", "our mixture was fitted to other photographs"),
        (record("clip-rn50", "aigfd"), "II", "auc", "does not say which of CLIP's networks"),
        (record("farl", "aigfd"), "II", "auc", "the mean over other generators than their nine"),
    ],
)
def test_why_an_average_is_not_ours(tmp_path, detector, table, metric, words):
    config = synthetic(tmp_path / "out", n=10).results.config
    reasons = not_comparable(printed_in(table, detector)[metric], detector, None, config)
    assert any(words in reason for reason in reasons)
    same = not_comparable(
        printed_in("II", record("exif-as-language"))["auc"], record("exif-as-language"), None, config
    )
    assert "other detectors, trained on other data" not in same


def test_a_generator_is_found_under_the_names_that_papers_give_it():
    names = ["sd21", "Stable Diffusion 2.1", "SDv2.1"]
    found = [figures_on(name) for name in names]
    assert found[0]
    assert found == [found[0]] * 3
    assert figures_on("a generator that nobody printed") == []


def test_only_figures_that_we_have_are_compared():
    ours = {figure.metric: our_metric(figure) for figure in published_figures()}
    assert ours["accuracy"] == "accuracy"
    assert ours["AUC"] == "auc"
    assert ours["average precision"] == "ap_photo"
    assert {
        name for metric, name in ours.items() if metric not in ("accuracy", "AUC", "average precision")
    } <= {None}


GENERATORS = {
    *("StyleGAN2", "VQGAN", "LDM", "DDIM", "SDv2.1", "FreeDoM", "HPS", "Midjourney", "SDXL"),
}
AVERAGE = "average of nine"
WRONG_IN_PRINT = {  # paper, table, detector, metric -> the mean of its rows
    ("AIGFD-EXIF", "I", "LGrad", "accuracy"): 72.51,
    ("AIGFD-EXIF", "I", "AIGFD-EXIF", "average precision"): 93.05,
}


def _rows_of_tables():
    """(paper, table, detector, metric) -> test set -> value, of those that have an average."""
    tables = {}
    for figure in published_figures():
        key = (figure.paper, figure.table, figure.detector, figure.metric)
        tables.setdefault(key, {})[figure.test_set] = figure.value
    return {key: row for key, row in tables.items() if AVERAGE in row}


def check_average(key, row):
    """The printed average is the mean of its nine, or what is missing can make up for the rest."""
    average = WRONG_IN_PRINT.get(key, row[AVERAGE])
    known = [value for test_set, value in row.items() if test_set in GENERATORS]
    missing = len(GENERATORS) - len(known)
    rest = 9 * average - sum(known)
    slack = 9 * 0.0051  # of an average that is cut to two places or rounded
    assert -slack <= rest <= 100 * missing + slack, f"{key}: what is missing would be {rest:.2f} in sum"


def test_the_two_averages_that_are_wrong_in_print_are_named():
    named = {
        (figure.paper, figure.table, figure.detector, figure.metric): float(found[1])
        for figure in published_figures()
        if (found := re.search(r"\((\d+\.\d+) when recomputed from its rows\)", figure.source))
        and abs(float(found[1]) - figure.value) > 0.01
    }
    assert named == WRONG_IN_PRINT


@pytest.mark.parametrize("key", sorted(_rows_of_tables()), ids=" ".join)
def test_averages_agree_with_the_figures_they_are_of(key):
    check_average(key, _rows_of_tables()[key])


def test_an_average_of_other_figures_is_noticed():
    row = dict(zip(sorted(GENERATORS), range(50, 59), strict=True)) | {AVERAGE: 54.0}
    check_average(("a", "b", "c", "d"), row)
    with pytest.raises(AssertionError, match="would be"):
        check_average(("a", "b", "c", "d"), row | {AVERAGE: 54.1})
    with pytest.raises(AssertionError, match="would be"):
        check_average(("AIGFD-EXIF", "I", "LGrad", "accuracy"), row | {"LDM": 99.0})


def test_rates_add_up():
    rates = {
        (figure.detector, figure.metric): figure.value
        for figure in published_figures()
        if figure.table == "rates"
    }
    accuracy = {  # of both classes in equal numbers
        figure.detector: figure.value
        for figure in published_figures()
        if (figure.metric, figure.test_set) == ("accuracy", AVERAGE)
    }
    detectors = {detector for detector, _ in rates}
    assert detectors == {"LGrad", "FatFormer", "BLADES-BC"}
    for detector, (right, wrong) in itertools.product(detectors, [("TNR", "FPR"), ("TPR", "FNR")]):
        assert rates[detector, right] + rates[detector, wrong] == pytest.approx(100, abs=0.011)
    for detector in detectors:
        balanced = (rates[detector, "TNR"] + rates[detector, "TPR"]) / 2
        assert balanced == pytest.approx(accuracy[detector], abs=0.06)


def test_the_document_counts_what_is_here():
    here = [figure for figure in published_figures() if figure.paper == "AIGFD-EXIF"]
    page = (Path(__file__).parents[2] / "docs" / "published.md").read_text(encoding="utf-8")
    for table, printed in (("I", 140), ("II", 50)):
        count = sum(figure.table == table for figure in here)
        assert re.search(rf"Table {table}: [^|]*\| {printed} \| {count}:", page)
    assert {figure.table for figure in here} == {"I", "II"}
