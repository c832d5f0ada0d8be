"""Squares of faces, patches and hybrids: sides and shares are those that are said."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cameraborn.binary.patches import TILE, face_square, hybrid, patch, shuffled, without_detail

from ..degrade.test_edits import picture


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


def test_patches_are_turned_by_quarters():
    x = np.zeros((64, 64, 3), np.uint8)
    x[:8] = 255  # the top
    tops = set()
    for seed in range(40):
        y = patch(x, 64, np.random.default_rng(seed), turned=1.0)
        edges = {"top": y[0], "bottom": y[-1], "left": y[:, 0], "right": y[:, -1]}
        tops.add(max(edges, key=lambda name: edges[name].mean()))
        assert y.sum() == x.sum()
    assert tops == {"top", "bottom", "left", "right"}
    assert np.array_equal(patch(x, 64, np.random.default_rng(1)), x)
