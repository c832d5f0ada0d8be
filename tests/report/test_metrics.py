"""Every figure against a slow, literal version of its definition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import average_precision_score, roc_auc_score

from cameraborn.report import metrics

# Few distinct values, so that there are ties.
scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12).map(np.array)


def auc_by_pairs(photos, generated):
    wins = [(g > p) + 0.5 * (g == p) for p, g in itertools.product(photos, generated)]
    return sum(wins) / len(wins)


def ap_by_hand(positive, negative):
    """Walk the thresholds from the top: precision (classes weighted alike) times the gain in recall."""
    total, before = 0.0, 0.0
    for threshold in sorted({*positive, *negative}, reverse=True):
        recall = np.mean(positive >= threshold)
        false = np.mean(negative >= threshold)
        if recall > before:
            total += (recall - before) * recall / (recall + false)
        before = recall
    return total


def tpr_by_hand(photos, generated, rate):
    allowed = [t for t in {*photos, *generated} if np.mean(photos >= t) <= rate]
    return max((np.mean(generated >= t) for t in allowed), default=0.0)


@given(scores, scores)
def test_figures_are_those_of_their_definitions(photos, generated):
    ranked = metrics.rank(photos, generated)
    assert ranked.auc()[0] == pytest.approx(auc_by_pairs(photos, generated))
    assert metrics.auc(photos, generated) == pytest.approx(auc_by_pairs(photos, generated))
    assert ranked.average_precision("generated")[0] == pytest.approx(ap_by_hand(generated, photos))
    assert ranked.average_precision("photo")[0] == pytest.approx(ap_by_hand(-photos, -generated))
    for rate in (0.01, 0.05, 0.3, 1.0):
        assert ranked.tpr_at(rate)[0] == pytest.approx(tpr_by_hand(photos, generated, rate))


@given(scores, scores)
def test_auc_turns_round_with_the_scores(photos, generated):
    assert metrics.auc(-photos, -generated) == pytest.approx(1 - metrics.auc(photos, generated))
    assert metrics.auc(np.exp(photos), np.exp(generated)) == pytest.approx(metrics.auc(photos, generated))


def test_figures_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    photos, generated = rng.normal(size=70), rng.normal(1, size=70)
    labels, values = np.repeat([0, 1], 70), np.r_[photos, generated]
    ranked = metrics.rank(photos, generated)
    assert ranked.auc()[0] == pytest.approx(roc_auc_score(labels, values))
    assert ranked.average_precision("generated")[0] == pytest.approx(average_precision_score(labels, values))
    assert ranked.average_precision("photo")[0] == pytest.approx(average_precision_score(1 - labels, -values))


def test_a_weight_is_a_picture_that_many_times():
    rng = np.random.default_rng(1)
    photos, generated = rng.integers(0, 6, 9).astype(float), rng.integers(2, 8, 7).astype(float)
    times_p, times_g = rng.integers(0, 3, (4, 9)), rng.integers(0, 3, (4, 7))
    ranked = metrics.rank(photos, generated, times_p, times_g)
    for draw in range(4):
        drawn = metrics.rank(np.repeat(photos, times_p[draw]), np.repeat(generated, times_g[draw]))
        assert ranked.auc()[draw] == pytest.approx(drawn.auc()[0])
        assert ranked.average_precision("photo")[draw] == pytest.approx(drawn.average_precision("photo")[0])
        assert ranked.tpr_at(0.2)[draw] == pytest.approx(drawn.tpr_at(0.2)[0])
        assert metrics.share(photos > 2, times_p)[draw] == pytest.approx(
            np.mean(np.repeat(photos, times_p[draw]) > 2)
        )


def test_a_draw_without_pictures_has_no_figure():
    ranked = metrics.rank(np.array([1.0]), np.array([2.0]), np.array([[0], [1]]), np.array([[1], [1]]))
    for figure in (ranked.auc(), ranked.tpr_at(0.05), ranked.average_precision("photo")):
        assert list(np.isnan(figure)) == [True, False]
    assert np.isnan(metrics.share(np.array([], bool), np.zeros((1, 0), int))[0])


def delong_literal(photos, generated):
    """Variance by the structural components V10 and V01, as the paper writes them."""
    areas, v10, v01 = [], [], []
    for p, g in zip(photos, generated, strict=True):
        wins = np.array([[(y > x) + 0.5 * (y == x) for x in p] for y in g])
        areas.append(wins.mean())
        v10.append(wins.mean(axis=1))
        v01.append(wins.mean(axis=0))
    covariance = np.cov(v10) / len(generated[0]) + np.cov(v01) / len(photos[0])
    contrast = np.array([1.0, -1.0])
    return areas[0] - areas[1], math.sqrt(contrast @ covariance @ contrast)


def two_detectors(seed, n=80, gain=0.3):
    rng = np.random.default_rng(seed)
    shared_p, shared_g = rng.normal(size=n), rng.normal(0.8, size=n)
    photos = shared_p + 0.5 * rng.normal(size=n), shared_p + 0.5 * rng.normal(size=n)
    generated = shared_g + gain + 0.5 * rng.normal(size=n), shared_g + 0.5 * rng.normal(size=n)
    return photos, generated


def test_delong_is_the_papers_formula():
    photos, generated = two_detectors(3, n=30)
    value, error = delong_literal(photos, generated)
    test = metrics.delong(photos, generated)
    assert (test.value, test.standard_error) == pytest.approx((value, error))
    assert test.p == pytest.approx(math.erfc(abs(value / error) / math.sqrt(2)))


def test_delong_and_the_paired_bootstrap_agree():
    photos, generated = two_detectors(4)
    rng = np.random.default_rng(0)
    times = [rng.multinomial(80, np.full(80, 1 / 80), size=2000) for _ in range(2)]
    areas = [metrics.rank(photos[i], generated[i], *times).auc() for i in range(2)]
    assert np.std(areas[0] - areas[1]) == pytest.approx(
        metrics.delong(photos, generated).standard_error, rel=0.1
    )


def test_delong_of_equal_detectors_is_rarely_significant():
    tests = [metrics.delong(*two_detectors(seed, n=40, gain=0.0)) for seed in range(400)]
    assert np.mean([test.p <= 0.05 for test in tests]) == pytest.approx(0.05, abs=0.03)


def test_delong_of_the_same_scores_is_no_difference():
    photos, generated = np.arange(5.0), np.arange(2.0, 8.0)
    test = metrics.delong((photos, photos), (generated, generated))
    assert (test.value, test.p) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "n"), [(0, 60), (3, 60), (60, 60), (1, 1)])
def test_exact_interval_is_where_the_tails_are_a_fortieth(hits, n):
    low, high = metrics.clopper_pearson(hits, n)
    assert low == 0 if hits == 0 else binom.sf(hits - 1, n, low) == pytest.approx(0.025)
    assert high == 1 if hits == n else binom.cdf(hits, n, high) == pytest.approx(0.025)


def test_holm_by_hand():
    assert metrics.holm([0.04, 0.001, math.nan, 0.03]) == pytest.approx(
        [0.06, 0.003, math.nan, 0.06], nan_ok=True
    )
    assert metrics.holm([]) == []
