"""Sharpness by its literal formula, and pictures that are brought to one."""

import numpy as np
import pytest

from cameraborn.degrade.sharpness import brought_to_sharpness, sharpness

from .test_edits import picture


def literal_sharpness(pixels):
    grey = pixels.mean(axis=2)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return laplacian.var()


def test_sharpness_by_its_formula():
    pixels = picture(200)
    assert sharpness(pixels) == pytest.approx(literal_sharpness(pixels))


def test_sharpness_of_a_large_picture_is_that_of_its_middle():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1100, 1300, 3), np.uint8)
    assert sharpness(pixels) == pytest.approx(literal_sharpness(pixels[38:1062, 138:1162]))
    framed = pixels.copy()
    framed[:38], framed[:, :138] = 0, 0
    assert sharpness(framed) == sharpness(pixels)


@pytest.mark.parametrize("factor", [0.2, 2.2])
def test_a_picture_is_brought_to_a_sharpness(factor):
    x = picture()
    target = sharpness(x) * factor
    assert sharpness(brought_to_sharpness(x, target)) == pytest.approx(target, rel=0.15)
