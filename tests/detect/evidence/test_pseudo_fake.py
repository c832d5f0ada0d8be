"""The pseudo-fake classifier by hand, and what is none."""

import numpy as np
import pytest

from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.errors import BundleError

COLUMNS = ((1, 3), (4, 5))


def test_the_surprise_is_the_log_odds_of_its_own_columns():
    classifier = PseudoFakeClassifier("reconstructed", COLUMNS, np.array([1.0, 2.0, 3.0]), -0.5)
    x = np.random.default_rng(0).normal(size=(7, 6))
    literal = [1 * row[1] + 2 * row[2] + 3 * row[4] - 0.5 for row in x]
    np.testing.assert_allclose(classifier.surprise(x), literal)
    again = PseudoFakeClassifier.from_tensors("reconstructed", COLUMNS, classifier.tensors())
    np.testing.assert_array_equal(again.surprise(x), classifier.surprise(x))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"weight": np.zeros(3)}, "instead of a finite weight and bias"),
        ({"weight": np.zeros((3, 1)), "bias": np.zeros(1)}, "instead of a finite weight and bias"),
        ({"weight": np.zeros(3), "bias": np.zeros(2)}, "instead of a finite weight and bias"),
        (
            {"weight": np.zeros(3), "bias": np.zeros(1), "x": np.zeros(2)},
            "instead of a finite weight and bias",
        ),
        ({"weight": np.zeros(3), "bias": np.array([np.nan])}, "instead of a finite weight and bias"),
        ({"weight": np.zeros(4), "bias": np.zeros(1)}, "reads 4 features and its columns are 3"),
    ],
)
def test_what_is_none(wrong, why):
    with pytest.raises(BundleError, match=why):
        PseudoFakeClassifier.from_tensors("reconstructed", COLUMNS, wrong)
