"""Deliveries at random: draws know nothing of the class; sides, shares and patches are those that are said."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cameraborn.binary.delivery import (
    SHRINKING,
    SIDE,
    TILE,
    Lottery,
    deliver,
    drawn_side,
    face_square,
    hybrid,
    patch,
    resized,
    shuffled,
    turned,
    without_detail,
)

from .test_edits import picture

LIGHT = Lottery(light=1.0)


def delivered(square, seed, lottery=Lottery()):  # noqa: B008 (frozen)
    return deliver(square, np.random.default_rng(seed), lottery)


@pytest.mark.parametrize("lottery", [Lottery(), Lottery(0.5, 0.5, 0.6), LIGHT])
def test_both_of_a_pair_get_the_same_draw(lottery):
    """What happens to a picture depends on the seed alone: the same operations with the same numbers."""
    one, other = picture(200, seed=0), picture(200, seed=1)
    for seed in range(12):
        rngs = [np.random.default_rng(seed) for _ in "ab"]
        sides = [deliver(x, rng, lottery).shape for x, rng in zip((one, other), rngs, strict=True)]
        assert sides[0] == sides[1]
        # Both have drawn as many numbers, so that whatever is drawn next is the same too.
        assert rngs[0].random() == rngs[1].random()


def test_a_delivery_is_the_same_each_time_and_another_for_another_seed():
    x = picture(180)
    assert np.array_equal(delivered(x, 4), delivered(x, 4))
    shapes = {delivered(x, seed).shape for seed in range(12)}
    assert len(shapes) > 6


def test_light_deliveries_have_no_edits():
    """Tone, colour and noise change a picture of one colour, which resizing and compression leave as it is."""
    flat = np.full((150, 150, 3), (150, 120, 100), np.uint8)
    light, heavy = (
        [np.abs(delivered(flat, seed, lottery) - np.array([150.0, 120, 100])).mean() for seed in range(30)]
        for lottery in (LIGHT, Lottery())
    )
    assert max(light) < 3
    assert np.mean(np.array(heavy) > 3) > 0.3


@pytest.mark.parametrize(("lottery", "largest"), [(Lottery(), 420), (Lottery(native=0.5), 480)])
def test_sides_are_log_uniform_and_seldom_enlarged(lottery, largest):
    rng, draws = np.random.default_rng(0), 4000
    free = np.array([drawn_side(10_000, rng, lottery) for _ in range(draws)])
    assert free.min() >= 112
    assert free.max() < largest
    middle = (112 * largest) ** 0.5
    assert (free < middle).mean() == pytest.approx(0.5, abs=0.03)
    small = np.array([drawn_side(100, rng, lottery) for _ in range(draws)])
    assert (small == 100).mean() >= 0.79  # a few of those that grow grow by less than a pixel
    assert (small > 100).mean() == pytest.approx(0.2, abs=0.03)
    assert small.max() < 180


def test_what_is_larger_than_the_detector_sees_is_shrunk_but_for_its_share():
    x = picture(470)
    sides = [delivered(x, seed, Lottery(light=1.0)).shape[0] for seed in range(60)]
    assert max(sides) == SIDE
    large = [delivered(x, seed, Lottery(light=1.0, native=1.0)).shape[0] for seed in range(60)]
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


def test_a_face_is_in_its_square():
    pixels = picture(300)
    box = (100.0, 120.0, 180.0, 220.0)
    sides = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        marked = pixels.copy()
        marked[170, 140] = (255, 0, 255)  # its middle
        square = face_square(marked, box, rng)
        assert (square == (255, 0, 255)).all(axis=2).any()
        assert square.shape[0] == square.shape[1]
        sides.append(square.shape[0])
    assert min(sides) >= 115
    assert max(sides) <= 150
    assert max(sides) - min(sides) > 25
    corner = face_square(pixels, (-20.0, -20.0, 300.0, 320.0), np.random.default_rng(0))
    assert corner.shape == (300, 300, 3)  # never more than there is


def test_without_a_face_a_square_is_anywhere():
    assert {face_square(picture(100), None, np.random.default_rng(seed)).shape for seed in range(5)} == {
        (100, 100, 3)
    }
    sides = [face_square(picture(400), None, np.random.default_rng(seed)).shape[0] for seed in range(100)]
    assert 144 <= min(sides) < 180 < 320 < max(sides) <= 352


def test_turning_keeps_squares_and_enlarges():
    for seed in range(8):
        y = turned(picture(160), np.random.default_rng(seed))
        assert y.shape[0] == y.shape[1]
        assert 160 <= y.shape[0] <= 224


def test_patches_have_their_side_whatever_the_picture_has():
    for own in (50, 64, 200):
        y = patch(picture(own), 64, np.random.default_rng(0))
        assert y.shape == (64, 64, 3)
    x = picture(64)
    seen = [patch(x, 64, np.random.default_rng(seed)) for seed in range(200)]
    mirrored = np.mean([np.array_equal(y, x[:, ::-1]) for y in seen])
    assert mirrored == pytest.approx(0.5, abs=0.12)
    assert all(np.array_equal(y, x) or np.array_equal(y, x[:, ::-1]) for y in seen)


def test_shuffling_moves_whole_tiles():
    x = np.arange(96 * 96 * 3).reshape(96, 96, 3).astype(np.uint8)
    x[:TILE, :TILE] = 7
    y = shuffled(x, np.random.default_rng(1))

    def tiles(z):
        return sorted(
            z[i : i + TILE, j : j + TILE].tobytes() for i in range(0, 96, TILE) for j in range(0, 96, TILE)
        )

    assert tiles(x) == tiles(y)
    assert not np.array_equal(x, y)
    drawn = [patch(x, 96, np.random.default_rng(seed), shuffle=0.3) for seed in range(300)]
    plain = [np.array_equal(z, x) or np.array_equal(z, x[:, ::-1]) for z in drawn]
    assert np.mean(plain) == pytest.approx(0.7, abs=0.1)


def test_a_hybrid_has_the_detail_of_one_and_the_content_of_another():
    fine, coarse = picture(128, seed=0), picture(128, seed=1)
    both = hybrid(fine, coarse, np.random.default_rng(0)).astype(float)
    sigma = np.random.default_rng(0).uniform(1.5, 4.0)

    def blurred(x):
        return gaussian_filter(x.astype(float), (sigma, sigma, 0), truncate=4, mode="mirror")

    literal = np.clip(fine - blurred(fine) + blurred(coarse), 0, 255)
    assert np.abs(both - literal)[16:-16, 16:-16].mean() < 0.5
    assert np.abs(hybrid(fine, fine, np.random.default_rng(0)).astype(int) - fine).max() <= 1
    flat = np.full_like(fine, 90)
    assert (hybrid(flat, flat, np.random.default_rng(0)) == 90).all()


def test_without_detail_only_what_is_coarse_stays():
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 196, (120, 120, 3)).astype(np.uint8)
    ramp = np.broadcast_to(np.linspace(40, 200, 120)[:, None, None], (120, 120, 3)).astype(np.uint8)
    for seed in range(8):
        gone, kept = (without_detail(x, np.random.default_rng(seed)) for x in (noise, ramp))
        assert gone.shape == noise.shape
        assert gone.std() < 0.6 * noise.std()
        assert np.abs(kept.astype(float) - ramp)[8:-8, 8:-8].mean() < 4
