"""The sum of surprise and odds, by hand; and bundles with and without a boundary."""

import numpy as np
import pytest
import safetensors.numpy

from cameraborn.detect.bundle import Bundle, read_bundle
from cameraborn.detect.evidence.pseudo_fake import Boundary
from cameraborn.errors import BundleError


def boundary(d=3):
    return Boundary(np.arange(1.0, d + 1), -0.5)


def test_scores_are_the_sum_of_standardised_signs_and_only_high_odds_count():
    rng = np.random.default_rng(0)
    fitted, likelihood = rng.normal(size=(50, 6)), rng.normal(-40, 9, 50)
    scaled = boundary().scaled_to(fitted, likelihood)
    x, log_p = rng.normal(size=(4, 6)), rng.normal(-40, 9, 4)
    odds = [sum(w * value for w, value in zip((1, 2, 3), row[:3], strict=True)) - 0.5 for row in fitted]
    for row, log_likelihood, score in zip(x, log_p, scaled.scores(x, log_p), strict=True):
        own = float(row[:3] @ [1, 2, 3]) - 0.5
        surprise = (-log_likelihood - np.mean(-likelihood)) / np.std(likelihood)
        above = max(0.0, (own - np.mean(odds)) / np.std(odds))
        assert score == pytest.approx(surprise + above, rel=1e-4)
    assert (scaled.scores(x - 1000, log_p) == scaled.scores(x - 2000, log_p)).all()
    again = Boundary.from_tensors(scaled.tensors())
    np.testing.assert_array_equal(again.scores(x, log_p), scaled.scores(x, log_p))


def test_it_must_be_scaled_first():
    with pytest.raises(BundleError, match="run 'cameraborn fit' first"):
        boundary().scores(np.zeros((1, 3)), np.zeros(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": np.zeros(3)},
        {"weight": np.zeros((3, 1)), "bias": np.zeros(1)},
        {"weight": np.zeros(3), "bias": np.zeros(2)},
        {"weight": np.zeros(3), "bias": np.zeros(1), "location": np.zeros(2)},
        {"weight": np.zeros(3), "bias": np.array([np.nan])},
    ],
)
def test_what_is_no_boundary(wrong):
    with pytest.raises(BundleError, match="no boundary"):
        Boundary.from_tensors(wrong)


def test_a_bundle_adds_it_to_the_mixture(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    D = bundle.info.features
    width = D * len(bundle.info.preprocessing.sides)
    x = np.random.default_rng(0).normal(size=(5, width))
    likelihood = bundle.mixture.log_likelihood(x)
    np.testing.assert_array_equal(bundle.scores(x), -likelihood)
    scaled = Boundary(np.ones(D), 0.0).scaled_to(x, likelihood)
    with_it = Bundle(
        bundle.info,
        {**bundle.files, "redrawn.safetensors": safetensors.numpy.save(scaled.tensors())},
        bundle.origin,
    )
    np.testing.assert_allclose(with_it.scores(x), scaled.scores(x, likelihood))
    wrong = Boundary(np.ones(D + 1), 0.0)
    foreign = Bundle(
        bundle.info,
        {**bundle.files, "redrawn.safetensors": safetensors.numpy.save(wrong.tensors())},
        bundle.origin,
    )
    with pytest.raises(BundleError, match="export it again"):
        foreign.scores(x)


def test_a_second_networks_features_are_no_part_of_the_density():
    x = np.arange(12.0).reshape(2, 6)  # two sides of three features
    reads_the_last = Boundary(np.array([0.0, 0.0, 2.0]), 0.0)
    np.testing.assert_array_equal(reads_the_last.unread(x), x[:, [0, 1, 3, 4]])
    np.testing.assert_array_equal(reads_the_last.log_odds(x), 2 * x[:, 2])
    np.testing.assert_array_equal(boundary().unread(x), x)
