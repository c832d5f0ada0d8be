"""Random histories: draws know nothing of the class; sides, shares and formats are those that are said."""

from dataclasses import replace

import numpy as np
import pytest

from cameraborn.degrade.history import (
    SHRINKING,
    SIDE,
    WEBP,
    Histories,
    compressed,
    drawn_side,
    random_history,
    resized,
    stored,
    turned,
)
from cameraborn.degrade.named import recompressed

from .test_edits import picture

LIGHT = Histories(light=1.0)


def processed(square, seed, histories=Histories()):  # noqa: B008 (frozen)
    return random_history(square, np.random.default_rng(seed), histories)


@pytest.mark.parametrize("histories", [Histories(), Histories(0.5, 0.5, 0.6), LIGHT])
def test_both_of_a_pair_get_the_same_draw(histories):
    """What happens to a picture depends on the seed alone: the same operations with the same numbers."""
    one, other = picture(200, seed=0), picture(200, seed=1)
    for seed in range(12):
        rngs = [np.random.default_rng(seed) for _ in "ab"]
        sides = [random_history(x, rng, histories).shape for x, rng in zip((one, other), rngs, strict=True)]
        assert sides[0] == sides[1]
        # Both have drawn as many numbers, so that whatever is drawn next is the same too.
        assert rngs[0].random() == rngs[1].random()


def test_a_history_is_the_same_each_time_and_another_for_another_seed():
    x = picture(180)
    assert np.array_equal(processed(x, 4), processed(x, 4))
    shapes = {processed(x, seed).shape for seed in range(12)}
    assert len(shapes) > 6


def test_light_histories_have_no_edits():
    """Tone, colour and noise change a picture of one colour, which resizing and compression leave as it is."""
    flat = np.full((150, 150, 3), (150, 120, 100), np.uint8)
    light, heavy = (
        [np.abs(processed(flat, seed, histories) - np.array([150.0, 120, 100])).mean() for seed in range(30)]
        for histories in (LIGHT, Histories())
    )
    assert max(light) < 3
    assert np.mean(np.array(heavy) > 3) > 0.3


@pytest.mark.parametrize(("histories", "largest"), [(Histories(), 420), (Histories(native=0.5), 480)])
def test_sides_are_log_uniform_and_seldom_enlarged(histories, largest):
    rng, draws = np.random.default_rng(0), 4000
    free = np.array([drawn_side(10_000, rng, histories) for _ in range(draws)])
    assert free.min() >= 112
    assert free.max() < largest
    middle = (112 * largest) ** 0.5
    assert (free < middle).mean() == pytest.approx(0.5, abs=0.03)
    small = np.array([drawn_side(100, rng, histories) for _ in range(draws)])
    assert (small == 100).mean() >= 0.79  # a few of those that grow grow by less than a pixel
    assert (small > 100).mean() == pytest.approx(0.2, abs=0.03)
    assert small.max() < 180


def test_what_is_larger_than_the_detector_sees_is_shrunk_but_for_its_share():
    x = picture(470)
    sides = [processed(x, seed, Histories(light=1.0)).shape[0] for seed in range(60)]
    assert max(sides) == SIDE
    large = [processed(x, seed, Histories(light=1.0, native=1.0)).shape[0] for seed in range(60)]
    assert max(large) > SIDE


def test_kernels_are_drawn_as_the_table_says():
    x = picture(16)
    made = {}
    for share, shrink in SHRINKING:
        for seed in range(20):
            made[shrink(x, 9, np.random.default_rng(seed)).tobytes()] = share
    assert len(made) == 5
    rng = np.random.default_rng(0)
    drawn = [made[resized(x, 9, rng).tobytes()] for _ in range(3000)]
    for share, _ in SHRINKING:
        assert drawn.count(share) / 3000 == pytest.approx(share, abs=0.03)
    assert sum(share for share, _ in SHRINKING) == pytest.approx(1)


@pytest.mark.parametrize("side", [40, 64, 90])
def test_a_square_is_brought_to_a_side(side):
    for seed in range(12):
        assert resized(picture(64), side, np.random.default_rng(seed)).shape == (side, side, 3)


def test_turning_keeps_squares_and_enlarges():
    for seed in range(8):
        y = turned(picture(160), np.random.default_rng(seed))
        assert y.shape[0] == y.shape[1]
        assert 160 <= y.shape[0] <= 224


def test_formats_and_qualities_are_those_that_the_shares_say():
    x = picture(16)
    made = {
        recompressed(x, format, quality, chroma).tobytes(): (format, quality)
        for format in ("JPEG", "WEBP")
        for chroma in ("4:2:0", "4:4:4")
        for quality in range(45, 100)
    }
    rng = np.random.default_rng(0)
    drawn = [made[compressed(x, rng).tobytes()] for _ in range(1500)]
    formats = [format for format, _ in drawn]
    assert formats.count("WEBP") / len(formats) == pytest.approx(WEBP, abs=0.04)
    assert {quality for _, quality in drawn} >= {45, 72, 99}


def test_a_file_holds_less_the_lower_its_quality():
    x = picture()
    for format in ("JPEG", "WEBP"):
        far = [np.abs(recompressed(x, format, quality).astype(int) - x).mean() for quality in (30, 95)]
        assert far[0] > far[1] > 0
    assert np.array_equal(
        stored(x, np.random.default_rng(5), "JPEG"), stored(x, np.random.default_rng(5), "JPEG")
    )
    halved, full = (recompressed(x, "JPEG", 95, chroma) for chroma in ("4:2:0", "4:4:4"))
    assert np.abs(halved.astype(int) - x).mean() > np.abs(full.astype(int) - x).mean()


def test_tone_and_noise_change_light_histories_too_and_draw_nothing_when_they_are_not_asked_for():
    x = picture(150)
    plain = [processed(x, seed, LIGHT) for seed in range(8)]
    for share in ("toned", "denoised"):
        changed = [processed(x, seed, replace(LIGHT, **{share: 1.0})) for seed in range(8)]
        assert not any(np.array_equal(*both) for both in zip(plain, changed, strict=True))
        unchanged = [processed(x, seed, replace(LIGHT, **{share: 0.0})) for seed in range(8)]
        assert all(np.array_equal(*both) for both in zip(plain, unchanged, strict=True))
