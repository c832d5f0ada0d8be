"""P-values against the literal formula, and what they promise: at most a in a of the photographs are flagged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.detect.condition import Condition, Taxonomy
from cameraborn.detect.conformal import (
    Calibration,
    benjamini_hochberg,
    check_discovery_rate,
    check_rate,
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


def face(size=100, quality=None, noise=0.0, operation=0):
    return Condition(size, quality, noise, operation)


def test_a_rate_holds_within_each_category_though_condition_moves_the_score():
    rng = np.random.default_rng(5)
    categories = (((0, 0, 0, 0), (0, 1, 0, 0)), ((0, 2, 0, 0), (0, 3, 0, 0)))
    flagged = np.zeros((2, 2))
    for _ in range(2000):
        apart = tuple(np.sort(rng.normal(3 * k, 1, 39)) for k in (0, 1))
        calibration = Calibration(Taxonomy(categories=categories), apart)
        for k, quality in enumerate((60, None)):
            flagged[k] += [calibration.p_value(rng.normal(3 * k, 1), face(quality=quality)) <= 0.1, 1]
    shares = flagged[:, 0] / flagged[:, 1]
    assert np.all(np.abs(shares - 0.1) < 4 * np.sqrt(0.09 / 2000)), shares


@pytest.mark.parametrize("distinguished", [True, False])
def test_a_rate_holds_for_every_operation_only_if_it_is_distinguished(distinguished):
    """Noise shifts the score and what is seen of it alike; unseen, noisy photographs are flagged too often."""
    rng, n, rate = np.random.default_rng(6), 400, 0.1
    flags = {"untouched": [], "noisy": []}
    shifts = {"untouched": -2.0, "noisy": 2.0}
    for _ in range(30):
        drawn = [(rng.choice(["untouched", "noisy"], p=[0.8, 0.2]), rng.normal(size=2)) for _ in range(n)]
        held_out = [
            (score + shifts[kind], face(noise=shifts[kind] + 0.5 * jitter)) for kind, (score, jitter) in drawn
        ]
        taxonomy = Taxonomy((), (-1.0, 1.0)) if distinguished else Taxonomy()
        reached: dict = {}
        for number, (_, condition) in enumerate(held_out):
            reached.setdefault(taxonomy.cell_of(condition), set()).add(str(number))
        taxonomy = taxonomy.merged(reached, 40)
        scores = [
            np.sort([score for score, condition in held_out if taxonomy.cell_of(condition) in cells])
            for cells in taxonomy.categories
        ]
        calibration = Calibration(taxonomy, tuple(scores))
        for kind, of_kind in flags.items():
            for score, jitter in rng.normal(size=(40, 2)):
                condition = face(noise=shifts[kind] + 0.5 * jitter)
                of_kind.append(calibration.p_value(score + shifts[kind], condition) <= rate)
    shares = {kind: np.mean(of_kind) for kind, of_kind in flags.items()}
    if distinguished:
        assert all(0.07 < share < 0.13 for share in shares.values()), shares
    else:
        assert shares["noisy"] > 0.3, shares
        assert shares["untouched"] < 0.05, shares


def test_the_smallest_category_decides_the_rates():
    categories = (((0, 0, 0, 0), (0, 1, 0, 0)), ((0, 2, 0, 0), (0, 3, 0, 0)))
    calibration = Calibration(Taxonomy(categories=categories), (np.zeros(99), np.zeros(19)))
    calibration.check_rate(0.05)
    with pytest.raises(CalibrationError, match="this bundle has 19"):
        calibration.check_rate(0.04)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 7, float("nan")])
def test_discovery_rates_are_between_0_and_1(rate):
    check_discovery_rate(0.1)
    with pytest.raises(CalibrationError, match=r"false-discovery rate of .* is not between 0 and 1"):
        check_discovery_rate(rate)


@pytest.mark.parametrize("tail", ["upper", "both"])
def test_the_smallest_rate_of_all_is_refused_in_a_short_line(tail):
    with pytest.raises(CalibrationError, match=r"at least [12]e\+308 calibration photographs") as refused:
        check_rate(5e-324, 100, tail)
    assert len(str(refused.value)) < 250
