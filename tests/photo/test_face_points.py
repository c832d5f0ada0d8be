"""Landmarks of the face that is meant: the one that the finder sees in a data set's box, or what the box holds."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo.face_points import INSIDE, points_at, points_of
from cameraborn.photo.faces import INDEX_68, Face, FaceFinder
from tests.command import EXAMPLES

SIDE = 320


@pytest.fixture(scope="module")
def finder():
    return FaceFinder()


def portrait(number, turned=0):
    with Image.open(EXAMPLES / f"photo-{number}.jpg") as opened:
        return np.asarray(opened.convert("RGB").resize((SIDE, SIDE)).rotate(turned))


@pytest.fixture(scope="module")
def two():
    """Two portraits side by side."""
    return np.concatenate([portrait(1), portrait(2)], axis=1)


def larger(box, by):
    """The box with so much more on each side, as those of data sets are."""
    x, y = by * (box[2] - box[0]), by * (box[3] - box[1])
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def left_of(box, share):
    """The left part of a box."""
    return box[0], box[1], box[0] + share * (box[2] - box[0]), box[3]


def test_points_are_68_of_the_mesh(finder):
    pixels = portrait(1)
    (face,) = finder.find(pixels)
    points = points_of(finder, pixels, face)
    assert points.shape == (68, 2)
    np.testing.assert_array_equal(points, finder.landmarks(pixels, face)[list(INDEX_68)])
    eyes, mouth = points[36:48].mean(axis=0), points[48:].mean(axis=0)
    assert face.box[1] < eyes[1] < mouth[1] < face.box[3]


def test_a_face_that_lies_on_its_side_has_none(finder):
    pixels = portrait(5, turned=270)
    (face,) = finder.find(pixels)
    assert points_of(finder, pixels, face) is None
    assert points_at(finder, pixels, larger(face.box, 0.2)) is None


@pytest.mark.parametrize("by", [-0.1, 0.0, 0.3])
def test_where_the_finder_sees_a_face_its_box_is_taken(finder, two, by):
    faces = finder.find(two)
    assert len(faces) == 2
    for face in faces:
        np.testing.assert_array_equal(
            points_at(finder, two, larger(face.box, by)), points_of(finder, two, face)
        )


def test_half_of_a_face_must_be_in_the_box(finder):
    pixels = portrait(1)
    (face,) = finder.find(pixels)
    found = points_of(finder, pixels, face)
    enough, little = left_of(face.box, INSIDE + 0.05), left_of(face.box, INSIDE - 0.05)
    np.testing.assert_array_equal(points_at(finder, pixels, enough), found)
    by_box = points_of(finder, pixels, Face(little, 1.0))
    np.testing.assert_array_equal(points_at(finder, pixels, little), by_box)
    assert not np.array_equal(by_box, found)


def test_a_box_between_two_faces_gets_the_points_of_neither(finder, two):
    left, right = finder.find(two)
    halfway = tuple((one + other) / 2 for one, other in zip(left.box, right.box, strict=True))
    assert points_at(finder, two, halfway) is None


def test_of_a_picture_without_a_face_there_are_none(finder):
    pixels = np.full((SIDE, SIDE, 3), 120, np.uint8)
    assert finder.find(pixels) == []
    assert points_at(finder, pixels, (50.0, 50.0, 200.0, 200.0)) is None
