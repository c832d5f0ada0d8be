"""Inputs: sizes as the originals' libraries make them."""

import numpy as np
import pytest
import torch
from PIL import Image

from cameraborn.rivals.inputs import (
    HALVES,
    by_opencv,
    by_pillow,
    centre_crop,
    normalised,
    shorter_side,
    to_tensor,
)

NOISE = np.random.default_rng(0).integers(0, 256, (90, 121, 3), dtype=np.uint8)


def test_opencv_samples_and_pillow_averages():
    checks = np.repeat((np.indices((64, 64)).sum(axis=0) % 2 * 255)[:, :, None], 3, axis=2).astype(np.uint8)
    assert by_pillow(checks, 16, 16, Image.Resampling.BILINEAR).std() < 3
    torch_points = torch.nn.functional.interpolate(to_tensor(NOISE)[None], (40, 50), mode="bilinear")[0]
    assert float((to_tensor(by_opencv(NOISE, 40, 50)) - torch_points).abs().max()) < 2 / 255


@pytest.mark.parametrize(("height", "width"), [(90, 121), (121, 90), (90, 90)])
def test_shorter_side_keeps_the_proportion(height, width):
    pixels = np.resize(NOISE, (height, width, 3))
    resized = shorter_side(pixels, 30, Image.Resampling.BICUBIC)
    assert min(resized.shape[:2]) == 30
    assert max(resized.shape[:2]) == int(30 * max(height, width) / min(height, width))


def test_centre_crop_rounds_as_torchvision_and_frames_what_is_small():
    assert np.array_equal(centre_crop(NOISE, 60), NOISE[15:75, 30:90])  # (90-60)/2, (121-60)/2 to even
    framed = centre_crop(NOISE[:31, :60], 64)
    assert framed.shape == (64, 64, 3)
    assert np.array_equal(framed[16:47, 2:62], NOISE[:31, :60])
    assert framed[:16].max() == 0
    assert framed[47:].max() == 0


def test_normalised_is_the_mean_off_and_the_deviation_divided():
    levels = normalised(to_tensor(NOISE), HALVES)
    assert levels.shape == (3, 90, 121)
    assert torch.allclose(levels[2], torch.from_numpy(NOISE[:, :, 2] / 127.5 - 1).float(), atol=1e-6)
