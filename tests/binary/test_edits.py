"""Edits at random: how often each happens, against the table; and each against what it is said to do."""

from functools import partial

import cv2
import numpy as np
import pytest

from cameraborn.binary import edits
from cameraborn.binary.edits import (
    EDITS,
    WEBP,
    blurred,
    brought_to_sharpness,
    compressed,
    edited,
    encoded,
    sharpened,
    stored,
)
from cameraborn.data.cues import sharpness


def picture(side=64, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    scene = 128 + 50 * np.sin(x / 7 + y / 11)[:, :, None] * np.array([1.0, 0.8, 0.6])
    return (scene + rng.normal(0, 6, (side, side, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_each_edit_happens_as_often_as_the_table_says(strength):
    happened = {edit.__name__: 0 for _, edit in EDITS}

    def counting(edit):
        def counted(x, rng):
            happened[edit.__name__] += 1
            return x

        return counted

    rng, draws = np.random.default_rng(0), 4000
    for _ in range(draws):
        edited(picture(8), rng, strength, tuple((share, counting(edit)) for share, edit in EDITS))
    for share, edit in EDITS:
        expected = share * strength
        spread = (expected * (1 - expected) / draws) ** 0.5
        assert happened[edit.__name__] / draws == pytest.approx(expected, abs=4 * spread), edit.__name__


def appended(x, rng, level):
    return np.concatenate([x, np.full_like(x[:1], level)])


def test_edits_come_in_any_order():
    orders = set()
    for seed in range(40):
        # Each appends a row of its own brightness.
        table = tuple((1.0, partial(appended, level=level)) for level in (1, 2, 3))
        x = edited(np.zeros((1, 4, 3), np.uint8), np.random.default_rng(seed), 1.0, table)
        orders.add(tuple(x[1:, 0, 0].tolist()))
    assert len(orders) == 6


@pytest.mark.parametrize("edit", [edit for _, edit in EDITS], ids=lambda edit: edit.__name__)
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
    spread = (edits.noise(flat, np.random.default_rng(seed)).astype(float) - 128).std()
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


def test_formats_and_qualities_are_those_that_the_shares_say():
    x = picture(16)
    made = {
        encoded(x, format, quality, halved=halved).tobytes(): (format, quality)
        for format in ("jpg", "webp")
        for halved in (True, False)
        for quality in range(45, 100)
    }
    rng = np.random.default_rng(0)
    drawn = [made[compressed(x, rng).tobytes()] for _ in range(1500)]
    formats = [format for format, _ in drawn]
    assert formats.count("webp") / len(formats) == pytest.approx(WEBP, abs=0.04)
    assert {quality for _, quality in drawn} >= {45, 72, 99}


def test_a_file_holds_less_the_lower_its_quality():
    x = picture()
    for format in ("jpg", "webp"):
        far = [np.abs(encoded(x, format, quality).astype(int) - x).mean() for quality in (30, 95)]
        assert far[0] > far[1] > 0
    assert np.array_equal(
        stored(x, np.random.default_rng(5), "jpg"), stored(x, np.random.default_rng(5), "jpg")
    )
    halved, full = (encoded(x, "jpg", 95, halved=halved) for halved in (True, False))
    assert np.abs(halved.astype(int) - x).mean() > np.abs(full.astype(int) - x).mean()
