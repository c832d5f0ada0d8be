"""The papers' way of counting, and what their threshold does to other photographs."""

import dataclasses

import pytest

from cameraborn.bench.scores import read_scores
from cameraborn.report import metrics
from cameraborn.report.analysis import Analysis
from cameraborn.report.paper import equal_number_figures, equal_numbers, threshold_figures
from cameraborn.report.results import Results

from .made_run import made_config, made_run, synthetic


def test_equal_numbers_are_equal_and_seeded(tmp_path):
    analysis = synthetic(tmp_path / "out")
    section = analysis.results.config.protocol.model_copy(update={"equal_numbers": 5000})
    rows = equal_number_figures(analysis, analysis.results.detectors[0], section)
    assert [row.n for row in rows] == [200, 200]
    full = analysis.generators(analysis.results.detectors[0])
    hard = next(r for r in full if r.comparison.generator == "hard")
    for name in ("auc", "ap_photo", "ap_generated", "accuracy"):  # the numbers are equal already
        mine, all_pictures = (dataclasses.astuple(getattr(row, name)) for row in (rows[0], hard))
        assert mine == pytest.approx(all_pictures, abs=1e-3 if name == "accuracy" else 1e-9)
    fewer = section.model_copy(update={"equal_numbers": 50})
    drawn = [equal_number_figures(analysis, analysis.results.detectors[0], fewer) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0][0].n == 50


def test_as_many_of_both_are_drawn_by_the_seed_in_order():
    section = made_config("out").protocol  # at most 12 of each class
    photos, generated = equal_numbers(100, 30, section)
    assert (len(photos), len(generated)) == (12, 12)
    assert (photos, generated) == (sorted(set(photos)), sorted(set(generated)))
    assert equal_numbers(100, 30, section) == (photos, generated)
    assert equal_numbers(100, 30, section.model_copy(update={"seed": 1})) != (photos, generated)
    assert equal_numbers(3, 30, section)[0] == [0, 1, 2]
    assert equal_numbers(0, 30, section) == ([], [])


def test_both_thresholds_are_compared_on_the_same_scores(tmp_path):
    results = Results(made_run(tmp_path).output)
    analysis = Analysis(results)
    detector = next(detector for detector in results.detectors if detector.kind == "aigfd")
    rows = threshold_figures(analysis, detector, 0.05)
    assert [(row.stratum.shown, row.source) for row in rows] == [
        ("dev/face", "camera 0"),
        ("dev/face", "camera 1"),
        ("dev/scene", "camera 0"),
        ("dev/scene", "camera 1"),
        ("avatars", ""),
    ]
    scores = list(read_scores(tmp_path / "scores.csv"))
    for row in rows:
        decided = [
            one
            for one in scores
            if one.detector == detector.name
            and (one.test_set, one.track) == (row.stratum.test_set, row.stratum.track)
            and (one.generator, one.source) == ("", row.source)
            and None not in (one.flagged, one.p_value)
        ]
        assert row.n == len(decided)
        assert row.fitted.value == sum(one.flagged for one in decided) / row.n
        assert row.held_out.value == sum(one.p_value <= 0.05 for one in decided) / row.n
        assert row.difference.value == pytest.approx(row.fitted.value - row.held_out.value)
        assert row.difference.low <= row.difference.value <= row.difference.high
        if not row.stratum.grouped:
            hits = round(row.n * row.fitted.value)
            assert (row.fitted.low, row.fitted.high) == metrics.clopper_pearson(hits, row.n)
