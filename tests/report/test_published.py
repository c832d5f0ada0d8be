"""The papers' printed figures: where they come from, and what keeps ours from being set against them."""

import dataclasses

from cameraborn.bench.record import DetectorRecord
from cameraborn.report.published import figures_on, not_comparable, our_metric, published_figures

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
