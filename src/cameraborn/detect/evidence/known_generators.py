"""The last layers of a binary detector, in NumPy: scoring needs no training framework.

One linear layer, or two with a rectifier between them as in BLADES (arXiv 2507.22824): relu(x W0^T + b0) W2^T + b2. The
two outputs are photograph and generated; the score is the difference of their logits, the log odds of "generated" among
the pictures it was trained on. A feature's length can be divided away before (`Preprocessing.unit_length`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BundleError

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Head:
    """Linear layers (weight [out in], bias [out]), the last with two outputs: photograph, generated."""

    layers: tuple[tuple[Array, Array], ...]

    @property
    def features(self) -> int:
        """Width of the feature it takes."""
        return int(self.layers[0][0].shape[1])

    def scores(self, features: Array) -> NDArray[np.float64]:
        """Log odds of "generated" of features [N D]: [N]."""
        x = np.asarray(features, np.float64)
        for number, (weight, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ weight.T + bias
        result: NDArray[np.float64] = x[:, 1] - x[:, 0]
        return result

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> Head:
        """From `0.weight`, `0.bias` and, with two layers, `2.weight`, `2.bias`.

        Raises:
            BundleError: a tensor is missing, extra, of the wrong shape, or not finite.
        """
        names = [("0.weight", "0.bias"), ("2.weight", "2.bias")][: len(tensors) // 2]
        if sorted(tensors) != sorted(name for pair in names for name in pair) or not names:
            raise BundleError(
                f"the head holds {sorted(tensors)}: one or two linear layers are known, fit again"
            )
        layers = tuple((tensors[weight], tensors[bias]) for weight, bias in names)
        width: int | None = None
        for weight, bias in layers:
            if weight.ndim != 2 or bias.shape != weight.shape[:1] or width not in (None, weight.shape[1]):
                raise BundleError(
                    f"the head's layers of {weight.shape} and {bias.shape} do not fit: fit again"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise BundleError("the head holds numbers that are not finite: fit again")
            width = weight.shape[0]
        if width != 2:
            raise BundleError(f"the head has {width} outputs instead of photograph and generated: fit again")
        return cls(layers)
