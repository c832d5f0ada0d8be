"""Named degradations do what their names say; random deliveries are seeded and stay within bounds."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.degrade import LOWEST_QUALITY, degrade, random_delivery


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("quality", [1, 60, 100])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_recompression_is_the_formats_own(kind, quality):
    pixels, buffer = noise(50, 40), io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality)
    if kind == "jpeg":
        assert open_picture(buffer.getvalue()).jpeg_quality == quality
    expected = np.asarray(Image.open(buffer).convert("RGB"))
    np.testing.assert_array_equal(degrade(pixels, f"{kind}:{quality}"), expected)


@pytest.mark.parametrize(
    ("factor", "size"), [(0.5, (25, 20)), (1.5, (75, 60)), (0.001, (1, 1)), (4, (200, 160))]
)
def test_resizing(factor, size):
    assert degrade(noise(50, 40), f"resize:{factor}").shape == (size[1], size[0], 3)


def test_shrinking_averages():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[::2] = 200
    small = degrade(pixels, "resize:0.25")
    assert np.abs(small[2:-2].astype(int) - 100).max() <= 3


@pytest.mark.parametrize(
    "name",
    ["", "jpeg", "jpeg:", "jpeg:0", "jpeg:101", "webp:-1", "jpeg:nan", "jpeg:high", "resize:0", "resize:4.1",
     "resize:inf", "resize:nan", "resize:-1", "blur:1", "JPEG:75", "jpeg:75:2"],
)  # fmt: skip
def test_bad_names_are_answered_with_the_good_ones(name):
    with pytest.raises(PictureError) as caught:
        degrade(noise(20, 20), name)
    assert str(caught.value).startswith(f"{name}: not a degradation")
    assert "jpeg:1..100" in str(caught.value)


def test_deliveries_are_seeded():
    pixels = noise(120, 100)
    one, two, other = (
        random_delivery(pixels, np.random.default_rng(seed), smallest_side=50) for seed in (3, 3, 4)
    )
    assert one[1] == two[1]
    np.testing.assert_array_equal(one[0], two[0])
    assert other[0].shape != one[0].shape or not np.array_equal(other[0], one[0])


@settings(max_examples=100, deadline=None)
@given(
    width=st.integers(20, 160),
    height=st.integers(20, 160),
    smallest=st.integers(16, 170),
    seed=st.integers(0, 9999),
)
def test_deliveries_stay_within_bounds(width, height, smallest, seed):
    pixels = noise(width, height)
    before = pixels.copy()
    out, quality = random_delivery(pixels, np.random.default_rng(seed), smallest_side=smallest)
    assert min(out.shape[:2]) >= min(smallest, width, height)
    assert out.shape[0] <= height
    assert out.shape[1] <= width
    assert out.dtype == np.uint8
    assert quality is None or LOWEST_QUALITY <= quality < 100
    np.testing.assert_array_equal(pixels, before)


def test_deliveries_are_of_every_kind():
    pixels = noise(100, 100)
    kinds = set()
    for seed in range(60):
        out, quality = random_delivery(pixels, np.random.default_rng(seed), smallest_side=40)
        same = out.shape == pixels.shape and np.array_equal(out, pixels)
        kinds.add((out.shape != pixels.shape, quality is not None, same))
    assert {(False, False, True), (True, True, False), (False, True, False), (True, False, False)} <= kinds
