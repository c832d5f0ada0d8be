"""The combined score by hand."""

import numpy as np
import pytest

from cameraborn.detect.conformal import p_values
from cameraborn.detect.evidence.combine import LIMIT, Standard, combine


def test_the_first_counts_as_it_is_and_of_others_what_is_above_their_mean():
    rng = np.random.default_rng(0)
    fitted = rng.normal(40, 9, 50), rng.normal(-2, 0.5, 50), rng.normal(size=50)
    given = rng.normal(40, 9, 4), rng.normal(-2, 0.5, 4), rng.normal(size=4)
    total = combine(given, [Standard.of(values) for values in fitted])
    for number, score in enumerate(total):
        z = [(x[number] - np.mean(of)) / np.std(of) for x, of in zip(given, fitted, strict=True)]
        assert score == pytest.approx(z[0] + max(0.0, z[1]) + max(0.0, z[2]), rel=1e-4)


def test_a_single_surprise_stays_as_it_is():
    surprise = np.array([3.0, -1.0])
    np.testing.assert_array_equal(combine([surprise], [Standard(5, 2)]), surprise)


def test_weights_add_what_lies_below_the_mean_too_and_a_limited_part_of_all_but_the_first():
    standards = [Standard(10, 2), Standard(0, 1), Standard(5, 5)]
    given = np.array([10.0, 30.0]), np.array([-1.5, 99.0]), np.array([0.0, -400.0])
    total = combine(given, standards, [1.0, 0.5, 0.2])
    np.testing.assert_allclose(total, [0 - 0.75 - 0.2, 10 + 0.5 * LIMIT - 0.2 * LIMIT])


@pytest.mark.parametrize("dependence", [-0.9, 0.0, 0.9])
def test_p_values_of_a_weighted_sum_hold_however_the_channels_depend_on_each_other(dependence):
    """At every rate as many photographs are flagged as was promised: the sum itself is calibrated."""
    rng = np.random.default_rng(0)
    promised = np.array([0.02, 0.05, 0.2])
    flagged = []
    for _ in range(400):
        both = rng.multivariate_normal([0, 0], [[1, dependence], [dependence, 1]], 140)
        score = combine(list(both.T), [Standard(0, 1), Standard(0, 1)], [1.0, 0.3])
        p = p_values(score[100:], score[:100])
        flagged.append([(p <= rate).mean() for rate in promised])
    valid = np.floor(promised * 101) / 101  # the largest p-values that are not above a rate
    np.testing.assert_allclose(np.mean(flagged, axis=0), valid, atol=0.006)
