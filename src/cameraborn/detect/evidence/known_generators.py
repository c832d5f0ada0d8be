"""Photographs against pictures of known generators: the last layers of a binary detector, in NumPy.

One linear layer, or two with a rectifier between them as in BLADES (arXiv 2507.22824): relu(x W0^T + b0) W2^T + b2. The
two outputs are photograph and generated; the surprise is the difference of their logits, the log odds of "generated"
among the pictures it was trained on. A feature's length can be divided away before (`Preprocessing.unit_length`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cameraborn.detect.evidence.channel import Columns, Evidence, Features, Tensors, check_width, select
from cameraborn.errors import BundleError
from cameraborn.files import Array

Layer = tuple[NDArray[np.floating], NDArray[np.floating]]  # weight [out in] and bias [out]
_NAMES = (("0.weight", "0.bias"), ("2.weight", "2.bias"))


@dataclass(frozen=True, eq=False)
class BinaryClassifier(Evidence):
    """Linear layers, the last with two outputs: photograph and generated."""

    kind: ClassVar[str] = "binary classifier"
    has_seen_fakes: ClassVar[bool] = True

    layers: tuple[Layer, ...]

    def surprise(self, features: Features) -> Array:
        """Log odds of "generated" of features [N D]: [N]."""
        x = np.asarray(select(features, self.columns), np.float64)
        for number, (weight, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ weight.T + bias
        odds: Array = x[:, 1] - x[:, 0]
        return odds

    def tensors(self) -> Tensors:
        """`0.weight`, `0.bias` and, with two layers, `2.weight`, `2.bias`."""
        pairs = [zip(names, layer, strict=True) for names, layer in zip(_NAMES, self.layers, strict=False)]
        return {name: np.ascontiguousarray(tensor) for pair in pairs for name, tensor in pair}

    @classmethod
    def from_tensors(cls, name: str, columns: Columns, tensors: Tensors) -> Self:
        """From what `tensors` gives."""
        names = _NAMES[: len(tensors) // 2]
        if sorted(tensors) != sorted(name for pair in names for name in pair) or not names:
            raise BundleError(
                f"the classifier holds {sorted(tensors)}: one or two linear layers are known, fit it again"
            )
        layers = tuple((tensors[weight], tensors[bias]) for weight, bias in names)
        width: int | None = None
        for weight, bias in layers:
            if weight.ndim != 2 or bias.shape != weight.shape[:1] or width not in (None, weight.shape[1]):
                raise BundleError(
                    f"the classifier's layers of {weight.shape} and {bias.shape} do not fit: fit it again"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise BundleError("the classifier holds numbers that are not finite: fit it again")
            width = weight.shape[0]
        if width != 2:
            raise BundleError(
                f"the classifier has {width} outputs instead of photograph and generated: fit it again"
            )
        check_width("classifier", layers[0][0].shape[1], columns)
        return cls(name, columns, layers)
