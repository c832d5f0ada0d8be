"""The one-class model: a Gaussian mixture on whitened principal components of photographs' features.

AIGFD-EXIF (arXiv 2501.02207, section III-C) models the features of photographs with a Gaussian mixture and flags
low likelihood. Fitting is scikit-learn's; the fitted numbers are plain arrays, kept in safetensors, and the likelihood
needs NumPy alone, so that scoring starts fast.

Shapes: N samples, D features, Q components of the PCA, K of the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BundleError, CalibrationError

Array = NDArray[np.float64]
_SAMPLES_PER_DIMENSION = 2  # fewer photographs than this a principal component fit noise
_REGULARISATION = 1e-2  # added to the whitened covariances' diagonals, whose scale is 1


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Attributes:
        mean: [D], subtracted from features.
        whitening: [D Q], turns centred features into principal components of unit variance.
        weights: [K], summing to 1.
        means: [K Q].
        precisions_cholesky: [K Q Q], upper triangular; precision = L L^T.
    """

    mean: Array
    whitening: Array
    weights: Array
    means: Array
    precisions_cholesky: Array

    def log_likelihood(self, features: NDArray[np.floating]) -> Array:
        """Log density of features [N D], in nats, in whitened space: [N]."""
        x = (np.asarray(features, np.float64) - self.mean) @ self.whitening
        Q = x.shape[1]
        logs = np.empty((len(x), len(self.weights)))
        for k, (weight, mean, factor) in enumerate(
            zip(self.weights, self.means, self.precisions_cholesky, strict=True)
        ):
            y = (x - mean) @ factor
            half_log_det = np.log(np.diag(factor)).sum()
            logs[:, k] = (
                np.log(weight) + half_log_det - 0.5 * (Q * math.log(2 * math.pi) + (y**2).sum(axis=1))
            )
        top = logs.max(axis=1)
        result: Array = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
        return result

    def tensors(self) -> dict[str, Array]:
        """The numbers by name, for safetensors."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> Mixture:
        """The inverse of `tensors`.

        Raises:
            BundleError: an array is missing, extra, of the wrong shape, or not finite.
        """
        names = set(cls.__dataclass_fields__)
        if set(tensors) != names:
            raise BundleError(f"the mixture holds {sorted(tensors)} instead of {sorted(names)}: fit it again")
        D, Q = (*tensors["whitening"].shape, 0, 0)[:2]
        K = tensors["weights"].size
        shapes = {
            "mean": (D,),
            "whitening": (D, Q),
            "weights": (K,),
            "means": (K, Q),
            "precisions_cholesky": (K, Q, Q),
        }
        for name, shape in shapes.items():
            if tensors[name].shape != shape or 0 in shape or not np.isfinite(tensors[name]).all():
                raise BundleError(
                    f"the mixture's {name} is not finite numbers of shape {shape}: fit it again"
                )
        return cls(**tensors)


def fit_mixture(
    features: NDArray[np.floating], *, components: int, dimensions: int, seed: int = 0
) -> Mixture:
    """Fit a mixture to features [N D] of photographs.

    `dimensions` principal components are kept (fewer if the features span fewer), whitened, and modelled with
    `components` Gaussians of full covariance.

    Raises:
        CalibrationError: too few photographs, or features that are not finite.
    """
    x = np.asarray(features, np.float64)
    N = len(x)
    needed = max(2, dimensions * components * _SAMPLES_PER_DIMENSION)
    if needed > N:
        raise CalibrationError(
            f"{N} photographs are too few for {components} Gaussian(s) in {dimensions} dimensions, "
            f"which need {needed}: give more photographs, or lower --components or --dimensions"
        )
    if not np.isfinite(x).all():
        raise CalibrationError(
            "some features are not finite: the network of this bundle is damaged, export it again"
        )
    from sklearn.mixture import GaussianMixture  # a second to import: scoring does without

    mean = x.mean(axis=0)
    _, singular, axes = np.linalg.svd(x - mean, full_matrices=False)
    spread = singular / math.sqrt(N - 1)
    rounding = 1e-7 * np.abs(x).max()  # of the network's float32
    kept = min(dimensions, int((spread > max(1e-6 * spread[0], rounding)).sum()))
    if kept == 0:
        raise CalibrationError("all photographs have the same features: give different photographs")
    whitening = axes[:kept].T / spread[:kept]
    model = GaussianMixture(components, reg_covar=_REGULARISATION, n_init=3, random_state=seed)
    model.fit((x - mean) @ whitening)
    return Mixture(mean, whitening, model.weights_, model.means_, model.precisions_cholesky_)
