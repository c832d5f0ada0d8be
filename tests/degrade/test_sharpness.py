"""Sharpness by its literal formula."""

import numpy as np
import pytest

from cameraborn.degrade.sharpness import sharpness

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


def test_sharpness_is_exact_where_it_is_the_greatest_and_nothing():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    assert sharpness(pixels) == (4 * 255) ** 2  # every point is 255 from its four neighbours
    assert sharpness(np.full((64, 64, 3), 77, np.uint8)) == 0
