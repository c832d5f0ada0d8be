"""Numbers that options take: any finite one, and none at all; the two that are none are named."""

import math
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer import BadParameter

from cameraborn.cli.numbers import finite


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_finite_number_is_given_back(number):
    assert finite(number) == number


@pytest.mark.parametrize("number", [-0.0, 5e-324, sys.float_info.max, -sys.float_info.max, None])
def test_the_last_numbers_that_there_are_and_no_number(number):
    assert finite(number) is number


@pytest.mark.parametrize(("number", "spelt"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_is_no_number_to_work_with_is_named(number, spelt):
    with pytest.raises(BadParameter) as caught:
        finite(number)
    assert caught.value.message == f"{spelt} is no number to work with: give a finite one."


@pytest.mark.parametrize("text", ["1e400", "-1e400", "Infinity", "NaN"])
def test_numbers_that_are_too_large_to_be_read_are_refused_too(text):
    with pytest.raises(BadParameter):
        finite(float(text))
