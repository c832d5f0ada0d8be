"""Rectangles and masks are those of the recipe, followed word for word with SciPy and whole numbers."""

import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from cameraborn.pseudo.masks import feature_rectangle, find_region, soft_mask

SIDE = 224
FEATURES = ["left-eye", "right-eye", "mouth", "nose"]


def landmarks(*, seed=0, side=SIDE):
    """Points of a face that is somewhat turned; only those that the masks use are meant."""
    rng = np.random.default_rng(seed)
    points = np.full((68, 2), 112.0)
    points[[36, 39, 42, 45]] = [[60, 90], [90, 92], [132, 91], [163, 89]]
    points[33], points[48], points[54] = (112, 132), (82, 165), (141, 163)
    return (points + rng.uniform(-8, 8, points.shape)) * side / SIDE


def literal_rectangle(points, feature):
    """Draw the line, dilate it by a cross, take its bounding box."""
    whole = {n: (int(x), int(y)) for n, (x, y) in enumerate(points)}
    if feature == "nose":
        left = tuple(int(v) for v in (points[36] + points[39]) / 2)
        right = tuple(int(v) for v in (points[42] + points[45]) / 2)
        start, end = whole[33], (int((left[0] + right[0]) / 2), int((left[1] + right[1]) / 2))
        times = int(math.dist(left, right) // 4)
    else:
        start, end = (
            whole[n] for n in {"left-eye": (36, 39), "right-eye": (42, 45), "mouth": (48, 54)}[feature]
        )
        times = int(math.dist(start, end) // 3) if feature == "mouth" else 2 * int(math.dist(start, end) // 4)
    line = cv2.line(np.zeros((SIDE, SIDE), np.uint8), start, end, 1, 2)
    y, x = np.nonzero(binary_dilation(line, iterations=times))
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def literal_mask(rectangle, first_kernel, first_sigma):
    """The recipe in whole numbers up to the erosion, then in floating point."""
    left, top, right, bottom = rectangle
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top:bottom, left:right] = 1
    mask = cv2.GaussianBlur(mask, (first_kernel, first_kernel), first_sigma).astype(float)
    eroded = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    soft = cv2.GaussianBlur(eroded if eroded.max() else mask, (51, 51), 10)
    return soft / soft.max()


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("seed", range(6))
def test_a_region_is_the_literal_one(feature, seed):
    points = landmarks(seed=seed)
    rectangle = literal_rectangle(points, feature)
    assert feature_rectangle(points, feature, SIDE, SIDE) == rectangle
    region = find_region(points, feature, SIDE, SIDE)
    growth, kernel, sigma = (3, 15, 2) if feature == "nose" else (5, 91, 7)
    left, top, right, bottom = rectangle
    assert region.patch == (left - growth, top - growth, right + growth, bottom + growth)
    # OpenCV's whole-number blur is exact to about 2e-4 only: a pixel at each rounded corner may fall the other way.
    expected = literal_mask(rectangle, kernel, sigma)
    np.testing.assert_allclose(region.mask, expected, atol=0.01)
    assert np.abs(region.mask - expected).mean() < 5e-4


def test_at_the_edge_the_rectangle_and_the_patch_end():
    points = landmarks() + np.array([0, 45])  # the mouth is at the lower edge
    rectangle = feature_rectangle(points, "mouth", SIDE, SIDE)
    assert rectangle == literal_rectangle(points, "mouth")
    assert rectangle[3] == SIDE
    assert find_region(points, "mouth", SIDE, SIDE).patch[3] == SIDE


@pytest.mark.parametrize("feature", FEATURES)
def test_masks_scale_with_the_picture(feature):
    small = find_region(landmarks(), feature, SIDE, SIDE)
    large = find_region(landmarks(side=3 * SIDE), feature, 3 * SIDE, 3 * SIDE)
    np.testing.assert_allclose(np.array(large.patch) / 3, small.patch, atol=3)
    shrunk = cv2.resize(large.mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - small.mask).max() < 0.2  # whole pixels of the dilation
    assert np.abs(shrunk - small.mask).mean() < 0.01


@pytest.mark.parametrize(
    "rectangle", [(4, 60, 70, 110), (0, 0, 60, 40), (150, 180, 220, 222), (2, 2, 222, 222)]
)
def test_a_mask_near_the_edge_is_the_literal_one(rectangle):
    mask = soft_mask(rectangle, SIDE, SIDE, first_blur=(91, 7.0))
    np.testing.assert_allclose(mask, literal_mask(rectangle, 91, 7), atol=0.01)


def test_a_mask_that_the_erosion_would_empty_is_not_eroded():
    rectangle = (100, 100, 112, 112)
    mask = soft_mask(rectangle, SIDE, SIDE, first_blur=(15, 2.0))
    np.testing.assert_allclose(mask, literal_mask(rectangle, 15, 2), atol=1e-5)
    assert mask.max() == 1


def test_a_mask_that_the_first_blur_would_empty_is_blurred_less():
    rectangle = (100, 100, 106, 106)
    assert not cv2.GaussianBlur(np.pad(np.ones((6, 6), np.uint8), 100), (91, 91), 7).any()
    np.testing.assert_allclose(
        soft_mask(rectangle, SIDE, SIDE, first_blur=(91, 7.0)), literal_mask(rectangle, 91, 1), atol=1e-5
    )
    assert soft_mask((100, 100, 102, 102), SIDE, SIDE, first_blur=(91, 7.0)) is None


def collapsed():
    return np.full((68, 2), 112.0)


def unknown():
    return landmarks() * np.nan


def outside():
    return landmarks() - (200, 0)


def far_away():
    return landmarks() * 1e12


@pytest.mark.parametrize("failed", [collapsed, unknown, outside, far_away])
@pytest.mark.parametrize("feature", FEATURES)
def test_landmarks_that_show_nothing_give_no_region(failed, feature):
    assert find_region(failed(), feature, SIDE, SIDE) is None
