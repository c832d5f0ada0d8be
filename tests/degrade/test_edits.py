"""Edits that draw their strength: each against what it is said to do."""

import cv2
import numpy as np
import pytest

from cameraborn.degrade import edits
from cameraborn.degrade.edits import EDITS, blurred, brought_to_sharpness, denoise, guided, sharpened
from cameraborn.degrade.sharpness import sharpness


def picture(side=64, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    scene = 128 + 50 * np.sin(x / 7 + y / 11)[:, :, None] * np.array([1.0, 0.8, 0.6])
    return (scene + rng.normal(0, 6, (side, side, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_changes_the_picture_and_keeps_its_size(edit):
    x = picture()
    y = edit(x, np.random.default_rng(3))
    assert (y.shape, y.dtype) == (x.shape, np.uint8)
    assert (y != x).any()
    assert np.array_equal(y, edit(x, np.random.default_rng(3)))


def test_grey_has_no_colour_and_colour_keeps_grey():
    grey = edits.grey(picture(), np.random.default_rng(0))
    assert (grey == grey[:, :, :1]).all()
    coloured = edits.colour(grey, np.random.default_rng(1))
    # Of a grey picture saturation has nothing to change: each channel is the brightness times its balance.
    ratio = coloured.reshape(-1, 3).astype(float).mean(axis=0) / grey.mean()
    assert np.allclose(coloured, (grey * ratio).clip(0, 255), atol=1.5)


@pytest.mark.parametrize("seed", range(6))
def test_noise_has_the_strength_that_is_drawn(seed):
    flat = np.full((128, 128, 3), 128, np.uint8)
    spread = (edits.grain(flat, np.random.default_rng(seed)).astype(float) - 128).std()
    assert 0.7 < spread < 1.8 * 9


def test_blur_and_sharpening_against_the_formula():
    x = picture()
    soft = cv2.GaussianBlur(x, (0, 0), 1.2)
    assert np.array_equal(blurred(x, 1.2), soft)
    literal = np.rint(x * 1.5 - 0.5 * soft.astype(float)).clip(0, 255)
    assert np.abs(sharpened(x, 1.2, 0.5) - literal).max() <= 1


@pytest.mark.parametrize("factor", [0.2, 2.2])
def test_a_picture_is_brought_to_a_sharpness(factor):
    x = picture()
    target = sharpness(x) * factor
    assert sharpness(brought_to_sharpness(x, target)) == pytest.approx(target, rel=0.15)


def test_denoising_takes_noise_and_leaves_edges():
    rng = np.random.default_rng(0)
    clean = np.full((64, 64, 3), 60, np.uint8)
    clean[:, 32:] = 190
    noisy = (clean + rng.normal(0, 4, clean.shape)).round().clip(0, 255).astype(np.uint8)
    for seed in range(6):
        y = denoise(noisy, np.random.default_rng(seed)).astype(float)
        assert np.std(y[:, :28]) < 0.97 * np.std(noisy[:, :28].astype(float))
        assert y[:, 36:].mean() - y[:, :28].mean() == pytest.approx(130, abs=2)


def test_a_guided_filter_against_the_formula():
    x = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    r, edge = 1, 20.0
    f = x[..., 0].astype(float)
    inside = {(i, j): f[i - r : i + r + 1, j - r : j + r + 1] for i in range(1, 11) for j in range(1, 11)}
    a = {k: w.var() / (w.var() + edge**2) for k, w in inside.items()}
    b = {k: (1 - a[k]) * w.mean() for k, w in inside.items()}
    for i, j in ((5, 5), (3, 8)):
        window = [(i + p, j + q) for p in (-1, 0, 1) for q in (-1, 0, 1)]
        expected = np.mean([a[k] for k in window]) * f[i, j] + np.mean([b[k] for k in window])
        assert guided(x, r, edge)[i, j, 0] == pytest.approx(expected, abs=0.6)
