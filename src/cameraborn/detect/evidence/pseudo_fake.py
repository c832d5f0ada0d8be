"""A density and a boundary: is a picture unlike photographs, and does it look reconstructed?

A mixture finds what is rare among photographs. Where the network also learnt to tell photographs from photographs
that an autoencoder reconstructed (the task `reconstructed`), the odds of that are a second sign, and the two are added,
as in DenseHybrid (Grcic, Bevandic and Segvic, ECCV 2022, arXiv 2207.02606): ln p(reconstructed | x) - ln p(x). The
density of many features varies far more than the odds do, so each is first brought to mean 0 and standard deviation 1
among the photographs that the mixture was fitted to. Odds below their mean count as the mean: some generators smooth
more than any autoencoder, and to look less reconstructed than photographs do is no sign of being one. No generated
picture has a part in it.

Shapes: N pictures, D features of all sides, d features of one side (D = sides x d, the finest side first).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BundleError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Boundary:
    """The last layer that tells reconstructed photographs from photographs.

    Attributes:
        weight: of the features of the finest side [d], where an autoencoder's traces are.
        bias: of the log odds.
        location: of the surprise and the log odds among fitted photographs [2]; None until a mixture is fitted.
        scale: theirs [2].
    """

    weight: Array
    bias: float
    location: Array | None = None
    scale: Array | None = None

    def unread(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """The features [N D] that are left to the mixture: all, or those of a network that the boundary does not read.

        Where a network beside the first learnt what is reconstructed, the first one's features make the density alone.
        """
        columns = self.weight == 0
        return features[:, np.tile(columns, features.shape[1] // len(columns))] if columns.any() else features

    def log_odds(self, features: NDArray[np.floating]) -> Array:
        """That each picture was reconstructed: features [N D] to [N]."""
        odds: Array = np.asarray(features, np.float64)[:, : len(self.weight)] @ self.weight + self.bias
        return odds

    def scaled_to(self, features: NDArray[np.floating], log_likelihood: Array) -> Boundary:
        """The same, for adding to the likelihood of a mixture that was fitted to these photographs [N D], [N]."""
        signs = self._signs(features, log_likelihood)
        return Boundary(self.weight, self.bias, signs.mean(axis=0), signs.std(axis=0) + 1e-6)

    def scores(self, features: NDArray[np.floating], log_likelihood: Array) -> Array:
        """How little each picture [N D] is like a photograph: higher = less [N].

        Raises:
            BundleError: no mixture was fitted beside it.
        """
        if self.location is None or self.scale is None:
            raise BundleError("the boundary is not scaled to a mixture: run 'cameraborn fit' first")
        surprise, odds = ((self._signs(features, log_likelihood) - self.location) / self.scale).T
        total: Array = surprise + np.maximum(odds, 0.0)
        return total

    def _signs(self, features: NDArray[np.floating], log_likelihood: Array) -> Array:
        return np.stack([-log_likelihood, self.log_odds(features)], axis=1)

    def tensors(self) -> dict[str, Array]:
        """For safetensors."""
        scaling = (
            {}
            if self.location is None or self.scale is None
            else {"location": self.location, "scale": self.scale}
        )
        return {"weight": self.weight, "bias": np.array([self.bias]), **scaling}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.floating]]) -> Boundary:
        """What `tensors` gave.

        Raises:
            BundleError: something is missing, or of another shape, or not finite.
        """
        known = {name: np.asarray(value, np.float64) for name, value in tensors.items()}
        shapes = {name: value.shape for name, value in known.items()}
        scaling = {"location", "scale"} & set(known)
        expected = {"weight", "bias"} | ({"location", "scale"} if scaling else set())
        if (
            set(known) != expected
            or len(shapes["weight"]) != 1
            or shapes["bias"] != (1,)
            or any(shapes[name] != (2,) for name in scaling)
            or not all(np.isfinite(value).all() for value in known.values())
        ):
            raise BundleError(
                f"redrawn.safetensors holds {shapes}, which is no boundary: get the bundle again"
            )
        return cls(known["weight"], float(known["bias"][0]), known.get("location"), known.get("scale"))
