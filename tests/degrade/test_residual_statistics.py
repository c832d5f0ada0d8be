"""Residual statistics: a literal version, known answers, and the order in which operations put one photograph."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.degrade.named import degrade
from cameraborn.degrade.residual_statistics import N_STATISTICS, noise_of, residual_statistics
from cameraborn.photo.patches import shrink_to

from ..conftest import EXAMPLES

FINEST, FINEST_NATIVE = 0, 13  # places of the finest diagonal detail: of what is seen, and of the middle


@pytest.fixture(scope="module")
def portrait():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return np.asarray(image.convert("RGB"))


def literal_diagonal(plane):
    H, W = plane.shape
    return np.array(
        [
            [
                abs(plane[y, x] - plane[y, x + 1] - plane[y + 1, x] + plane[y + 1, x + 1]) / 2
                for x in range(W - 1)
            ]
            for y in range(H - 1)
        ]
    )


def literal_octaves(plane, octaves, percentiles):
    """Pixel by pixel and block by block."""
    levels, finest = [], literal_diagonal(plane)
    for _ in range(octaves):
        H, W = plane.shape
        down = [abs(plane[y, x] - plane[y + 1, x]) for y in range(H - 1) for x in range(W)]
        along = [abs(plane[y, x] - plane[y, x + 1]) for y in range(H) for x in range(W - 1)]
        levels += [literal_diagonal(plane).mean(), (np.mean(down) + np.mean(along)) / 2]
        plane = np.array(
            [
                [plane[y : y + 2, x : x + 2].mean() for x in range(0, W // 2 * 2, 2)]
                for y in range(0, H // 2 * 2, 2)
            ]
        )
    H, W = finest.shape
    blocks = [finest[y : y + 8, x : x + 8].mean() for y in range(0, H - 7, 8) for x in range(0, W - 7, 8)]
    return levels + list(np.percentile(blocks, percentiles))


@pytest.mark.parametrize(("crop", "seen"), [((40, 40), (40, 40)), ((67, 50), (33, 34)), ((16, 16), (16, 16))])
def test_it_is_what_it_says(crop, seen):
    rng = np.random.default_rng(1)
    delivered, looked_at = (rng.integers(0, 256, (*shape, 3), np.uint8) for shape in (crop, seen))
    red, green, blue = np.moveaxis(delivered.astype(float), 2, 0)
    expected = [
        *literal_octaves(looked_at[..., 1].astype(float), 4, (10, 25, 50, 75, 90)),
        *literal_octaves(green, 3, (10, 50, 90)),
        literal_diagonal(red - green).mean(),
        literal_diagonal(blue - green).mean(),
    ]
    got = residual_statistics(delivered, looked_at)
    assert got.shape == (N_STATISTICS,)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.log(np.array(expected) + 0.05), atol=2e-3)
    assert noise_of(got) == pytest.approx(np.log(expected[8] + 0.05), abs=2e-3)


def test_known_answers():
    flat = np.full((64, 64, 3), 90, np.uint8)
    np.testing.assert_allclose(residual_statistics(flat, flat), np.log(0.05), atol=1e-6)
    assert noise_of(residual_statistics(flat, flat)) == round(np.log(0.05), 4)
    # Diagonal detail of white noise is normal with the noise's own deviation.
    noisy = np.rint(np.random.default_rng(0).normal(128, 9, (512, 512, 3))).clip(0, 255).astype(np.uint8)
    assert np.exp(noise_of(residual_statistics(noisy, noisy))) == pytest.approx(
        9 * np.sqrt(2 / np.pi), rel=0.2
    )


def test_of_a_large_crop_only_the_middle_is_measured():
    rng = np.random.default_rng(2)
    crop = rng.integers(0, 256, (301, 400, 3), np.uint8)
    framed = crop.copy()
    framed[:22], framed[278:], framed[:, :72], framed[:, 328:] = 0, 0, 0, 0
    seen = crop[:64, :64]
    np.testing.assert_array_equal(residual_statistics(crop, seen), residual_statistics(framed, seen))
    framed[150, 200] = 0
    assert not np.array_equal(residual_statistics(crop, seen), residual_statistics(framed, seen))


def test_operations_move_them_the_way_that_their_names_say(portrait):
    """Noise fills the smooth parts and compression empties them; blur softens, sharpening does not."""
    face = portrait[:256, :256]
    names = ("noise:2", "noise:5", "jpeg:60", "webp:50", "blur:1", "blur:2", "sharpen:1")
    as_it_is = residual_statistics(face, face)
    seen = {
        name: residual_statistics(degraded, degraded) for name in names for degraded in [degrade(face, name)]
    }
    noises = [noise_of(t) for t in (seen["webp:50"], as_it_is, seen["noise:2"], seen["noise:5"])]
    assert noises == sorted(noises)
    assert noise_of(seen["jpeg:60"]) <= noise_of(as_it_is)
    fine = [t[FINEST] for t in (seen["blur:2"], seen["blur:1"], as_it_is, seen["sharpen:1"])]
    assert fine == sorted(fine)


def test_enlarging_shows_in_what_was_delivered_though_not_in_what_is_seen(portrait):
    enlarged = degrade(portrait, "resize:2:bicubic")
    before, after = (residual_statistics(crop, shrink_to(crop, 256)) for crop in (portrait, enlarged))
    assert abs(after[FINEST] - before[FINEST]) < 0.3
    assert after[FINEST_NATIVE] < before[FINEST_NATIVE] - 1.0


def test_too_few_pixels():
    with pytest.raises(ValueError, match="30 x 15 pixels are too few"):
        residual_statistics(np.zeros((15, 30, 3), np.uint8), np.zeros((15, 30, 3), np.uint8))
