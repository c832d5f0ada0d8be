"""FFHQ's alignment of faces: as its authors wrote it, found where it is, and nowhere else."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo.alignment import (
    RARE,
    alignment_note,
    ffhq_quad,
    misalignment,
    p_value,
)
from cameraborn.photo.face_points import points_of
from cameraborn.photo.faces import FaceFinder
from tests.command import EXAMPLES

PHOTOS = [EXAMPLES / f"photo-{number}.jpg" for number in range(1, 6)]


@pytest.fixture(scope="module")
def finder():
    return FaceFinder()


def literal_quad(lm):
    """As `recreate_aligned_images` of github.com/NVlabs/ffhq-dataset has it, line by line."""
    lm_eye_left = lm[36:42]
    lm_eye_right = lm[42:48]
    lm_mouth_outer = lm[48:60]
    eye_left = np.mean(lm_eye_left, axis=0)
    eye_right = np.mean(lm_eye_right, axis=0)
    eye_avg = (eye_left + eye_right) * 0.5
    eye_to_eye = eye_right - eye_left
    mouth_left = lm_mouth_outer[0]
    mouth_right = lm_mouth_outer[6]
    mouth_avg = (mouth_left + mouth_right) * 0.5
    eye_to_mouth = mouth_avg - eye_avg
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + eye_to_mouth * 0.1
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def face_of(finder, pixels):
    return finder.find(pixels)[0]


def aligned(finder, path, side=256, shift=(0, 0), scale=1.0, turn=0.0):
    """A photograph cut as FFHQ is, or nearly so: moved by shares of the side, larger, turned by degrees."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    pixels = np.asarray(image)
    quad = ffhq_quad(points_of(finder, pixels, face_of(finder, pixels)))
    centre = quad.mean(axis=0)
    angle = np.deg2rad(turn)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quad = (quad - centre) @ turned.T * scale + centre + np.multiply(shift, np.ptp(quad[:, 0]))
    cut = image.transform(
        (side, side), Image.Transform.QUAD, quad.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return np.asarray(cut)


def note_on(finder, pixels):
    return alignment_note(finder, pixels, face_of(finder, pixels))


@pytest.mark.parametrize("seed", range(5))
def test_the_cut_is_that_of_its_authors(seed):
    points = np.random.default_rng(seed).uniform(0, 500, (68, 2)).astype(np.float32)
    np.testing.assert_allclose(ffhq_quad(points), literal_quad(points.astype(np.float64)), rtol=1e-5)


def test_the_distance_is_none_where_the_cut_is_the_picture():
    points = np.random.default_rng(0).uniform(100, 200, (68, 2)).astype(np.float64)
    points[36:42], points[42:48], points[[48, 54]] = (80, 100), (120, 100), (100, 150)
    left, top = ffhq_quad(points).min(axis=0)
    width, height = np.ptp(ffhq_quad(points), axis=0)
    assert misalignment(points - (left, top), width, height) == pytest.approx(0, abs=1e-6)
    assert misalignment(points - (left, top) + (0.1 * width, 0), width, height) == pytest.approx(0.1)


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_a_photograph_gets_the_note_once_it_is_aligned(finder, path):
    with Image.open(path) as opened:
        assert note_on(finder, np.asarray(opened.convert("RGB"))) is None
    assert note_on(finder, aligned(finder, path)) == (
        "eyes and mouth lie as FFHQ aligns them, which is usual for generators of faces and rare among photographs "
        "that nobody aligned: p = 0.0021"
    )


@pytest.mark.parametrize("side", [96, 512])
def test_size_does_not_matter(finder, side):
    assert note_on(finder, aligned(finder, PHOTOS[0], side)) is not None


@pytest.mark.parametrize(
    "change",
    [{"shift": (0.15, 0)}, {"shift": (0, 0.15)}, {"scale": 1.3}, {"scale": 0.75}, {"turn": 15}],
    ids=str,
)
def test_what_is_cut_otherwise_gets_none(finder, change):
    assert note_on(finder, aligned(finder, PHOTOS[0], **change)) is None


def test_p_values_count_portraits_that_are_as_near():
    assert p_value(0) == 1 / 481
    assert p_value(0.0773) == 2 / 481
    assert [p_value(distance) <= RARE for distance in (0.083, 0.0855, 1)] == [True, False, False]
