"""P-values against the literal formula, and what they promise: at most a in a of the photographs are flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.detect.conformal import check_rate, p_values
from cameraborn.errors import CalibrationError

SCORES = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9))


@given(scores=st.lists(SCORES, min_size=1, max_size=8), calibration=st.lists(SCORES, min_size=1, max_size=20))
def test_p_values_are_the_formula(scores, calibration):
    literal = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    np.testing.assert_array_equal(p_values(np.array(scores), np.array(calibration)), literal)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("draw", ["normal", "ties"])
def test_at_most_the_rate_is_flagged(rate, draw):
    rng = np.random.default_rng(0)
    trials, n = 20_000, 39
    drawn = rng.normal(size=(trials, n + 1)) if draw == "normal" else rng.integers(0, 6, (trials, n + 1))
    ps = np.array([p_values(row[:1].astype(float), row[1:].astype(float))[0] for row in drawn])
    share, deviation = (ps <= rate).mean(), np.sqrt(rate * (1 - rate) / trials)
    assert share <= rate + 4 * deviation
    if draw == "normal":  # (n + 1) times each rate is whole: without ties nothing is given away
        assert share >= rate - 4 * deviation


def test_no_calibration():
    with pytest.raises(CalibrationError, match="cameraborn calibrate"):
        p_values(np.array([1.0]), np.array([]))


@pytest.mark.parametrize("n", [1, 9, 19, 29, 48, 99, 999, 4321])
def test_the_smallest_rate_is_one_over_n_plus_one(n):
    least = 1 / (n + 1)
    check_rate(least, n)
    assert p_values(np.array([np.inf]), np.zeros(n))[0] == least
    with pytest.raises(CalibrationError, match=rf"this bundle has {n}\b"):
        check_rate(np.nextafter(least, 0), n)
    if n > 1:
        with pytest.raises(CalibrationError, match=rf"needs at least {n} calibration photographs"):
            check_rate(least, n - 1)


@given(st.floats(1e-6, 0.99))
def test_the_message_names_the_least_number_that_will_do(rate):
    with pytest.raises(CalibrationError) as caught:
        check_rate(rate, 0)
    needed = int(str(caught.value).partition("at least ")[2].split()[0])
    check_rate(rate * (1 + 1e-9), needed)
    if needed > 1:
        with pytest.raises(CalibrationError):
            check_rate(rate * (1 - 1e-9), needed - 1)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan"), float("inf")])
def test_rates_are_between_0_and_1(rate):
    with pytest.raises(CalibrationError, match="not between 0 and 1"):
        check_rate(rate, 1000)
