"""The mixture against SciPy's normal densities, scikit-learn, and what must be refused."""

import itertools
import math

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from cameraborn.detect.evidence.density import Covariance, Init, Mixture, choose_components, fit_mixture
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


def clusters(count=600, width=6, seed=0):
    """Three that overlap little."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0, 3, (3, width))
    return centres[rng.integers(3, size=count)] + rng.normal(size=(count, width))


# But for one, as scikit-learn's first tied covariance from single photographs is N / K times too large.
@pytest.mark.parametrize(
    ("init", "covariance"),
    sorted({*itertools.product(Init, Covariance)} - {(Init.kmeans_pp, Covariance.tied)}),
)
def test_the_same_start_ends_at_scikit_learns_likelihood(init, covariance):
    x, fresh = clusters(), clusters(200, seed=1)
    theirs = GaussianMixture(
        3, covariance_type=str(covariance), init_params=str(init), random_state=4, tol=1e-6
    ).fit(x)
    ours = fit_mixture(
        x, components=3, dimensions=None, covariance=covariance, init=init, n_init=1, seed=4, tol=1e-6
    )
    assert ours.covariance is covariance
    assert ours.free_parameters == theirs._n_parameters()
    np.testing.assert_allclose(ours.log_likelihood(fresh), theirs.score_samples(fresh), rtol=1e-4)
    assert ours.log_likelihood(x).mean() == pytest.approx(theirs.score(x), abs=1e-5)


@pytest.mark.parametrize("covariance", Covariance)
@pytest.mark.parametrize("dimensions", [None, 4])
def test_every_kind_of_mixture_goes_round_and_is_a_sum_of_normal_densities(covariance, dimensions):
    mixture = fit_mixture(features(), components=3, dimensions=dimensions, covariance=covariance)
    mixture = Mixture.from_tensors(safetensors.numpy.load(safetensors.numpy.save(mixture.tensors())))
    assert mixture.covariance is covariance
    K, Q = mixture.means.shape
    factors = mixture.precisions_cholesky
    factors = np.broadcast_to(factors * np.eye(Q) if covariance is Covariance.diag else factors, (K, Q, Q))
    fresh = features(20, seed=0) + 0.3
    x = fresh - mixture.mean if dimensions is None else (fresh - mixture.mean) @ mixture.whitening
    parts = [
        np.log(weight) + multivariate_normal(mean, np.linalg.inv(factor @ factor.T)).logpdf(x)
        for weight, mean, factor in zip(mixture.weights, mixture.means, factors, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_likelihood(fresh), logsumexp(parts, axis=0), rtol=1e-9)


def test_many_rows_are_scored_as_one_by_one():
    mixture, many = fit_mixture(features(), components=2, dimensions=4), features(4100)
    np.testing.assert_allclose(
        mixture.log_likelihood(many)[[0, 4095, 4096, -1]], mixture.log_likelihood(many[[0, 4095, 4096, -1]])
    )
    assert mixture.log_likelihood(many[:0]).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dimensions", [None, 4])
def test_tensors_of_torch_give_the_same_mixture(dimensions, dtype):
    x = torch.asarray(clusters(), dtype=dtype)
    fresh = clusters(50, seed=2)
    here = fit_mixture(x.numpy(), components=3, dimensions=dimensions)
    there = fit_mixture(x, components=3, dimensions=dimensions, xp=torch)
    assert all(isinstance(tensor, np.ndarray) for tensor in there.tensors().values())
    np.testing.assert_allclose(there.log_likelihood(fresh), here.log_likelihood(fresh), rtol=1e-4)


def test_of_several_starts_the_likeliest_end_is_kept():
    x = clusters(90)
    ends = [
        fit_mixture(x, components=6, dimensions=None, covariance="diag", n_init=n, init="k-means++")
        .log_likelihood(x)
        .mean()
        for n in (1, 4, 8)
    ]
    assert ends[0] <= ends[1] <= ends[2]
    assert ends[0] < ends[2]


def test_shrinkage_makes_few_photographs_enough():
    x, fresh = features(20, width=30), features(200, width=30)
    with pytest.raises(CalibrationError, match="or raise --shrinkage"):
        fit_mixture(x, components=2, dimensions=None)
    held_out = [
        fit_mixture(x, components=1, dimensions=None, shrinkage=share).log_likelihood(fresh).mean()
        for share in (0.01, 0.3)
    ]
    assert held_out[0] < held_out[1]


def test_features_that_cannot_be_squared():
    with pytest.raises(CalibrationError, match="beyond 1e\\+100"):
        fit_mixture(features() * 1e200, components=1, dimensions=2)


@settings(max_examples=50, deadline=None)
@given(
    N=st.integers(2, 40),
    D=st.integers(1, 10),
    K=st.integers(1, 8),
    dimensions=st.sampled_from([None, 1, 4]),
    covariance=st.sampled_from(Covariance),
    init=st.sampled_from(Init),
    dtype=st.sampled_from([np.float32, np.float64]),
    shrinkage=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_any_features_give_a_mixture_or_one_line(
    N, D, K, dimensions, covariance, init, dtype, shrinkage, seed
):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)) * 10.0 ** rng.integers(-6, 6)
    x = x[rng.integers(max(1, N // 4), size=N)] if seed % 2 else x  # rows more than once
    x[:, rng.random(D) < 0.2] = 7  # constant features
    x = x.astype(dtype)
    try:
        mixture = fit_mixture(
            x,
            components=K,
            dimensions=dimensions,
            covariance=covariance,
            init=init,
            shrinkage=shrinkage,
            n_init=1,
        )
    except CalibrationError as error:
        refusal = str(error)
        mixture = None
    if mixture is None:
        assert ": " in refusal
        assert "\n" not in refusal
        return
    assert np.isfinite(mixture.log_likelihood(x)).all()
    assert np.isfinite(Mixture.from_tensors(mixture.tensors()).log_likelihood(x + 1)).all()


def fit_as_they_are(x, components):
    return fit_mixture(x, components=components, dimensions=None, n_init=1)


def test_held_out_likelihood_and_bic_choose_the_planted_number():
    choices = choose_components(clusters(1200), (1, 2, 3, 4, 8), fit_as_they_are)
    assert [choice.components for choice in choices] == [1, 2, 3, 4, 8]
    assert max(choices, key=lambda choice: choice.held_out_log_likelihood).components == 3
    assert min(choices, key=lambda choice: choice.bic).components == 3


def test_bic_is_scikit_learns():
    x, seen = clusters(500), []

    def fit(inside, components):
        seen.append(inside)
        return fit_as_they_are(inside, components)

    (choice,) = choose_components(x, [3], fit)
    theirs = GaussianMixture(3, random_state=0).fit(seen[0])
    assert len(seen[0]) == 400
    assert choice.bic == pytest.approx(theirs.bic(seen[0]), rel=1e-4)
    assert choice.log_likelihood == pytest.approx(theirs.score(seen[0]), abs=1e-3)
    assert choice.held_out_log_likelihood < choice.log_likelihood


def test_views_of_one_photograph_stay_on_one_side():
    x, sides = clusters(300), []
    x[:, 0] = np.repeat(np.arange(60), 5)  # the photograph that a row is a view of

    def fit(inside, components):
        sides.append({*inside[:, 0]})
        assert len(inside) == 5 * len(sides[-1])
        return fit_as_they_are(inside, components)

    choose_components(x, [1], fit, groups=[f"photo {n}" for n in x[:, 0]], seed=0)
    choose_components(x, [1], fit, groups=[f"photo {n}" for n in x[:, 0]], seed=1)
    assert len(sides[0]) == len(sides[1]) == 48
    assert sides[0] != sides[1]


def test_candidates_that_are_too_many_for_the_photographs_are_left_out():
    choices = choose_components(clusters(60), (1, 2, 40), fit_as_they_are)
    assert [choice.components for choice in choices] == [1, 2]
    with pytest.raises(CalibrationError, match="too few for 40 Gaussian"):
        choose_components(clusters(60), (40,), fit_as_they_are)
    with pytest.raises(CalibrationError, match="2 photographs are too few to hold out 20%"):
        choose_components(clusters(2), (1,), fit_as_they_are)
    assert math.isfinite(choices[0].bic)
