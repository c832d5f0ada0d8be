"""P-values against the literal formula, and what they promise: at most a in a of the photographs are flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.detect.conformal import (
    Calibration,
    benjamini_hochberg,
    cell_of,
    check_rate,
    describe_class,
    grid,
    merge_cells,
    p_values,
)
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


@given(scores=st.lists(SCORES, min_size=1, max_size=8), calibration=st.lists(SCORES, min_size=1, max_size=20))
def test_two_sided_p_values_are_twice_the_smaller(scores, calibration):
    n = len(calibration)
    literal = [
        min(
            1,
            2 * (1 + sum(c >= s for c in calibration)) / (n + 1),
            2 * (1 + sum(c <= s for c in calibration)) / (n + 1),
        )
        for s in scores
    ]
    np.testing.assert_array_equal(p_values(np.array(scores), np.array(calibration), "both"), literal)


def test_two_sided_rates_need_twice_as_many():
    check_rate(0.05, 39, "both")
    with pytest.raises(CalibrationError, match="needs at least 39"):
        check_rate(0.05, 38, "both")


@given(p=st.lists(st.floats(0.001, 1), max_size=12), rate=st.floats(0.01, 0.9))
def test_benjamini_hochberg_is_the_step_up_procedure(p, rate):
    m, ordered = len(p), sorted(p)
    last = max((k for k in range(1, m + 1) if ordered[k - 1] <= rate * k / m + 1e-12), default=0)
    assert benjamini_hochberg(p, rate).tolist() == [bool(last) and value <= ordered[last - 1] for value in p]


@pytest.mark.parametrize("generated", [0, 20, 80])
def test_false_discoveries_stay_under_their_rate(generated):
    """Simulated sets of photographs and generated pictures, all compared with one shared calibration each."""
    rng, rate, shares, found = np.random.default_rng(generated), 0.2, [], []
    for _ in range(400):
        calibration = rng.normal(size=200)
        scores = np.concatenate([rng.normal(size=100), rng.normal(3, 1, size=generated)])
        flagged = benjamini_hochberg(p_values(scores, calibration), rate)
        shares.append(flagged[:100].sum() / max(1, flagged.sum()))
        found.append(flagged[100:].mean() if generated else 1.0)
    assert np.mean(shares) <= rate + 3 * np.std(shares) / 20
    assert np.mean(found) > 0.3


def test_cells_part_sizes_and_qualities():
    assert cell_of(129.9, 74, (130, 200)) == (0, 0)
    assert cell_of(130, 75, (130, 200)) == (1, 1)
    assert cell_of(200, 90, (130, 200)) == (2, 2)
    assert cell_of(5000, None, (130, 200)) == (2, 3)
    assert cell_of(5, None, ()) == (0, 3)


EDGES = (130, 200)
PHOTOGRAPHS = st.dictionaries(st.sampled_from(grid(EDGES)), st.sets(st.integers(0, 30).map(str), max_size=30))


@given(photographs=PHOTOGRAPHS, least=st.integers(1, 25))
def test_merged_classes_share_out_all_cells_and_are_large_enough(photographs, least):
    classes = merge_cells(photographs, least, EDGES)
    assert sorted(cell for cells in classes for cell in cells) == grid(EDGES)
    counts = [len(set().union(*(photographs.get(cell, set()) for cell in cells))) for cells in classes]
    assert len(classes) == 1 or min(counts) >= least
    enough = {cell for cell, members in photographs.items() if len(members) >= least}
    if enough == set(grid(EDGES)):
        assert len(classes) == len(enough)  # nothing is merged without need


def test_qualities_are_merged_before_sizes():
    many, few = {str(n) for n in range(50)}, {"1"}
    photographs = dict.fromkeys(grid(EDGES), many) | {(0, 0): few, (0, 1): few}
    classes = merge_cells(photographs, 20, EDGES)
    assert ((0, 0), (0, 1), (0, 2)) in classes
    assert len(classes) == 10
    assert describe_class(classes[0], EDGES) == "under 130 px: JPEG 1-74, JPEG 75-89, JPEG 90-100"


def test_a_rate_holds_within_each_class_though_delivery_moves_the_score():
    rng = np.random.default_rng(5)
    classes = (((0, 0), (0, 1)), ((0, 2), (0, 3)))
    flagged = np.zeros((2, 2))
    for _ in range(2000):
        apart = tuple(np.sort(rng.normal(3 * k, 1, 39)) for k in (0, 1))
        calibration = Calibration((), classes, apart)
        for k, quality in enumerate((60, None)):
            flagged[k] += [calibration.p_value(rng.normal(3 * k, 1), 100, quality) <= 0.1, 1]
    shares = flagged[:, 0] / flagged[:, 1]
    assert np.all(np.abs(shares - 0.1) < 4 * np.sqrt(0.09 / 2000)), shares


def test_the_smallest_class_decides_the_rates():
    calibration = Calibration((), (((0, 0), (0, 1)), ((0, 2), (0, 3))), (np.zeros(99), np.zeros(19)))
    calibration.check_rate(0.05)
    with pytest.raises(CalibrationError, match="this bundle has 19"):
        calibration.check_rate(0.04)
