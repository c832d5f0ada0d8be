"""The one-class model: a Gaussian mixture on photographs' features, or on their whitened principal components.

AIGFD-EXIF (arXiv 2501.02207, section III-C) models the features of photographs with a Gaussian mixture and flags
low likelihood. `em.py` fits it; the fitted numbers are plain arrays, kept in safetensors, and the likelihood needs
NumPy alone, so that scoring starts fast.

Shapes: N samples, D features, Q of them or of their principal components modelled, K components of the mixture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cameraborn.detect.evidence.channel import Columns, Evidence, Features, Tensors, check_width, select
from cameraborn.detect.evidence.em import Covariance, Fit, Gaussians, Settings, diagonals, em, log_sum_exp
from cameraborn.errors import BundleError, CalibrationError, counted
from cameraborn.files import Array

_SAMPLES_PER_DIMENSION = 2  # fewer photographs than this a dimension fit noise
_REG_WHITENED = 1e-2  # of principal components, whose variance is 1
_REG_AS_THEY_ARE = 1e-6  # scikit-learn's, and so the papers'
_SPAN = 1e-6  # of the widest principal component's spread: narrower ones are rounding
_LARGEST = 1e100  # feature that can be squared and summed
_ROWS = 4096  # scored at a time


class Init(StrEnum):
    """Where EM starts."""

    kmeans = "kmeans"  # at the clusters of k-means
    kmeans_pp = "k-means++"  # at one photograph a component, drawn apart, as the papers do


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Attributes:
        mean: [D], subtracted from features.
        whitening: [D Q], turns centred features into principal components of unit variance; None leaves them as they
            are.
        weights: [K], summing to 1.
        means: [K Q].
        precisions_cholesky: upper triangular factors of the precisions, precision = L L^T: [K Q Q] of full covariances,
            [Q Q] of a tied one, [K 1 Q] of diagonal ones, the diagonals alone.
    """

    mean: Array
    whitening: Array | None
    weights: Array
    means: Array
    precisions_cholesky: Array

    def log_likelihood(self, features: NDArray[np.floating]) -> Array:
        """Log density of features [N D], in nats, in the modelled space (whitened, if there is a whitening): [N]."""
        blocks = range(0, len(features), _ROWS)
        scored = [self._log_likelihood(np.asarray(features[i : i + _ROWS], np.float64)) for i in blocks]
        return np.concatenate([np.empty(0), *scored])

    def _log_likelihood(self, features: Array) -> Array:
        x = features - self.mean
        if self.whitening is not None:
            x = x @ self.whitening
        K, Q = self.means.shape
        half_log_dets = np.log(diagonals(self.precisions_cholesky)).sum(axis=-1)
        constants = np.log(self.weights) + half_log_dets - 0.5 * Q * math.log(2 * math.pi)
        logs = np.empty((len(x), K))
        for k in range(K):
            centred = x - self.means[k]
            if self.covariance is Covariance.diag:
                y = centred * self.precisions_cholesky[k]
            elif self.covariance is Covariance.tied:
                y = centred @ self.precisions_cholesky
            else:
                y = centred @ self.precisions_cholesky[k]
            logs[:, k] = constants[k] - 0.5 * (y**2).sum(axis=1)
        return np.asarray(log_sum_exp(logs), np.float64)

    @property
    def covariance(self) -> Covariance:
        """What was estimated."""
        if self.precisions_cholesky.ndim == 2:
            return Covariance.tied
        return Covariance.diag if self.precisions_cholesky.shape[1] == 1 else Covariance.full

    @property
    def free_parameters(self) -> int:
        """How many numbers were fitted, the whitening aside, for BIC."""
        K, Q = self.means.shape
        triangle = Q * (Q + 1) // 2
        covariances = {Covariance.full: K * triangle, Covariance.tied: triangle, Covariance.diag: K * Q}
        return int(K - 1 + K * Q + covariances[self.covariance])

    def tensors(self) -> dict[str, Array]:
        """The numbers by name, for safetensors."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: np.ascontiguousarray(value) for name, value in named.items() if value is not None}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> Mixture:
        """The inverse of `tensors`.

        Raises:
            BundleError: an array is missing, extra, of the wrong shape, or not finite.
        """
        names = set(cls.__dataclass_fields__)
        if set(tensors) | {"whitening"} != names:
            raise BundleError(f"the mixture holds {sorted(tensors)} instead of {sorted(names)}: fit it again")
        K, D = tensors["weights"].size, tensors["mean"].size
        Q = (*tensors["whitening"].shape, 0, 0)[1] if "whitening" in tensors else D
        shapes: dict[str, tuple[tuple[int, ...], ...]] = {
            "mean": ((D,),),
            "whitening": ((D, Q),),
            "weights": ((K,),),
            "means": ((K, Q),),
            "precisions_cholesky": ((K, Q, Q), (Q, Q), (K, 1, Q)),
        }
        for name, tensor in tensors.items():
            if tensor.shape not in shapes[name] or tensor.size == 0 or not np.isfinite(tensor).all():
                wanted = " or ".join(map(str, shapes[name]))
                raise BundleError(
                    f"the mixture's {name} is not finite numbers of shape {wanted}: fit it again"
                )
        return cls(**{"whitening": None, **tensors})  # type: ignore[arg-type]  # only the whitening may be None


@dataclass(frozen=True, eq=False)
class Density(Evidence):
    """What is rare among photographs: minus the log-likelihood of a mixture that was fitted to photographs alone."""

    kind: ClassVar[str] = "density"

    mixture: Mixture

    def surprise(self, features: Features) -> Array:
        """Minus the log-likelihood of features [N D], in nats: [N]."""
        return -self.mixture.log_likelihood(select(features, self.columns))

    def tensors(self) -> dict[str, Array]:
        """The mixture's numbers."""
        return self.mixture.tensors()

    @classmethod
    def from_tensors(cls, name: str, columns: Columns, tensors: Tensors) -> Self:
        """From the mixture's numbers."""
        mixture = Mixture.from_tensors(tensors)
        check_width("mixture", len(mixture.mean), columns)
        return cls(name, columns, mixture)


def fit_mixture(
    features: NDArray[np.floating],
    *,
    components: int,
    dimensions: int | None,
    covariance: Covariance | str = Covariance.full,
    shrinkage: float = 0.0,
    reg_covar: float | None = None,
    init: Init | str = Init.kmeans,
    n_init: int = 3,
    tol: float = 1e-3,
    max_iter: int = 100,
    seed: int = 0,
    xp: ModuleType = np,
    report: Callable[[Fit], None] = lambda fit: None,
) -> Mixture:
    """Fit a mixture to features [N D] of photographs.

    `dimensions` principal components are kept (fewer if the features span fewer) and whitened; None models the features
    as they are. A component that loses all its photographs is dropped. float32 features are multiplied in float32 where
    that is accurate, float64 features never.

    Args:
        features: one row a photograph.
        components: K.
        dimensions: Q, or None.
        covariance: full, tied or diag.
        shrinkage: 0 to 1, of the covariances towards a sphere; see `em.Settings` for the formula.
        reg_covar: added to every modelled variance; by default 1e-2 for principal components, whose variance is 1, and
            1e-6, scikit-learn's, for features as they are.
        init: where EM starts.
        n_init: starts; the likeliest end is kept.
        tol: EM has converged when the mean log-likelihood changes by less, in nats.
        max_iter: steps of EM at most.
        seed: of the starts.
        xp: namespace to compute with: NumPy, or torch, given by the caller, for tensors on any device.
        report: told where each start ended.

    Raises:
        CalibrationError: too few photographs, or features that are not finite or do not vary.
    """
    settings = Settings(
        Covariance(covariance),
        shrinkage,
        reg_covar if reg_covar is not None else _REG_AS_THEY_ARE if dimensions is None else _REG_WHITENED,
        tol,
        max_iter,
    )
    raw = xp.asarray(features)
    _check(raw, components, dimensions, settings, xp)
    x = xp.asarray(raw, dtype=xp.float64, copy=True)
    mean = xp.mean(x, axis=0)
    x -= mean
    rounding = 1e-7 * _largest(raw, xp)  # of the network's float32
    if _largest(x, xp) <= rounding:
        raise _same()
    whitening = None if dimensions is None else _whitening(x, dimensions, rounding, xp)
    if whitening is not None:
        x = x @ whitening
    x = xp.asarray(x, dtype=xp.float32 if raw.dtype == xp.float32 else xp.float64)
    best: Fit | None = None
    for responsibilities in _starts(_host(x), components, Init(init), n_init, seed):
        fit = em(x, xp.asarray(responsibilities, device=x.device), settings, xp)
        report(fit)
        best = fit if best is None or fit.bounds[-1] > best.bounds[-1] else best
    assert best is not None
    g: Gaussians = best.gaussians
    return Mixture(
        _host(mean),
        None if whitening is None else _host(whitening),
        _host(g.weights),
        _host(g.means),
        _host(g.factors),
    )


@dataclass(frozen=True)
class Choice:
    """How a mixture of some number of components does.

    Attributes:
        components: asked for.
        held_out_log_likelihood: mean of a held-out sample, in nats.
        log_likelihood: mean of a fitted sample, in nats.
        bic: Bayesian information criterion on the fitted samples, lower is better (Schwarz 1978).
    """

    components: int
    held_out_log_likelihood: float
    log_likelihood: float
    bic: float


def choose_components(
    features: NDArray[np.floating],
    candidates: Sequence[int],
    fit: Callable[[NDArray[np.floating], int], Mixture],
    *,
    groups: Sequence[str] | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> list[Choice]:
    """Fit a mixture of each number of components to a part of features [N D], and measure it on the rest.

    Candidates that `fit` refuses, as the photographs are too few for them, are left out.

    Args:
        features: one row a photograph, or a view of one.
        candidates: numbers of components.
        fit: `(features, components) -> Mixture`, say `lambda x, k: fit_mixture(x, components=k, dimensions=32)`.
        groups: [N], which rows are of one photograph and so must not be on both sides; by default none.
        held_out: share of the groups to measure on.
        seed: of the split.

    Raises:
        CalibrationError: too few photographs for every candidate.
    """
    names, members = np.unique(np.arange(len(features)) if groups is None else groups, return_inverse=True)
    chosen = np.random.default_rng(seed).permutation(len(names)) < round(held_out * len(names))
    aside = chosen[members]
    if not 0 < aside.sum() < len(features):
        raise CalibrationError(
            f"{_too_few(len(names))} to hold out {held_out:.0%} of them: "
            "give more photographs, or a number of components"
        )
    inside, outside = features[~aside], features[aside]
    choices: list[Choice] = []
    refused: CalibrationError | None = None
    for components in candidates:
        try:
            mixture = fit(inside, components)
        except CalibrationError as error:
            refused = refused or error  # of the fewest components
            continue
        fitted = float(mixture.log_likelihood(inside).mean())
        bic = mixture.free_parameters * math.log(len(inside)) - 2 * fitted * len(inside)
        choices.append(Choice(components, float(mixture.log_likelihood(outside).mean()), fitted, bic))
    if not choices and refused is not None:
        raise refused
    return choices


def check_enough(
    photographs: int,
    components: int,
    Q: int,
    covariance: Covariance = Covariance.full,
    shrinkage: float = 0.0,
    *,
    advice: str = "give more photographs, or lower --components or --dimensions, or raise --shrinkage",
) -> None:
    """See that a mixture can be fitted to so many photographs.

    Copies of a photograph are not independent: whoever fits to copies as well has to count the photographs.

    Args:
        photographs: their number.
        components: K.
        Q: number of dimensions that are modelled.
        covariance: full, tied or diag.
        shrinkage: as of `fit_mixture`.
        advice: what to do about too few, for the message.

    Raises:
        CalibrationError: they are too few.
    """
    covariances = components if covariance is Covariance.full else 1
    if covariance is Covariance.diag or shrinkage > 0:
        needed = components * _SAMPLES_PER_DIMENSION
    else:
        needed = max(Q * covariances, components) * _SAMPLES_PER_DIMENSION
    if max(2, needed) > photographs:
        raise CalibrationError(
            f"{_too_few(photographs)} for {counted(components, 'Gaussian')} of {covariance} covariance in "
            f"{counted(Q, 'dimension')}, which need {max(2, needed)}: {advice}"
        )


def _too_few(photographs: int) -> str:
    return f"{counted(photographs, 'photograph')} {'is' if photographs == 1 else 'are'} too few"


def _check(
    x: NDArray[np.floating], components: int, dimensions: int | None, settings: Settings, xp: ModuleType
) -> None:
    N, D = x.shape
    check_enough(
        N, components, D if dimensions is None else dimensions, settings.covariance, settings.shrinkage
    )
    if not _largest(x, xp) <= _LARGEST:  # nor NaN
        raise CalibrationError(
            f"some features are beyond {_LARGEST:g} or not finite: the network of this bundle is damaged, "
            "export it again"
        )


def _largest(x: NDArray[np.floating], xp: ModuleType) -> float:
    """The largest magnitude; NaN where there is one."""
    return float(xp.maximum(xp.amax(x), -xp.amin(x)))


def _whitening(x: Array, dimensions: int, rounding: float, xp: ModuleType) -> Array:
    """Principal axes over their spreads, of centred samples [N D], as many as stand out of the rounding: [D Q]."""
    variances, axes = xp.linalg.eigh(x.T @ x / (len(x) - 1))  # ascending
    spread = xp.sqrt(xp.clip(variances, 0, None))
    spans = int(xp.sum(spread > max(_SPAN * float(spread[-1]), rounding)))
    if spans == 0:
        raise _same()
    kept = slice(len(spread) - min(dimensions, spans), None)
    whitening: Array = axes[:, kept] / spread[kept]
    return whitening


def _starts(x: NDArray[np.floating], components: int, init: Init, n_init: int, seed: int) -> Iterator[Array]:
    """Responsibilities [N K] to start from, one after the other those of scikit-learn's GaussianMixture."""
    N, K = len(x), components
    if K == 1:
        yield np.ones((N, 1))
        return
    from sklearn.cluster import KMeans, kmeans_plusplus  # a second to import: scoring does without

    # scikit-learn draws from the older kind of generator.
    rng = np.random.RandomState(seed)
    for _ in range(n_init):
        responsibilities = np.zeros((N, K))
        with warnings.catch_warnings():
            # Fewer distinct photographs than K: components without any are dropped.
            warnings.simplefilter("ignore")
            if init is Init.kmeans:
                labels = KMeans(K, n_init=1, random_state=rng).fit(x).labels_
                responsibilities[np.arange(N), labels] = 1
            else:
                _, seeds = kmeans_plusplus(x, K, random_state=rng)
                responsibilities[seeds, np.arange(K)] = 1
        yield responsibilities


def _same() -> CalibrationError:
    return CalibrationError("all photographs have the same features: give different photographs")


def _host(array: NDArray[np.floating]) -> Array:
    """As a NumPy array, from whatever device."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)
