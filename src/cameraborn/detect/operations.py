"""The classifier of post-processing operations: it reads a face's residual statistics.

Two layers, a rectifier between them, and the likeliest of `degrade.random.OPERATIONS`, learnt from photographs that we
processed ourselves. It need not be right: photographs are calibrated under the operation that they look like, so that a
p-value compares a picture with photographs that look as processed as it does. Learnt by scikit-learn when evidence is
fitted, scored in NumPy.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.degrade.residual_statistics import N_STATISTICS, ResidualStatistics
from cameraborn.errors import BundleError
from cameraborn.files import Array

_HIDDEN, _BATCH, _STEPS = 64, 256, 1500
_FARTHEST = 4.0  # standard deviations: statistics beyond are taken for no stranger than this
_NEVER = -1e9  # log odds of an operation that nothing was learnt of


@dataclass(frozen=True, eq=False)
class OperationClassifier:
    """A perceptron of T statistics, H hidden units and C operations.

    Attributes:
        location, scale: what statistics are standardised by, [T].
        hidden: weight [H T] and bias [H].
        output: weight [C H] and bias [C].
    """

    location: Array
    scale: Array
    hidden: tuple[Array, Array]
    output: tuple[Array, Array]

    @property
    def operations(self) -> int:
        """How many it tells apart."""
        return len(self.output[1])

    def operation_of(self, statistics: ResidualStatistics) -> int:
        """The likeliest operation of a face with these statistics [T]."""
        x = np.clip((statistics - self.location) / self.scale, -_FARTHEST, _FARTHEST)
        x = np.maximum(self.hidden[0] @ x + self.hidden[1], 0.0)
        return int(np.argmax(self.output[0] @ x + self.output[1]))

    def tensors(self) -> dict[str, Array]:
        """For safetensors."""
        (hidden, hidden_bias), (output, output_bias) = self.hidden, self.output
        return {
            "location": self.location,
            "scale": self.scale,
            "hidden.weight": hidden,
            "hidden.bias": hidden_bias,
            "output.weight": output,
            "output.bias": output_bias,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.floating]]) -> OperationClassifier:
        """What `tensors` gave.

        Raises:
            BundleError: something is missing, or of another shape, or not finite.
        """
        known = {name: np.asarray(value, np.float64) for name, value in tensors.items()}
        shapes = {name: value.shape for name, value in known.items()}
        H, C = len(known.get("hidden.bias", ())), len(known.get("output.bias", ()))
        expected = {
            "location": (N_STATISTICS,),
            "scale": (N_STATISTICS,),
            "hidden.weight": (H, N_STATISTICS),
            "hidden.bias": (H,),
            "output.weight": (C, H),
            "output.bias": (C,),
        }
        if (
            shapes != expected
            or not C
            or not all(np.isfinite(value).all() for value in known.values())
            or not (known["scale"] > 0).all()
        ):
            raise BundleError(f"the classifier of operations holds {shapes}: get the bundle again")
        return cls(
            known["location"],
            known["scale"],
            (known["hidden.weight"], known["hidden.bias"]),
            (known["output.weight"], known["output.bias"]),
        )


def learn_operation_classifier(
    statistics: NDArray[np.floating], operations: Sequence[int], count: int, *, seed: int
) -> OperationClassifier:
    """A classifier of `count` operations, from statistics [N T] of faces and the operation of each [N]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier  # a second to import: scoring does without

    statistics = np.asarray(statistics, np.float64)
    location, scale = statistics.mean(axis=0), statistics.std(axis=0) + 1e-6
    x = np.clip((statistics - location) / scale, -_FARTHEST, _FARTHEST)
    perceptron = MLPClassifier(
        (_HIDDEN,),
        alpha=1e-3,
        batch_size=min(_BATCH, len(x)),
        learning_rate_init=3e-3,
        max_iter=max(1, _STEPS * _BATCH // max(_BATCH, len(x))),
        tol=0.0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is to end before it overfits
        perceptron.fit(x, operations)
    weight, bias = np.zeros((count, _HIDDEN)), np.full(count, _NEVER)
    weight[perceptron.classes_], bias[perceptron.classes_] = perceptron.coefs_[1].T, perceptron.intercepts_[1]
    hidden = np.ascontiguousarray(perceptron.coefs_[0].T)  # safetensors writes memory as it lies
    return OperationClassifier(location, scale, (hidden, perceptron.intercepts_[0]), (weight, bias))
