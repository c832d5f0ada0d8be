"""Figures of a run, against the same figures worked out by hand."""

import math

import numpy as np
import pytest

from cameraborn.bench.scores import read_scores
from cameraborn.report import metrics
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results

from .made_run import made_run, synthetic


def test_figures_are_worst_first_and_the_mean_last(tmp_path):
    analysis = synthetic(tmp_path / "out")
    good = analysis.results.detectors[0]
    rows = analysis.generators(good)
    assert [row.comparison.generator if row.comparison else "mean" for row in rows] == [
        "hard",
        "easy",
        "mean",
    ]
    predictions = [
        analysis.results.predictions(good, s)
        for s in (rows[0].comparison.photos, rows[0].comparison.generated)
    ]
    assert rows[0].auc.value == metrics.auc(predictions[0].score, predictions[1].score)
    assert rows[2].auc.value == pytest.approx((rows[0].auc.value + rows[1].auc.value) / 2)
    for row in rows:
        for name in ("auc", "ap_photo", "ap_generated", "accuracy", "tpr_at_5", "found", "false_alarms"):
            figure = getattr(row, name)
            assert figure.low <= figure.value <= figure.high, name
    flags = predictions[0].flagged == 1
    assert rows[0].false_alarms.value == flags.mean()
    assert (rows[0].false_alarms.low, rows[0].false_alarms.high) == metrics.clopper_pearson(flags.sum(), 200)
    assert rows[0].accuracy.value == pytest.approx(
        (1 - flags.mean() + (predictions[1].flagged == 1).mean()) / 2
    )


def test_noise_is_told_from_difference(tmp_path):
    analysis = synthetic(tmp_path / "out")
    found = {row.comparison.generator: row for row in analysis.differences()}
    assert found["hard"].noise
    assert not found["easy"].noise
    assert found["easy"].auc.value < 0  # the first, `good`, is worse
    assert found["easy"].auc.high < 0
    assert found["hard"].auc.low <= 0 <= found["hard"].auc.high


def test_pictures_that_go_together_widen_intervals(tmp_path):
    widths = []
    for groups in (False, True):
        analysis = synthetic(tmp_path / str(groups), groups=groups)
        row = analysis.generators(analysis.results.detectors[0])[0]
        widths.append([figure.high - figure.low for figure in (row.auc, row.false_alarms)])
    assert widths[1][0] > 1.5 * widths[0][0]
    assert widths[1][1] > 1.5 * widths[0][1]


def test_false_alarms_are_by_source_and_none_flagged_has_an_interval(tmp_path):
    analysis = synthetic(tmp_path / "out")
    rows = analysis.sources(analysis.results.detectors[0])
    assert [(row.source, row.in_source, row.n) for row in rows] == [("two", False, 100), ("one", True, 100)]
    nothing = metrics.clopper_pearson(0, 60)
    assert nothing[0] == 0
    assert nothing[1] > 0.05


def test_abstentions_are_in_no_rate_and_scores_without_verdict_in_the_ranking(tmp_path):
    analysis = synthetic(tmp_path / "out", n=40)
    results, good = analysis.results, analysis.results.detectors[0]
    photos = results.comparisons[0].photos
    predictions = results.predictions(good, photos)
    predictions.flagged[:10] = -1
    predictions.scope[:10] = "beyond-calibration"
    row = analysis.generators(good)[0]
    assert row.n_photos == 40
    assert row.false_alarms.value == pytest.approx((predictions.flagged[10:] == 1).mean())
    assert sum(row.abstained for row in analysis.sources(good)) == 10


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The analysis of the made-up run, and its rows."""
    folder = made_run(tmp_path_factory.mktemp("made")).output
    return Analysis(Results(folder)), list(read_scores(folder / "scores.csv"))


def rows_of(rows, detector, track, generator, degradation="none"):
    return [
        row
        for row in rows
        if (row.detector, row.track, row.generator, row.degradation)
        == (detector.name, track, generator, degradation)
    ]


def literal_auc(photos, generated):
    pairs = [(p > g) - (p < g) for p in photos for g in generated]
    return 0.5 - 0.5 * sum(pairs) / len(pairs)


def scores_of(rows):
    return [row.score for row in rows if row.score is not None]


def test_every_generator_is_ranked_against_the_photographs_of_its_track(made):
    analysis, rows = made
    for detector in analysis.results.scorers:
        found = {row.name: row for row in analysis.generators(detector) if row.comparison}
        assert set(found) == {"StyleGAN2 (dev/face)", "StyleGAN2 (dev/scene)", "SDXL, base (dev/face)"}
        for figures in found.values():
            photos = rows_of(rows, detector, figures.track, "")
            generated = rows_of(rows, detector, figures.track, figures.generator)
            assert (figures.n_photos, figures.n_generated) == (
                len(scores_of(photos)),
                len(scores_of(generated)),
            )
            assert figures.auc.value == pytest.approx(literal_auc(scores_of(photos), scores_of(generated)))
            decided = [
                [row.flagged for row in part if row.flagged is not None] for part in (photos, generated)
            ]
            if detector.kind == "cue":
                assert not figures.accuracy.known
                assert not figures.found.known
                continue
            alarms, hits = (sum(part) / len(part) for part in decided)
            assert (figures.false_alarms.value, figures.found.value) == pytest.approx((alarms, hits))
            assert figures.accuracy.value == pytest.approx((1 - alarms + hits) / 2)


def test_the_mean_counts_each_generator_alike_and_each_photograph_once(made):
    analysis, _ = made
    *generators, mean = analysis.generators(analysis.results.detectors[0])
    assert mean.name == mean.generator == "mean"
    assert (mean.test_set, mean.track) == ("", "")
    assert mean.auc.value == pytest.approx(np.mean([row.auc.value for row in generators]))
    assert mean.n_generated == sum(row.n_generated for row in generators)
    assert mean.n_photos == sum({row.track: row.n_photos for row in generators}.values())


def test_robustness_is_over_all_generators_and_photographs(made):
    analysis, rows = made
    detector = analysis.results.detectors[1]
    by_degradation = {row.degradation: row for row in analysis.robustness(detector)}
    assert list(by_degradation) == ["none", "jpeg:60"]
    for name, figures in by_degradation.items():
        mine = [row for row in rows if (row.detector, row.degradation) == (detector.name, name)]
        places = {(row.track, row.generator) for row in mine if row.generator}
        aucs = [
            literal_auc(
                scores_of(rows_of(rows, detector, track, "", name)),
                scores_of(rows_of(rows, detector, track, generator, name)),
            )
            for track, generator in places
        ]
        assert figures.auc.value == pytest.approx(np.mean(aucs))
        assert figures.worst_auc == pytest.approx(min(aucs))
        flags = [row.flagged for row in mine if not row.generator and row.flagged is not None]
        assert figures.false_alarms.value == pytest.approx(sum(flags) / len(flags))
        answered = [row for row in mine if not row.error and row.scope != "seen"]
        abstained = [row for row in answered if row.scope != "ok"]
        assert figures.abstained == pytest.approx(len(abstained) / len(answered))


def test_false_alarms_of_a_source_are_a_share_of_its_decided_photographs(made):
    analysis, rows = made
    detector = analysis.results.detectors[0]
    found = analysis.sources(detector, "jpeg:60")
    order = [(row.in_source, -row.rate.value) for row in found]
    assert order == sorted(order)
    for figures in found:
        mine = [
            row
            for row in rows_of(rows, detector, figures.stratum.track, "", "jpeg:60")
            if row.source == figures.source and row.test_set == figures.stratum.test_set
        ]
        decided = [row.flagged for row in mine if row.flagged is not None]
        silent = [row for row in mine if row.flagged is None and not row.error and row.scope != "seen"]
        assert (figures.n, figures.abstained) == (len(decided), len(silent))
        assert figures.rate.value == pytest.approx(sum(decided) / len(decided))
        assert figures.in_source == any(row.in_source for row in mine)


def test_differences_are_paired_and_adjusted_for_their_number(made):
    analysis, rows = made
    found = analysis.differences()
    assert len(found) == 3 * 3  # pairs of detectors, generators
    order = sorted(found, key=lambda row: row.p)
    adjusted, worst = [], 0.0
    for place, row in enumerate(order):  # Holm
        worst = max(worst, min(1.0, row.p * (len(order) - place)))
        adjusted.append(worst)
    assert [row.adjusted_p for row in order] == pytest.approx(adjusted)
    assert all(row.noise == (row.adjusted_p > 0.05) for row in found)
    for row in found:
        track, generator = row.comparison.generated.track, row.comparison.generator
        areas, photos, generated = [], [], []
        for detector in (row.first, row.second):
            parts = []
            for label in ("", generator):
                both = [
                    {one.sha256: one.score for one in rows_of(rows, d, track, label) if one.score is not None}
                    for d in (row.first, row.second)
                ]
                mine = both[0] if detector is row.first else both[1]
                parts.append([mine[digest] for digest in both[0] if digest in both[1]])
            areas.append(literal_auc(*parts))
            photos.append(np.array(parts[0]))
            generated.append(np.array(parts[1]))
        assert row.auc.value == pytest.approx(areas[0] - areas[1])
        grouped = row.comparison.photos.grouped
        assert grouped == (track == "scene")
        assert math.isclose(row.p, metrics.delong(tuple(photos), tuple(generated)).p) != grouped
