"""Patches cover every pixel, as few of them as can, and hold exactly what is there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.photo.patches import PATCH_SIZE, grid_patches, shrink_to, square_resize, tile_patches

SIDES = st.integers(PATCH_SIZE, 700)


def addressed(width, height):
    """A picture whose pixels say where they are: channels x mod 256, y mod 256, and the carries of both."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, x // 256 * 16 + y // 256], axis=2).astype(np.uint8)


def places(patches):
    """x0, y0 of each patch, after seeing that its pixels lie together."""
    for patch in patches.astype(int):
        xs, ys = patch[0] + 256 * (patch[2] // 16), patch[1] + 256 * (patch[2] % 16)
        x0, y0 = xs[0, 0], ys[0, 0]
        np.testing.assert_array_equal(xs, np.broadcast_to(x0 + np.arange(64), (64, 64)))
        np.testing.assert_array_equal(ys, np.broadcast_to((y0 + np.arange(64))[:, None], (64, 64)))
        yield int(x0), int(y0)


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES)
def test_every_pixel_is_covered_by_the_fewest_patches(width, height):
    patches = grid_patches(addressed(width, height))
    assert patches.dtype == np.uint8
    assert patches.shape[1:] == (3, 64, 64)
    assert patches.flags.c_contiguous
    assert len(patches) == math.ceil(width / 64) * math.ceil(height / 64)
    covered = np.zeros((height, width), bool)
    for x, y in places(patches):
        covered[y : y + 64, x : x + 64] = True
    assert covered.all()


@settings(max_examples=40, deadline=None)
@given(width=SIDES, height=SIDES, limit=st.integers(1, 30))
def test_a_limit_takes_some_of_the_same_patches(width, height, limit):
    picture = addressed(width, height)
    whole, some = list(places(grid_patches(picture))), list(places(grid_patches(picture, limit=limit)))
    assert len(some) == min(limit, len(whole))
    assert len(set(some)) == len(some)
    assert set(some) <= set(whole)
    if 2 <= limit < len(whole):
        assert (some[0], some[-1]) == (whole[0], whole[-1])


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (1, 1)])
def test_too_small_a_picture(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]} is too small"):
        grid_patches(np.zeros((size[1], size[0], 3), np.uint8))


@settings(max_examples=60, deadline=None)
@given(width=st.integers(10, 400), height=st.integers(10, 400), side=st.integers(10, 300))
def test_shrinking_never_enlarges(width, height, side):
    picture = addressed(width, height)
    out = shrink_to(picture, side)
    if min(width, height) <= side:
        assert out is picture
        return
    assert min(out.shape[:2]) == side
    assert out.shape[0] <= height
    assert out.shape[1] <= width
    assert abs(out.shape[1] / out.shape[0] - width / height) * side / max(1, width / height) <= 1.5


@pytest.mark.parametrize("shape", [(40, 61), (224, 224), (300, 201)])
def test_plain_bilinear_resizing_is_pytorchs(shape):
    import torch

    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(tensor, (112, 112), mode="bilinear")[0].permute(1, 2, 0)
    ours = square_resize(pixels, 112, antialias=False)
    assert np.abs(ours - expected.numpy()).max() <= 0.51  # half a grey level of rounding


def test_antialiased_resizing_forgets_what_is_too_fine():
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    assert np.ptp(square_resize(pixels, 64)[2:-2, 2:-2].astype(int)) <= 2
    assert square_resize(pixels, 300).shape == (300, 300, 3)


@pytest.mark.parametrize(("H", "W", "count"), [(470, 470, 49), (64, 64, 1), (127, 200, 3)])
def test_tiles_are_the_middle_row_by_row_without_overlap(H, W, count):
    pixels = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    tiles = tile_patches(pixels)
    assert tiles.shape == (count, 3, 64, 64)
    y, x, across = H % 64 // 2, W % 64 // 2, W // 64
    for number, tile in enumerate(tiles):
        top, left = y + 64 * (number // across), x + 64 * (number % across)
        assert np.array_equal(tile, pixels[top : top + 64, left : left + 64].transpose(2, 0, 1))


def test_a_picture_under_a_patch_has_no_tiles():
    with pytest.raises(ValueError, match="too small for a patch"):
        tile_patches(np.zeros((63, 200, 3), np.uint8))
