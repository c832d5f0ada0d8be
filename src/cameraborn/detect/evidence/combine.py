"""Several channels' surprises become one number.

A density of many features varies far more than the odds of a classifier do, so each surprise is first brought to mean 0
and standard deviation 1 among photographs that no channel has seen (by `calibrate`; until then, among those that were
fitted to). A single channel's surprise stays as it is. Several are added in one of two ways:

- With weights that were chosen: the weighted sum. However the channels depend on each other, `calibrate` measures how
  the sum itself is spread among photographs, so p-values need no independence.
- Without: the first channel counts as it is. Of every other one only what lies above its mean is added, as in
  DenseHybrid (Grcic, Bevandic and Segvic, ECCV 2022, arXiv 2207.02606): some generators smooth more than any
  autoencoder, and to look less reconstructed than photographs do is no sign of being one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cameraborn.files import Array

LIMIT = 4.0  # standard deviations: a density of hundreds of them must not silence all else


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of a channel's surprise among fitted photographs."""

    location: float
    scale: float

    @classmethod
    def of(cls, surprise: Array) -> Standard:
        """Measured on the surprise of photographs [N]."""
        return cls(float(surprise.mean()), float(surprise.std()) + 1e-6)

    def __call__(self, surprise: Array) -> Array:
        """The surprise [N] in standard deviations from the mean."""
        return (surprise - self.location) / self.scale


def parts(
    surprises: Sequence[Array], standards: Sequence[Standard], weights: Sequence[float] | None = None
) -> list[Array]:
    """What each of some channels adds to the score [N], of their surprises [N].

    Args:
        surprises: of each channel, in the order of the bundle.
        standards: of each channel; ignored if there is only one.
        weights: of each channel; the first may lie anywhere, of the others none counts more than `LIMIT` deviations.
    """
    if len(surprises) == 1:
        return [surprises[0]]
    first, *others = (standard(surprise) for surprise, standard in zip(surprises, standards, strict=True))
    if weights is None:
        return [first, *(np.maximum(other, 0.0) for other in others)]
    limited = (other.clip(-LIMIT, LIMIT) for other in others)
    weighed = (weight * other for weight, other in zip(weights[1:], limited, strict=True))
    return [weights[0] * first, *weighed]


def combine(
    surprises: Sequence[Array], standards: Sequence[Standard], weights: Sequence[float] | None = None
) -> Array:
    """One number of the surprises [N] of some channels, the sum of their `parts`: [N]."""
    first, *others = parts(surprises, standards, weights)
    return sum(others, first)
