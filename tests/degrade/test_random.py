"""Named operations: each does what it says, strongly enough to show, and never more than it may."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.degrade.named import degrade
from cameraborn.degrade.random import OPERATIONS, apply_operation

from ..conftest import EXAMPLES


@pytest.fixture(scope="module")
def face():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return np.asarray(image.convert("RGB"))[:240, :260]


def fine_detail(pixels):
    return np.abs(np.diff(pixels[..., 1].astype(float), axis=0)).mean()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_seed_does_the_same_and_another_something_else(face, name):
    (first, quality), (again, same_quality), (other, _) = (
        apply_operation(name, face, np.random.default_rng(seed), smallest_side=96) for seed in (1, 1, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert quality == same_quality
    assert first.dtype == np.uint8
    assert name == "as it came" or not np.array_equal(first, other)


def test_they_do_what_their_names_say(face):
    shapes, detail = {}, {}
    for name in OPERATIONS:
        copies = [
            apply_operation(name, face, np.random.default_rng(s), smallest_side=96)[0] for s in range(12)
        ]
        shapes[name] = [copy.shape[0] / face.shape[0] for copy in copies]
        detail[name] = np.mean([fine_detail(copy) for copy in copies])
    for name, factors in shapes.items():
        if "shrunk" in name:
            assert 0.4 <= min(factors) < max(factors) <= 0.86
        elif name == "compressed":
            assert 0.36 <= min(factors) < max(factors) == 1.0
        elif name == "enlarged":
            assert 1.29 <= min(factors) < max(factors) <= 2.41
        else:
            assert set(factors) == {1.0}
    in_order = ("blurred", "slightly blurred", "as it came", "slightly grainy", "grainy")
    assert [detail[name] for name in in_order] == sorted(detail[name] for name in in_order)
    assert detail["sharpened"] > detail["as it came"]
    assert detail["coarsely shrunk"] > detail["shrunk"]


def test_as_it_came_is_at_most_mildly_recompressed(face):
    copies = [
        apply_operation("as it came", face, np.random.default_rng(s), smallest_side=96) for s in range(40)
    ]
    untouched = sum(np.array_equal(copy, face) for copy, _ in copies)
    assert 10 <= untouched <= 30
    assert max(np.abs(copy.astype(int) - face).mean() for copy, _ in copies) < 4
    for copy, quality in copies:
        if quality is not None:
            assert quality >= 75
            assert np.array_equal(copy, degrade(face, f"jpeg:{quality}"))


def test_compressed_is_more_than_mildly(face):
    copies = [
        apply_operation("compressed", face, np.random.default_rng(s), smallest_side=96) for s in range(60)
    ]
    once = [(copy, quality) for copy, quality in copies if copy.shape == face.shape]
    twice = [(copy, quality) for copy, quality in copies if copy.shape != face.shape]
    assert 18 <= len(twice) <= 42
    assert all(65 <= quality < 90 for _, quality in twice)
    jpeg = [quality for _, quality in once if quality is not None]
    assert 10 <= len(jpeg) < len(once)
    assert 40 <= min(jpeg) < max(jpeg) < 75


@pytest.mark.parametrize("name", ["shrunk", "coarsely shrunk", "compressed"])
def test_nothing_is_shrunk_under_the_smallest_side(face, name):
    for seed in range(30):
        copy, _ = apply_operation(name, face, np.random.default_rng(seed), smallest_side=185)
        assert min(copy.shape[:2]) >= 185
    at_its_smallest = apply_operation(name, face, np.random.default_rng(0), smallest_side=220)
    assert at_its_smallest is None if "shrunk" in name else at_its_smallest[0].shape == face.shape


def test_what_is_very_large_is_not_enlarged():
    large = np.zeros((4000, 4000, 3), np.uint8)
    assert apply_operation("enlarged", large, np.random.default_rng(0), smallest_side=96) is None
