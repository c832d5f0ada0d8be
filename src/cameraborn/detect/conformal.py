"""Split-conformal p-values: how surprising is a picture among photographs that nothing was fitted to?

For held-out photographs with scores c_1..c_n (higher = less like a photograph) the p-value of a score s is
(1 + #{c_i >= s}) / (n + 1). If the picture is a photograph exchangeable with those, P(p <= a) <= a for every a
(Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import CalibrationError

Array = NDArray[np.float64]


def p_values(scores: NDArray[np.floating], calibration: NDArray[np.floating]) -> Array:
    """The p-value of each score [N] among held-out photographs' scores [n].

    Raises:
        CalibrationError: there are no calibration scores.
    """
    n = len(calibration)
    if n == 0:
        raise CalibrationError("no calibration photographs: run 'cameraborn calibrate' first")
    ordered = np.sort(np.asarray(calibration, np.float64))
    at_least = n - np.searchsorted(ordered, np.asarray(scores, np.float64), side="left")
    result: Array = (1 + at_least) / (n + 1)
    return result


def check_rate(rate: float, n: int) -> None:
    """See that n calibration photographs can support a false-alarm rate.

    Raises:
        CalibrationError: the rate is not in (0, 1), or is under 1 / (n + 1), the smallest p-value there is.
    """
    if not 0 < rate < 1:
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} is not between 0 and 1: 0.05 flags 5 photographs in 100"
        )
    if rate < 1 / (n + 1):
        needed = math.ceil(1 / rate - 1e-9) - 1
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} needs at least {needed} calibration photographs and this bundle has {n}: "
            f"calibrate with more, or ask for {1 / (n + 1):.2g} or above"
        )
