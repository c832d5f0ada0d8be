"""Draws: by group, the same whatever the chunks, and intervals that hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.report import bootstrap, metrics


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=12))
def test_a_group_is_drawn_as_one(groups):
    units = bootstrap.drawn_by(groups)
    drawn = bootstrap.weights(units, "x", seed=0, draws=20)
    for name in set(groups) - {""}:
        members = drawn[:, [place for place, group in enumerate(groups) if group == name]]
        alone = set(groups) == {name}
        assert alone or (members == members[:, :1]).all()
    assert drawn.shape == (20, len(groups))
    if len(set(units)) == len(groups):
        assert (drawn.sum(axis=1) == len(groups)).all()


def test_one_group_alone_is_drawn_picture_by_picture():
    assert list(bootstrap.drawn_by(["a", "a", "a"])) == [0, 1, 2]


def test_draws_do_not_depend_on_chunks_or_company():
    units = np.arange(7)
    whole = bootstrap.weights(units, "x", seed=3, draws=170)
    parts = [
        bootstrap.weights(units, "x", seed=3, draws=n, first=first)
        for first, n in ((0, 50), (50, 100), (150, 20))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert (bootstrap.weights(units, "y", seed=3, draws=170) != whole).any()
    assert (bootstrap.weights(units, "x", seed=4, draws=170) != whole).any()


def test_chunks_bound_what_is_drawn_at_once():
    asked = []

    def figure(first, draws):
        asked.append((first, draws))
        return np.arange(first, first + draws, dtype=float)

    found = bootstrap.in_chunks(figure, draws=120, pictures=100_000)
    np.testing.assert_array_equal(found, np.arange(120))
    assert asked == [(0, 50), (50, 50), (100, 20)]


def test_intervals_hold_about_as_often_as_they_say():
    """Normal scores one standard deviation apart: the true AUC is Phi(1 / sqrt 2)."""
    truth, hits = 0.7602, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        photos, generated = rng.normal(size=60), rng.normal(1, size=60)
        units = np.arange(60)
        drawn = [bootstrap.weights(units, name, seed=seed, draws=200) for name in ("photo", "generated")]
        low, high = bootstrap.interval(metrics.rank(photos, generated, *drawn).auc())
        hits += low <= truth <= high
    assert 0.88 <= hits / 120 <= 0.995


def test_pictures_of_a_group_are_worth_less():
    """Ten photographs of each group that are all alike: the interval is as wide as that of the groups."""
    rng = np.random.default_rng(0)
    flags = np.repeat(rng.random(20) < 0.3, 10)
    groups = np.repeat(np.arange(20), 10)
    widths = []
    for units in (groups, np.arange(200)):
        low, high = bootstrap.interval(
            metrics.share(flags, bootstrap.weights(units, "x", seed=0, draws=1000))
        )
        widths.append(high - low)
    assert 2.4 < widths[0] / widths[1] < 4.2  # the square root of ten
    assert np.isnan(bootstrap.interval(np.array([np.nan]))).all()
