"""Split-conformal p-values: how surprising is a picture among photographs that nothing was fitted to?

For held-out photographs with scores c_1..c_n (higher = less like a photograph) the p-value of a score s is
(1 + #{c_i >= s}) / (n + 1). If the picture is a photograph exchangeable with those, P(p <= a) <= a for every a
(Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2). Photographs are compared within
a category of their condition (`condition`). Which evidence a score comes from is not known here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cameraborn.detect.condition import Condition, Taxonomy
from cameraborn.errors import CalibrationError
from cameraborn.files import Array

Tail = Literal["upper", "both"]  # is only a low likelihood suspicious, or one too high as well?


@dataclass(frozen=True, eq=False)
class Calibration:
    """Held-out scores, apart for each category of condition.

    Attributes:
        taxonomy: divides conditions into categories.
        scores: sorted scores of each category's photographs: [n_category].
        tail: which likelihoods are suspicious.
    """

    taxonomy: Taxonomy
    scores: tuple[Array, ...]
    tail: Tail = "upper"

    @property
    def smallest(self) -> int:
        """Photographs in the smallest category, which decide the smallest false-alarm rate that can be asked for."""
        return min(len(scores) for scores in self.scores)

    def p_value(self, score: float, condition: Condition) -> float:
        """How surprising a score is among the photographs of its category."""
        among = self.scores[self.taxonomy.category_of(condition)]
        return float(p_values(np.array([score]), among, self.tail)[0])

    def check_rate(self, rate: float) -> None:
        """See that every category can support a false-alarm rate.

        Raises:
            CalibrationError: it is not in (0, 1), or below the smallest p-value of a category.
        """
        check_rate(rate, self.smallest, self.tail)


def p_values(scores: NDArray[np.floating], calibration: NDArray[np.floating], tail: Tail = "upper") -> Array:
    """The p-value of each score [N] among held-out photographs' scores [n].

    With both tails it is twice the smaller of the two one-sided ones, at most 1 (valid by the union bound).

    Raises:
        CalibrationError: there are no calibration scores.
    """
    n = len(calibration)
    if n == 0:
        raise CalibrationError("no calibration photographs: run 'cameraborn calibrate' first")
    ordered, wanted = np.sort(np.asarray(calibration, np.float64)), np.asarray(scores, np.float64)
    upper: Array = (1 + n - np.searchsorted(ordered, wanted, side="left")) / (n + 1)
    if tail == "upper":
        return upper
    lower = (1 + np.searchsorted(ordered, wanted, side="right")) / (n + 1)
    both: Array = np.minimum(1.0, 2 * np.minimum(upper, lower))
    return both


_COUNTABLE = 10**12  # photographs: more are told as a power of ten


def check_rate(rate: float, n: int, tail: Tail = "upper") -> None:
    """See that n calibration photographs can support a false-alarm rate.

    Raises:
        CalibrationError: the rate is not in (0, 1), or is under the smallest p-value there is: 1 / (n + 1), and twice
            that with both tails.
    """
    if not 0 < rate < 1:
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} is not between 0 and 1: 0.05 flags 5 photographs in 100"
        )
    if rate < smallest_rate(n, tail):
        # What is asked for may be too small to divide by.
        needed = math.ceil(min((1 if tail == "upper" else 2) / rate, sys.float_info.max) - 1e-9) - 1
        count = f"{needed}" if needed < _COUNTABLE else f"{needed:.0e}"
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} needs at least {count} calibration photographs and this bundle has {n} "
            f"(in its smallest category): calibrate with more, or ask for {smallest_rate(n, tail):.2g} or above"
        )


def smallest_rate(n: int, tail: Tail = "upper") -> float:
    """The smallest p-value, and so the smallest false-alarm rate, that n photographs can give."""
    return (1 if tail == "upper" else 2) / (n + 1)


def benjamini_hochberg(p: Sequence[float] | Array, rate: float) -> NDArray[np.bool_]:
    """Which of the p-values [N] to flag so that at most `rate` of the flagged are photographs, on average.

    Benjamini and Hochberg (1995); conformal p-values share their calibration, under which it stays valid (Bates et al.,
    "Testing for outliers with conformal p-values", Annals of Statistics 2023).

    Raises:
        CalibrationError: the rate is not in (0, 1).
    """
    check_discovery_rate(rate)
    values = np.asarray(p, np.float64)
    ordered = np.sort(values)
    under = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / max(1, len(ordered)) + 1e-12)
    if not len(under):
        return np.zeros(len(values), bool)
    flagged: NDArray[np.bool_] = values <= ordered[under[-1]]
    return flagged


def check_discovery_rate(rate: float) -> None:
    """See that a false-discovery rate is one.

    Raises:
        CalibrationError: it is not in (0, 1).
    """
    if not 0 < rate < 1:
        raise CalibrationError(
            f"a false-discovery rate of {rate:g} is not between 0 and 1: 0.1 lets 1 of 10 flagged be a photograph"
        )
