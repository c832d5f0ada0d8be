"""Self-blending: only the face changes, softly, and the draw alone decides."""

import numpy as np
import pytest

from cameraborn.errors import RecipeError
from cameraborn.rivals.self_blended import _of_detector, blend_mask, recompressed_alike, self_blended
from tests.rivals.formula import a_picture

FACE = np.array([[60, 40], [140, 40], [160, 100], [100, 150], [40, 100]], dtype=float)


def blended(seed):
    pixels = a_picture(200, 200).pixels
    return pixels, *self_blended(pixels, FACE, np.random.default_rng(seed))


def test_it_changes_the_face_alone():
    for seed in range(4):
        pixels, genuine, fake, mask = blended(seed)
        assert genuine.shape == fake.shape == pixels.shape
        assert fake.dtype == np.uint8
        assert 0 <= mask.min() <= mask.max() <= 1 + 1e-6
        outside = mask == 0
        assert outside[:5].all()
        assert outside.mean() > 0.2
        assert np.array_equal(fake[outside], genuine[outside])
        assert not np.array_equal(fake, genuine)


def test_the_same_draw_makes_the_same_fake():
    first, second, third = blended(7), blended(7), blended(8)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[2], third[2])


def test_a_mask_is_softened_inwards_to_its_greatest():
    mask = np.zeros((120, 90), np.float32)
    mask[30:90, 20:70] = 1
    soft = blend_mask(mask, np.random.default_rng(0))
    assert soft.shape == mask.shape
    assert soft.max() == pytest.approx(1, abs=1e-3)
    assert soft[60, 45] > soft[60, 22]
    assert blend_mask(np.zeros((40, 40), np.float32), np.random.default_rng(0)).max() == 0


def test_both_are_recompressed_or_neither():
    pixels, _, fake, _ = blended(1)
    changed = set()
    for seed in range(8):
        first, second = recompressed_alike(pixels, fake, np.random.default_rng(seed))
        assert np.array_equal(first, pixels) == np.array_equal(second, fake)
        changed.add(not np.array_equal(first, pixels))
    assert changed == {True, False}


def test_two_points_enclose_nothing():
    with pytest.raises(ValueError, match="landmarks"):
        self_blended(a_picture().pixels, FACE[:2], np.random.default_rng(0))


def test_the_detectors_prefix_is_taken_off():
    assert list(_of_detector({"net._fc.bias": 1})) == ["_fc.bias"]
    with pytest.raises(RecipeError, match=r"holds '_fc.bias' twice, with 'net\.' before it and without"):
        _of_detector({"net._fc.bias": 1, "_fc.bias": 2})
