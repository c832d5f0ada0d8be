"""Expectation-maximisation for Gaussian mixtures, for features so many that matrix products decide the time.

Dempster, Laird and Rubin (1977), with full, tied and diagonal covariances as in scikit-learn's GaussianMixture. A dense
step over full covariances costs K products of [N Q] with [Q Q] for the densities, and K more for the covariances. Here:

- The factor of a precision is triangular, and a covariance is the product of a matrix with its own transpose: BLAS
  knows both (trmm, syrk), and does half the operations.
- With many features nearly every sample belongs to one component. A pair of a sample and a component whose
  responsibility is under e^-40 would not change a float64 sum and is left out. Steps over all pairs find which those
  are; the steps between look at the others alone, the sparse variant of Neal and Hinton (1998, "A view of the EM
  algorithm that justifies incremental, sparse, and other variants"), which raises the likelihood as any EM step does.
  Only a step over all pairs declares convergence.
- In a step over all pairs, a component is given up for a sample as soon as its first features rule it out: the factor
  is triangular, so the distance in these alone is a lower bound of the distance in all.
- float32 samples are multiplied in float32 where the covariances are conditioned well enough for it. What is summed
  over blocks, factored or exponentiated is float64.

The arrays may be of any namespace `xp` with the functions that NumPy and torch share; nothing here imports torch.

Shapes: N samples, Q features, K components.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType

import numpy as np

from cameraborn.detect.evidence.triangles import (
    Array,
    cholesky,
    gram,
    inverse,
    times,
    times_triangle,
    triangle_operations,
)
from cameraborn.errors import CalibrationError

_NEGLIGIBLE = -40.0  # log of a responsibility that is lost beside 1 in float64
_NOBODY = 1e-3  # of one sample: a component with less is dropped
_ROWS = 2048  # in a block
_COLUMNS = 96  # of a factor, after which pairs are ruled out
_SINGLE_EPSILON = 2.0**-23
_SINGLE_ERROR = 1e-2  # of a covariance's smallest direction, up to which float32 serves
_SINGLE_RANGE = 1e-30, 1e30  # mean squares whose products float32 can hold
_SINGULAR = 1e-13  # share of a variance that the features before it must leave unexplained


class Covariance(StrEnum):
    """What the components' covariances have in common."""

    full = "full"  # nothing: a matrix each
    tied = "tied"  # one matrix for all
    diag = "diag"  # features are independent: variances alone


@dataclass(frozen=True)
class Settings:
    """What EM estimates, and when it stops.

    From the weighted covariance S of a component's samples (of all components together if tied, diagonal if diag) the
    estimate is `(1 - shrinkage) S + shrinkage trace(S) / Q I + reg_covar I`.

    Attributes:
        covariance: what is estimated.
        shrinkage: 0 to 1, towards a sphere of the same mean variance (Friedman 1989, "Regularized discriminant
            analysis").
        reg_covar: added to every variance.
        tol: converged when the mean log-likelihood of a sample changes by less, in nats.
        max_iter: steps at most.
    """

    covariance: Covariance = Covariance.full
    shrinkage: float = 0.0
    reg_covar: float = 1e-6
    tol: float = 1e-3
    max_iter: int = 100


@dataclass(frozen=True)
class Gaussians:
    """The parameters.

    Attributes:
        weights: [K], summing to 1.
        means: [K Q].
        factors: upper Cholesky factors of the precisions, precision = L L^T: [K Q Q] full, [Q Q] tied, and [K 1 Q], the
            diagonals alone, if diagonal.
        single: for each component, whether float32 products are accurate enough.
    """

    weights: Array
    means: Array
    factors: Array
    single: list[bool]


@dataclass(frozen=True)
class Fit:
    """Where EM arrived, and how.

    Attributes:
        gaussians: the parameters.
        bounds: mean log-likelihood of a sample at each step, in nats (a lower bound of it in steps over few pairs).
        converged: whether `tol` was reached before `max_iter`.
        operations: additions and multiplications in products of matrices.
    """

    gaussians: Gaussians
    bounds: list[float]
    converged: bool
    operations: int


def em(x: Array, responsibilities: Array, settings: Settings, xp: ModuleType = np) -> Fit:
    """Fit Gaussians to samples x [N Q] (centred, float32 or float64), starting from responsibilities [N K] (float64).

    A component that no sample belongs to any more is dropped.

    Raises:
        CalibrationError: a covariance is singular in spite of the regularisation.
    """
    model = _MODELS[settings.covariance](_Samples(x, xp), settings)
    single = [False] * responsibilities.shape[1]
    bounds: list[float] = []
    everything, next_look = True, 2
    while True:
        alive = xp.sum(responsibilities, axis=0) > _NOBODY
        everything = everything or not bool(xp.all(alive))
        responsibilities = responsibilities[:, alive]
        single = [one for one, lives in zip(single, alive, strict=True) if lives]
        gaussians = model.maximise(responsibilities, single)
        log_joint = model.log_joint(gaussians, responsibilities > 0, everything)
        log_likelihood = log_sum_exp(log_joint, xp)
        bounds.append(float(xp.mean(log_likelihood)))
        step, single = len(bounds), gaussians.single
        settled = step > 1 and abs(bounds[-1] - bounds[-2]) < settings.tol
        if (settled and everything) or step >= settings.max_iter:
            return Fit(gaussians, bounds, settled and everything, model.operations)
        log_responsibilities = log_joint - log_likelihood[:, None]
        dense = xp.exp(log_responsibilities)
        responsibilities = xp.where(log_responsibilities < _NEGLIGIBLE, xp.zeros_like(dense), dense)
        # Early steps move most: look at all pairs in steps 1, 2, 4, 8 ..., and whenever the few settle.
        everything = settled or step + 1 == next_look
        next_look *= 2 if step + 1 == next_look else 1


def log_sum_exp(logs: Array, xp: ModuleType = np) -> Array:
    """Log of the sum of exponentials along the last axis, without overflow: [N K] -> [N]."""
    top = xp.amax(logs, axis=1)
    result: Array = top + xp.log(xp.sum(xp.exp(logs - top[:, None]), axis=1))
    return result


def diagonals(factors: Array, xp: ModuleType = np) -> Array:
    """The diagonals of factors as in `Gaussians`: [K Q], or [Q] if tied."""
    diagonal = factors.ndim == 3 and factors.shape[1] == 1
    result: Array = factors[:, 0] if diagonal else xp.linalg.diagonal(factors)
    return result


class _Samples:
    """The samples [N Q], in blocks of rows that fit a cache."""

    def __init__(self, x: Array, xp: ModuleType) -> None:
        self.x, self.xp = x, xp
        self.N, self.Q = x.shape
        self.mean_square = sum(float(xp.sum(z * z)) for _, z in self.blocks(single=False)) / self.N

    def zeros(self, *shape: int) -> Array:
        """In float64, on the samples' device."""
        zeros: Array = self.xp.zeros(shape, dtype=self.xp.float64, device=self.x.device)
        return zeros

    def blocks(
        self, rows: Array | None = None, *, single: bool, width: int | None = None
    ) -> Iterator[tuple[slice, Array]]:
        """Some rows (all if None) block by block: their places among those rows, and the samples in one precision.

        Of `width` only the first features. Blocks of some rows are copies, to work in; those of all rows may not be.
        """
        dtype = self.xp.float32 if single else self.xp.float64
        x = self.x[:, :width]
        for start in range(0, self.N if rows is None else len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            yield block, self.xp.asarray(x[block if rows is None else rows[block]], dtype=dtype)

    def single(self, factor: Array) -> bool:
        """Whether float32 resolves the smallest direction of a covariance, given the factor of its inverse.

        Rounding adds to a covariance a matrix of entries of about epsilon times a variance, whose signs are random, so
        that it is about sqrt(Q) times as large in the worst direction.
        """
        low, high = _SINGLE_RANGE
        precision = float(self.xp.amax(self.xp.sum(factor**2, axis=1)))
        error = _SINGLE_EPSILON * self.mean_square / math.sqrt(self.Q) * precision
        return bool(
            self.x.dtype == self.xp.float32 and low < self.mean_square < high and error < _SINGLE_ERROR
        )


class _Model:
    """What is fitted to the samples, how, and the operations that it took so far."""

    def __init__(self, samples: _Samples, settings: Settings) -> None:
        self.samples, self.settings, self.xp = samples, settings, samples.xp
        self.operations = 0


class _Full(_Model):
    """A covariance matrix a component."""

    def log_joint(self, g: Gaussians, likely: Array, everything: bool) -> Array:
        """Log of weight times density [N K] of the pairs that are `likely`, or of all that are not negligible.

        The others are -inf.
        """
        xp, K = self.xp, len(g.weights)
        offsets = _offsets(g, xp)
        logs = self.samples.zeros(*likely.shape) - math.inf
        for k in range(K):
            (rows,) = xp.where(likely[:, k])
            logs[rows, k] = offsets[k] - 0.5 * self._distances(rows, g, k)
        if everything:
            best = xp.amax(logs, axis=1)
            for k in range(K):
                (rows,) = xp.where(~likely[:, k])
                # Whoever is farther than this cannot come within e^-40 of the best component.
                limits = 2 * (offsets[k] - _NEGLIGIBLE - best[rows])
                rows, distances = self._near(rows, limits, g, k)
                logs[rows, k] = offsets[k] - 0.5 * distances
        return logs

    def _distances(self, rows: Array, g: Gaussians, k: int) -> Array:
        """Squared Mahalanobis distances of some rows [n] from a component: [n]."""
        xp = self.xp
        mean, factor = self._component_of(g, k)
        distances = self.samples.zeros(len(rows))
        for block, x in self.samples.blocks(rows, single=g.single[k]):
            x -= mean
            y = times_triangle(x, factor, xp)
            distances[block] = xp.einsum("nq,nq->n", y, y)
        self.operations += triangle_operations(len(rows), self.samples.Q, xp)
        return distances

    def _near(self, rows: Array, limits: Array, g: Gaussians, k: int) -> tuple[Array, Array]:
        """Those of some rows [n] that are within their limits [n] of a component, and their squared distances."""
        xp, Q = self.xp, self.samples.Q
        mean, factor = self._component_of(g, k)
        distances = self.samples.zeros(len(rows))
        for start in range(0, Q, _COLUMNS):
            stop = min(start + _COLUMNS, Q)
            for block, x in self.samples.blocks(rows, single=g.single[k], width=stop):
                x -= mean[:stop]
                y = times(x, factor[:stop, start:stop], xp)
                distances[block] += xp.einsum("nq,nq->n", y, y)
            self.operations += 2 * len(rows) * stop * (stop - start)
            near = distances <= limits
            rows, distances, limits = rows[near], distances[near], limits[near]
        return rows, distances

    def _component_of(self, g: Gaussians, k: int) -> tuple[Array, Array]:
        """Mean and factor of a component, in the precision of its products."""
        dtype = self.xp.float32 if g.single[k] else self.xp.float64
        return self.xp.asarray(g.means[k], dtype=dtype), self.xp.asarray(g.factors[k], dtype=dtype)

    def maximise(self, responsibilities: Array, single: list[bool]) -> Gaussians:
        """The parameters of most likelihood, given the responsibilities [N K]; in float32 where that was accurate."""
        xp, Q, K = self.xp, self.samples.Q, responsibilities.shape[1]
        means, factors = self.samples.zeros(K, Q), self.samples.zeros(K, Q, Q)
        accurate = [False] * K
        for k in range(K):
            (rows,) = xp.where(responsibilities[:, k] > 0)
            shares = responsibilities[rows, k]
            if single[k]:
                means[k], factors[k], accurate[k] = self._component(rows, shares, single=True)
            if not accurate[k]:
                means[k], factors[k], accurate[k] = self._component(rows, shares, single=False)
        return Gaussians(_weights(responsibilities, xp), means, factors, accurate)

    def _component(self, rows: Array, shares: Array, single: bool) -> tuple[Array, Array, bool]:
        """Mean, factor, and whether float32 was or would be accurate, of some rows with their responsibilities."""
        xp, Q = self.xp, self.samples.Q
        mean, covariance = self.samples.zeros(Q), self.samples.zeros(Q, Q)
        count = xp.sum(shares)
        for block, x in self.samples.blocks(rows, single=single):
            mean += times(xp.asarray(shares[block], dtype=x.dtype), x, xp)
        mean /= count
        for block, x in self.samples.blocks(rows, single=single):
            x -= xp.asarray(mean, dtype=x.dtype)
            x *= xp.asarray(xp.sqrt(shares[block]), dtype=x.dtype)[:, None]
            covariance += gram(x, xp)
        self.operations += len(rows) * Q * (Q + 1)
        covariance /= count
        factor = _factor(_regularised(covariance, self.settings, xp), xp)
        return mean, factor, self.samples.single(factor)


class _Tied(_Model):
    """One covariance matrix for all components: one product gives every distance."""

    def __init__(self, samples: _Samples, settings: Settings) -> None:
        super().__init__(samples, settings)
        self.scatter = samples.zeros(samples.Q, samples.Q)
        for _, x in samples.blocks(single=False):
            self.scatter += x.T @ x
        self.operations = samples.N * samples.Q * (samples.Q + 1)

    def log_joint(self, g: Gaussians, likely: Array, everything: bool) -> Array:
        """Log of weight times density of every pair: [N K]."""
        xp = self.xp
        offsets = _offsets(g, xp)
        single = g.single[0]
        factor = xp.asarray(g.factors, dtype=xp.float32 if single else xp.float64)
        means = g.means @ g.factors
        logs = self.samples.zeros(*likely.shape)
        for block, x in self.samples.blocks(single=single):
            y = times_triangle(xp.asarray(x, copy=True), factor, xp)
            for k in range(len(offsets)):
                z = y - xp.asarray(means[k], dtype=x.dtype)
                logs[block, k] = offsets[k] - 0.5 * xp.einsum("nq,nq->n", z, z)
        self.operations += triangle_operations(self.samples.N, self.samples.Q, xp)
        return logs

    def maximise(self, responsibilities: Array, single: list[bool]) -> Gaussians:
        """The parameters of most likelihood, given the responsibilities [N K]."""
        xp = self.xp
        counts = xp.sum(responsibilities, axis=0)
        means = _means(self.samples, responsibilities)
        # The scatter of all samples is that around the means plus that of the means.
        within = (self.scatter - (means * counts[:, None]).T @ means) / self.samples.N
        factor = _factor(_regularised(within, self.settings, xp), xp)
        accurate = [self.samples.single(factor)] * len(counts)
        return Gaussians(_weights(responsibilities, xp), means, factor, accurate)


class _Diagonal(_Model):
    """Variances alone: every distance is a product with the precisions, all in float64."""

    def log_joint(self, g: Gaussians, likely: Array, everything: bool) -> Array:
        """Log of weight times density of every pair: [N K]."""
        xp = self.xp
        offsets = _offsets(g, xp)
        logs = self.samples.zeros(*likely.shape)
        for block, x in self.samples.blocks(single=False):
            for k in range(len(offsets)):
                z = (x - g.means[k]) * g.factors[k]
                logs[block, k] = offsets[k] - 0.5 * xp.sum(z * z, axis=1)
        return logs

    def maximise(self, responsibilities: Array, single: list[bool]) -> Gaussians:
        """The parameters of most likelihood, given the responsibilities [N K]."""
        xp = self.xp
        counts = xp.sum(responsibilities, axis=0)
        means = _means(self.samples, responsibilities)
        variances = xp.zeros_like(means)
        for block, x in self.samples.blocks(single=False):
            for k in range(len(counts)):
                variances[k] += responsibilities[block, k] @ (x - means[k]) ** 2
        variances /= counts[:, None]
        s = self.settings
        spherical = xp.mean(variances, axis=1)[:, None]
        variances = (1 - s.shrinkage) * variances + s.shrinkage * spherical + s.reg_covar
        if not bool(xp.all(variances > _SINGULAR**2 * self.samples.mean_square)):  # else it is rounding
            raise _singular()
        weights = _weights(responsibilities, xp)
        return Gaussians(weights, means, 1 / xp.sqrt(variances)[:, None], [False] * len(weights))


_MODELS: dict[Covariance, type[_Full] | type[_Tied] | type[_Diagonal]] = {
    Covariance.full: _Full,
    Covariance.tied: _Tied,
    Covariance.diag: _Diagonal,
}


def _weights(responsibilities: Array, xp: ModuleType) -> Array:
    counts = xp.sum(responsibilities, axis=0)
    weights: Array = counts / xp.sum(counts)
    return weights


def _means(samples: _Samples, responsibilities: Array) -> Array:
    counts = samples.xp.sum(responsibilities, axis=0)
    means = samples.zeros(len(counts), samples.Q)
    for block, x in samples.blocks(single=False):
        means += responsibilities[block].T @ x
    means /= counts[:, None]
    return means


def _offsets(g: Gaussians, xp: ModuleType) -> Array:
    """The part of each component's log density that is the same for all samples, with its weight: [K]."""
    Q = g.means.shape[1]
    half_log_det = xp.sum(xp.log(diagonals(g.factors, xp)), axis=-1)
    offsets: Array = xp.log(g.weights) + half_log_det - 0.5 * Q * math.log(2 * math.pi)
    return offsets


def _regularised(covariance: Array, s: Settings, xp: ModuleType) -> Array:
    """See `Settings`: [Q Q], in place."""
    diagonal = xp.arange(len(covariance), device=covariance.device)
    spherical = xp.mean(covariance[diagonal, diagonal])
    covariance *= 1 - s.shrinkage
    covariance[diagonal, diagonal] += s.shrinkage * spherical + s.reg_covar
    return covariance


def _factor(covariance: Array, xp: ModuleType) -> Array:
    """The upper Cholesky factor of the inverse of a covariance [Q Q], which is lost."""
    least = _SINGULAR * xp.linalg.diagonal(covariance)
    lower = cholesky(covariance, xp)
    if lower is None or not bool(xp.all(xp.linalg.diagonal(lower) ** 2 > least)):
        raise _singular()
    return inverse(lower, xp).T


def _singular() -> CalibrationError:
    return CalibrationError(
        "a component's covariance is singular, as its features hardly vary or repeat each other: "
        "raise --shrinkage or reg_covar, or lower --components or --dimensions"
    )
