"""The mixture against SciPy's normal densities, scikit-learn, and what must be refused."""

import numpy as np
import pytest
import safetensors.numpy
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from cameraborn.detect.mixture import Mixture, fit_mixture
from cameraborn.errors import BundleError, CalibrationError


def features(count=200, width=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 4, (2, width))
    return centres[rng.integers(2, size=count)] + rng.normal(size=(count, width)) @ rng.normal(
        size=(width, width)
    )


def test_log_likelihood_is_a_sum_of_normal_densities():
    mixture = fit_mixture(features(), components=3, dimensions=4)
    fresh = features(20, seed=0) + 0.3
    x = (fresh - mixture.mean) @ mixture.whitening
    parts = [
        np.log(weight) + multivariate_normal(mean, np.linalg.inv(factor @ factor.T)).logpdf(x)
        for weight, mean, factor in zip(
            mixture.weights, mixture.means, mixture.precisions_cholesky, strict=True
        )
    ]
    np.testing.assert_allclose(mixture.log_likelihood(fresh), logsumexp(parts, axis=0), rtol=1e-9)


def test_log_likelihood_is_scikit_learns():
    mixture = fit_mixture(features(), components=2, dimensions=5)
    theirs = GaussianMixture(2)
    theirs.weights_, theirs.means_ = mixture.weights, mixture.means
    theirs.precisions_cholesky_ = mixture.precisions_cholesky
    fresh = features(30, seed=5)
    x = (fresh - mixture.mean) @ mixture.whitening
    np.testing.assert_allclose(mixture.log_likelihood(fresh), theirs.score_samples(x), rtol=1e-9)


def test_far_features_are_unlikely_and_finite():
    mixture = fit_mixture(features(), components=2, dimensions=6)
    near, far = mixture.log_likelihood(np.stack([mixture.mean, mixture.mean + 1e4]))
    assert np.isfinite(far)
    assert far < near - 1e3


def test_principal_components_are_white():
    x = features()
    mixture = fit_mixture(x, components=1, dimensions=4)
    white = (x - mixture.mean) @ mixture.whitening
    np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=1e-8)


def test_no_more_components_are_kept_than_features_span():
    flat = features(width=3) @ np.random.default_rng(1).normal(size=(3, 8))
    assert fit_mixture(flat.astype(np.float32), components=1, dimensions=8).whitening.shape == (8, 3)


def test_fitting_is_seeded():
    one, two = (fit_mixture(features(), components=3, dimensions=4, seed=7) for _ in range(2))
    assert all(np.array_equal(one.tensors()[name], two.tensors()[name]) for name in one.tensors())


def test_too_few_photographs():
    with pytest.raises(CalibrationError, match="which need 16: give more photographs, or lower"):
        fit_mixture(features(15), components=2, dimensions=4)
    fit_mixture(features(16), components=2, dimensions=4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e3 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_features(value, dtype):
    with pytest.raises(CalibrationError, match="same features: give different photographs"):
        fit_mixture(np.full((50, 4), value, dtype), components=1, dimensions=2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(value):
    x = features()
    x[3, 2] = value
    with pytest.raises(CalibrationError, match=r"not finite: .* export it again"):
        fit_mixture(x, components=1, dimensions=2)


def test_tensors_go_round():
    mixture = fit_mixture(features(), components=2, dimensions=4)
    again = Mixture.from_tensors(safetensors.numpy.load(safetensors.numpy.save(mixture.tensors())))
    fresh = features(9, seed=3)
    np.testing.assert_array_equal(again.log_likelihood(fresh), mixture.log_likelihood(fresh))


def spoilt(name, change):
    tensors = fit_mixture(features(), components=2, dimensions=4).tensors()
    return {**tensors, name: change(tensors[name])}


@pytest.mark.parametrize("name", ["mean", "whitening", "weights", "means", "precisions_cholesky"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t[..., None],
        lambda t: t * np.nan,
        lambda t: np.float64(1),
        lambda t: t[:0],
    ],
    ids=["shorter", "deeper", "nan", "scalar", "empty"],
)
def test_mis_shaped_tensors_are_refused(name, change):
    with pytest.raises(BundleError, match="fit it again"):
        Mixture.from_tensors(spoilt(name, lambda tensor: np.asarray(change(tensor))))


def test_foreign_tensors_are_refused():
    tensors = fit_mixture(features(), components=2, dimensions=4).tensors()
    with pytest.raises(BundleError, match="fit it again"):
        Mixture.from_tensors({**tensors, "more": tensors["mean"]})
    del tensors["mean"]
    with pytest.raises(BundleError, match="fit it again"):
        Mixture.from_tensors(tensors)
