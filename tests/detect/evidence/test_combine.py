"""The combined score by hand."""

import numpy as np
import pytest

from cameraborn.detect.evidence.combine import Standard, combine


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
