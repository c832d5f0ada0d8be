"""Crops: the authors' rule by hand, both inside the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.errors import PictureError
from cameraborn.photo.crops import face_window, square_crop


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((40, 40, 60, 80), (24, 34, 76, 86)),  # 1.3 x 40 = 52, around (50, 60)
        ((0, 10, 40, 50), (0, 4, 52, 56)),  # shifted in at the left: still a square
        ((60, 60, 100, 100), (54, 54, 100, 100)),  # clipped at the right and the bottom
        ((90, 20, 100, 60), (69, 14, 100, 66)),  # clipped at the right alone: no square
    ],
)
def test_the_authors_rule(box, window):
    assert face_window(100, 100, box, 1.3, "authors") == window


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(st.integers(16, 300), st.integers(16, 300)),
    corner=st.tuples(st.floats(-50, 290), st.floats(-50, 290)),
    extent=st.tuples(st.floats(1, 400), st.floats(1, 400)),
    rule=st.sampled_from(["square", "authors"]),
)
def test_windows_lie_in_the_picture(size, corner, extent, rule):
    width, height = size
    box = (*corner, corner[0] + extent[0], corner[1] + extent[1])
    x0, y0, x1, y1 = face_window(width, height, box, 1.3, rule)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert rule == "authors" or x1 - x0 == y1 - y0


def test_a_box_without_area_is_refused():
    with pytest.raises(PictureError, match="no area"):
        face_window(100, 100, (5, 5, 5, 9), 1.3, "square")
    with pytest.raises(PictureError, match="no area"):
        square_crop(np.zeros((8, 8, 3), np.uint8), (4, 4, 4, 8), 1.0)


@pytest.mark.parametrize(
    ("box", "scale", "corner", "side"),
    [
        ((40, 30, 60, 50), 1.0, (40, 30), 20),
        ((40, 30, 60, 50), 2.0, (30, 20), 40),
        ((40, 30, 60, 40), 1.0, (40, 25), 20),
        ((-10, -10, 10, 10), 1.0, (0, 0), 20),
        ((190, 90, 220, 120), 1.0, (170, 70), 30),
        ((90, 40, 110, 60), 9.0, (50, 0), 100),
        ((0, 0, 20, 20), 50.0, (0, 0), 100),
        ((50, 50, 50.2, 50.2), 1.0, (50, 50), 1),
    ],
)
def test_square_crop_is_cut_and_shifted_never_padded(box, scale, corner, side):
    y, x = np.mgrid[:100, :200]
    pixels = np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8)
    crop = square_crop(pixels, box, scale)
    assert crop.shape == (side, side, 3)
    assert tuple(crop[0, 0, :2]) == corner
    assert np.array_equal(crop, pixels[corner[1] : corner[1] + side, corner[0] : corner[0] + side])
