"""Which picture is drawn and how far it is shrunk, planned so that a plan does not tell the class.

Photographs that may be learnt from show small faces with a camera's noise, generators publish large clean ones. Shrunk
to one side, the clean detail of a large face is a sign of the class that says nothing of generators: a network that
learns it flags large photographs. So every factor of shrinking is as likely for photographs as for generated faces, and
of the plans drawn those are carried out that could as well be of the other class: each with the probability that it is
(overlap weights: Li, Morgan and Zaslavsky, JASA 2018, as in `binary.overlap`). Boosted trees tell the classes by the
factor, the side in the end, and the picture's noise and sharpness; a regression leaves some of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from cameraborn.degrade.draw import Rng, log_uniform
from cameraborn.degrade.history import SIDE
from cameraborn.degrade.residual_statistics import noise_of, residual_statistics
from cameraborn.degrade.sharpness import sharpness
from cameraborn.errors import RecipeError
from cameraborn.files import Pixels

NOTHING = (0.0, 5.0)  # covariates of pictures that are too small to measure

_LARGEST_FACTOR = 3.5  # of shrinking
_AS_IT_IS, _ENLARGED, _MOST_ENLARGED = 0.25, 0.1, 1.6  # shares that are not shrunk, and how far some grow
_SMALLEST, _SMALLEST_MEASURED = 96, 64  # pixels
_LEAST_ACCEPTED = 0.02  # share of plans that are carried out
_TRIALS, _AT_ONCE = 4000, 6  # plans of each class that the trees learn from; judged at a time


@dataclass(frozen=True)
class Plan:
    """One picture and how far it is shrunk.

    Attributes:
        number: of its row.
        seed: of the place of its square.
        side: that the square is brought to, pixels.
        native: it stays larger than `SIDE`, if it is.
        covariates: logarithms of the factor and of the side in the end; noise and sharpness of the picture.
    """

    number: int
    seed: int
    side: int
    native: bool
    covariates: tuple[float, ...]


@dataclass(eq=False)
class Plans:
    """Draws plans of photographs and of generated faces that do not tell which of the two they are.

    Attributes:
        photograph, fake: draw a row's number.
        side_of: the side in pixels of the square of a row, its place drawn by a generator.
        covariates: noise and sharpness of each row's picture [rows 2], see `covariates_of`.
        native: share of the larger pictures that are not shrunk to `SIDE` in the end.
        seed: of the plans that the trees learn from.

    Raises:
        RecipeError: next to no plan could as well be of the other class.
    """

    photograph: Callable[[Rng], int]
    fake: Callable[[Rng], int]
    side_of: Callable[[int, Rng], int]
    covariates: NDArray[np.floating]
    native: float
    seed: int = 0
    _told: GradientBoostingClassifier = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, _TRIALS])
        plans = [self._drawn(draw, rng) for draw in (self.photograph, self.fake) for _ in range(_TRIALS)]
        x = np.array([plan.covariates for plan in plans])
        trees = GradientBoostingClassifier(
            max_depth=3, n_estimators=60, learning_rate=0.15, min_samples_leaf=150, random_state=0
        )
        self._told = trees.fit(x, np.repeat([0, 1], _TRIALS))
        generated = self._told.predict_proba(x)[:, 1]
        accepted = min(generated[:_TRIALS].mean(), 1 - generated[_TRIALS:].mean())
        if accepted < _LEAST_ACCEPTED:
            raise RecipeError(
                f"history.balanced: of the size, noise and sharpness of {1 - accepted:.1%} of pictures there are none "
                "in the other class: give photographs and generated faces that are more alike, or leave it off"
            )

    def of_photograph(self, rng: Rng) -> Plan:
        """A plan of a photograph."""
        return self._accepted(self.photograph, self.generated, rng)

    def of_fake(self, rng: Rng) -> Plan:
        """A plan of a generated face."""
        return self._accepted(self.fake, lambda plans: 1 - self.generated(plans), rng)

    def generated(self, plans: list[Plan]) -> NDArray[np.float64]:
        """The probability that each plan, drawn without being balanced, is of a generated face."""
        x = np.array([plan.covariates for plan in plans])
        return np.asarray(self._told.predict_proba(x)[:, 1])

    def _accepted(
        self,
        draw: Callable[[Rng], int],
        of_the_other: Callable[[list[Plan]], NDArray[np.float64]],
        rng: Rng,
    ) -> Plan:
        while True:
            plans = [self._drawn(draw, rng) for _ in range(_AT_ONCE)]
            accepted = rng.random(len(plans)) < of_the_other(plans)
            if accepted.any():
                return plans[int(accepted.argmax())]

    def _drawn(self, draw: Callable[[Rng], int], rng: Rng) -> Plan:
        number, seed = draw(rng), int(rng.integers(2**31))
        own = self.side_of(number, np.random.default_rng(seed))
        side = _brought_to(own, rng)
        native = rng.random() < self.native
        last = side if side <= SIDE or native else SIDE
        factors = (math.log(own / last), math.log(last))
        return Plan(number, seed, side, native, (*factors, *map(float, self.covariates[number])))


def covariates_of(square: Pixels) -> tuple[float, float]:
    """Noise, and the logarithm of the sharpness, of a square [S S 3] as the detector sees it."""
    shrunk = square
    if square.shape[0] > SIDE:
        shrunk = np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    if shrunk.shape[0] < _SMALLEST_MEASURED:
        return NOTHING
    return noise_of(residual_statistics(square, shrunk)), math.log1p(sharpness(shrunk))


def _brought_to(own: int, rng: Rng) -> int:
    """The side that a square is brought to: every factor up to `_LARGEST_FACTOR` is as likely as any other."""
    if rng.random() < _ENLARGED:
        return int(own * rng.uniform(1.0, _MOST_ENLARGED))
    factor = 1.0 if rng.random() < _AS_IT_IS else log_uniform(rng, 1.0, _LARGEST_FACTOR)
    return min(own, max(_SMALLEST, round(own / factor)))
