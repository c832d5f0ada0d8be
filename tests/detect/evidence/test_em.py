"""EM against a literal version, float32 against float64, torch against NumPy, and degenerate samples."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from cameraborn.detect.evidence.em import Covariance, Settings, em
from cameraborn.errors import CalibrationError


def samples(N=300, Q=5, clusters=3, apart=3.0, seed=0):
    """Clusters of unlike shapes, and the responsibilities of a poor guess."""
    rng = np.random.default_rng(seed)
    of = rng.integers(clusters, size=N)
    shapes = rng.normal(size=(clusters, Q, Q)) / np.sqrt(Q) + 0.3 * np.eye(Q)
    x = rng.normal(0, apart / np.sqrt(Q), (clusters, Q))[of] + np.einsum(
        "nq,nqr->nr", rng.normal(size=(N, Q)), shapes[of]
    )
    guess = np.where(rng.random(N) < 0.7, of, rng.integers(clusters, size=N))
    return x - x.mean(axis=0), np.eye(clusters)[guess]


def covariances_of(x, responsibilities, means, s):
    """Literally the formula of `Settings`, for each component."""
    N, Q = x.shape
    counts = responsibilities.sum(axis=0)
    scatters = [
        sum(r * np.outer(z, z) for r, z in zip(share, x - mean, strict=True))
        for share, mean in zip(responsibilities.T, means, strict=True)
    ]
    if s.covariance is Covariance.tied:
        matrices = [sum(scatters) / N] * len(counts)
    else:
        matrices = [scatter / count for scatter, count in zip(scatters, counts, strict=True)]
    if s.covariance is Covariance.diag:
        matrices = [np.diag(np.diag(matrix)) for matrix in matrices]
    identity = np.eye(Q)
    return [
        (1 - s.shrinkage) * S + s.shrinkage * np.trace(S) / Q * identity + s.reg_covar * identity
        for S in matrices
    ]


def literal_em(x, responsibilities, s):
    """Dempster, Laird and Rubin, without haste."""
    bounds = []
    for _ in range(s.max_iter):
        weights = responsibilities.mean(axis=0)
        means = [(r[:, None] * x).sum(axis=0) / r.sum() for r in responsibilities.T]
        covariances = covariances_of(x, responsibilities, means, s)
        log_joint = np.stack(
            [
                np.log(w) + multivariate_normal(m, S).logpdf(x)
                for w, m, S in zip(weights, means, covariances, strict=True)
            ],
            axis=1,
        )
        likelihood = logsumexp(log_joint, axis=1)
        bounds.append(likelihood.mean())
        responsibilities = np.exp(log_joint - likelihood[:, None])
    return weights, means, covariances, bounds


def covariances(gaussians):
    """Of the factors in any of their shapes: [K Q Q]."""
    factors = gaussians.factors
    K, Q = gaussians.means.shape
    if factors.ndim == 3 and factors.shape[1] == 1:
        factors = factors * np.eye(Q)
    return np.broadcast_to(np.linalg.inv(factors @ factors.swapaxes(-1, -2)), (K, Q, Q))


@pytest.mark.parametrize("apart", [1.0, 30.0])
@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
@pytest.mark.parametrize("covariance", Covariance)
def test_em_is_the_literal_one(covariance, shrinkage, apart):
    x, start = samples(apart=apart)
    s = Settings(covariance, shrinkage, reg_covar=1e-3, tol=0, max_iter=7)
    weights, means, matrices, bounds = literal_em(x, start, s)
    fit = em(x, start, s)
    np.testing.assert_allclose(fit.bounds, bounds, rtol=1e-10)
    np.testing.assert_allclose(fit.gaussians.weights, weights, rtol=1e-8)
    np.testing.assert_allclose(fit.gaussians.means, means, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(covariances(fit.gaussians), matrices, rtol=1e-6, atol=1e-9)
    assert not fit.converged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance", [Covariance.full, Covariance.tied])
def test_blocks_and_pairs_left_out_change_nothing(covariance, dtype):
    # More rows and columns than a block, and clusters that rule each other out within the first columns.
    x, start = samples(N=2200, Q=140, apart=12.0)
    s = Settings(covariance, reg_covar=1e-2, tol=0, max_iter=4)
    counts = start.sum(axis=0)
    fit = em(x.astype(dtype), start, s)
    responsibilities = start
    for bound in fit.bounds:
        weights = responsibilities.mean(axis=0)
        means = (responsibilities.T @ x) / responsibilities.sum(axis=0)[:, None]
        S = np.stack([((x - m).T * r) @ (x - m) for m, r in zip(means, responsibilities.T, strict=True)])
        counts = responsibilities.sum(axis=0)
        S = (
            S / counts[:, None, None]
            if covariance is Covariance.full
            else np.repeat(S.sum(0)[None] / len(x), 3, 0)
        )
        S += s.reg_covar * np.eye(140)
        log_joint = np.stack(
            [
                np.log(w) + multivariate_normal(m, c).logpdf(x)
                for w, m, c in zip(weights, means, S, strict=True)
            ],
            1,
        )
        responsibilities = np.exp(log_joint - logsumexp(log_joint, axis=1)[:, None])
        assert bound == pytest.approx(
            logsumexp(log_joint, axis=1).mean(), rel=1e-9 if dtype is np.float64 else 1e-5
        )
    if covariance is Covariance.full:
        dense = (
            4 * 3 * 2 * x.size * 140 * 2
        )  # steps, components, a multiplication with an addition, for both products
        assert fit.operations < dense / 2
    assert all(fit.gaussians.single) == (dtype is np.float32)


@pytest.mark.parametrize("covariance", Covariance)
@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_never_falls(covariance, seed):
    x, start = samples(N=400, Q=12, clusters=5, apart=1.5, seed=seed)
    fit = em(x, start, Settings(covariance, reg_covar=0, tol=1e-6, max_iter=200))
    assert len(fit.bounds) > 5
    assert all(later > earlier - 1e-9 for earlier, later in itertools.pairwise(fit.bounds))
    assert fit.converged
    assert abs(fit.bounds[-1] - fit.bounds[-2]) < 1e-6


def test_one_component_is_the_mean_and_covariance():
    x, _ = samples()
    fit = em(x + 1, np.ones((len(x), 1)), Settings(reg_covar=0))
    np.testing.assert_allclose(fit.gaussians.means, [x.mean(axis=0) + 1], atol=1e-12)
    np.testing.assert_allclose(covariances(fit.gaussians)[0], np.cov(x.T, ddof=0), rtol=1e-9)
    assert fit.gaussians.weights == [1]


def test_planted_clusters_are_found():
    rng = np.random.default_rng(3)
    of = rng.permutation(np.repeat([0, 1], [300, 700]))
    truth = np.array([[-5.0, 0, 0], [5, 1, 0]])
    x = truth[of] + rng.normal(size=(1000, 3))
    start = np.where(rng.random((1000, 1)) < 0.6, np.eye(2)[of], 0.5)
    fit = em(x, start, Settings())
    np.testing.assert_allclose(fit.gaussians.weights, [0.3, 0.7], atol=1e-6)
    np.testing.assert_allclose(fit.gaussians.means, truth, atol=0.2)
    np.testing.assert_allclose(covariances(fit.gaussians), [np.eye(3)] * 2, atol=0.25)


def test_shrunk_to_the_end_a_covariance_is_a_sphere():
    x, start = samples()
    s = Settings(shrinkage=1, reg_covar=0.5)
    for matrix in covariances(em(x, start, s).gaussians):
        np.testing.assert_allclose(matrix, matrix[0, 0] * np.eye(5), atol=1e-9)
        assert matrix[0, 0] > 0.5


@pytest.mark.parametrize("narrow", [1e-1, 1e-4])
def test_float32_samples_give_what_float64_ones_do(narrow):
    x, start = samples(N=1500, Q=40, apart=4.0)
    x = x * np.geomspace(1, narrow, 40)
    s = Settings(reg_covar=1e-12)
    single, double = em(x.astype(np.float32), start, s), em(x, start, s)
    assert any(single.gaussians.single) == (narrow > 1e-3)  # else too ill-conditioned: float64 takes over
    assert single.bounds[-1] == pytest.approx(double.bounds[-1], abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance", Covariance)
def test_torch_gives_what_numpy_does(covariance, dtype):
    x, start = samples(Q=140, N=600, apart=6.0)
    x, s = x.astype(dtype), Settings(covariance, shrinkage=0.1)
    here = em(x, start, s)
    there = em(torch.asarray(x), torch.asarray(start), s, torch)
    assert there.gaussians.means.dtype == torch.float64
    np.testing.assert_allclose(there.bounds, here.bounds, rtol=1e-9 if dtype is np.float64 else 1e-6)
    tolerance = {"rtol": 1e-6, "atol": 1e-9} if dtype is np.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for name in ("weights", "means", "factors"):
        np.testing.assert_allclose(getattr(there.gaussians, name), getattr(here.gaussians, name), **tolerance)


def test_a_component_without_samples_is_dropped():
    x, start = samples()
    fit = em(x, np.concatenate([start, np.zeros((len(x), 2))], axis=1), Settings())
    assert len(fit.gaussians.weights) == 3
    np.testing.assert_array_equal(fit.bounds, em(x, start, Settings()).bounds)


@pytest.mark.parametrize("covariance", Covariance)
@pytest.mark.parametrize("spoil", ["constant", "repeated", "copied rows"])
def test_singular_covariances_are_refused_or_regularised(covariance, spoil):
    x, start = samples()
    if spoil == "constant":
        x[:, 2] = 0
    elif spoil == "repeated":
        x[:, 2] = x[:, 1]
    else:
        x[start[:, 0] == 1] = x[0]
    sound = {("repeated", "diag"), ("copied rows", "tied")}
    bare = Settings(covariance, reg_covar=0)
    if (spoil, str(covariance)) not in sound:
        with pytest.raises(CalibrationError, match=r"singular.*: raise --shrinkage .* lower --components"):
            em(x, start, bare)
    for change in ({"reg_covar": 1e-6}, {"reg_covar": 1e-9, "shrinkage": 0.01}):
        assert np.isfinite(em(x, start, dataclasses.replace(bare, **change)).bounds).all()


@settings(max_examples=60, deadline=None)
@given(
    N=st.integers(2, 30),
    Q=st.integers(1, 12),
    K=st.integers(1, 6),
    covariance=st.sampled_from(Covariance),
    dtype=st.sampled_from([np.float32, np.float64]),
    scale=st.sampled_from([1e-12, 1e-3, 1.0, 1e3, 1e12]),
    shrinkage=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 2**16),
)
def test_any_samples_give_finite_numbers_or_one_line(N, Q, K, covariance, dtype, scale, shrinkage, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, Q))
    x = x[rng.integers(N, size=N)] if seed % 2 else x  # rows more than once
    x[:, rng.random(Q) < 0.2] = 0  # constant features
    x = ((x - x.mean(axis=0)) * scale).astype(dtype)
    start = np.eye(K)[rng.integers(K, size=N)]
    try:
        fit = em(x, start, Settings(covariance, shrinkage, max_iter=20))
    except CalibrationError as error:
        refusal = str(error)
        fit = None
    if fit is None:
        assert "\n" not in refusal
        return
    g = fit.gaussians
    assert all(np.isfinite(array).all() for array in (g.weights, g.means, g.factors, fit.bounds))
    assert g.weights.sum() == pytest.approx(1)
    assert 1 <= len(g.weights) <= K
