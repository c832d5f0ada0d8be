"""Photographs against photographs that were reconstructed: the last layer of a network that learnt to tell them apart.

An autoencoder's reconstruction of a photograph is a pseudo-fake: it carries what decoders leave in pixels, and no
generated picture has a part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from cameraborn.detect.evidence.channel import Columns, Evidence, Features, Tensors, check_width, select
from cameraborn.errors import BundleError
from cameraborn.files import Array


@dataclass(frozen=True, eq=False)
class PseudoFakeClassifier(Evidence):
    """One linear layer: the log odds that a picture was reconstructed.

    Attributes:
        weight: of the columns [d]; they are those of the finest side, where a decoder's statistics are.
        bias: of the log odds.
    """

    kind: ClassVar[str] = "pseudo-fake classifier"

    weight: Array
    bias: float

    def surprise(self, features: Features) -> Array:
        """Log odds that each picture was reconstructed: features [N D] to [N]."""
        odds: Array = np.asarray(select(features, self.columns), np.float64) @ self.weight + self.bias
        return odds

    def tensors(self) -> dict[str, Array]:
        """Weight and bias."""
        return {"weight": np.ascontiguousarray(self.weight), "bias": np.array([self.bias])}

    @classmethod
    def from_tensors(cls, name: str, columns: Columns, tensors: Tensors) -> Self:
        """From `weight` [d] and `bias` [1]."""
        known = {key: np.asarray(value, np.float64) for key, value in tensors.items()}
        shapes = {key: value.shape for key, value in known.items()}
        if (
            set(known) != {"weight", "bias"}
            or len(shapes["weight"]) != 1
            or shapes["bias"] != (1,)
            or not all(np.isfinite(value).all() for value in known.values())
        ):
            raise BundleError(
                f"the pseudo-fake classifier holds {shapes} instead of a finite weight and bias: export it again"
            )
        check_width("pseudo-fake classifier", len(known["weight"]), columns)
        return cls(name, columns, known["weight"], float(known["bias"][0]))
