"""Noise and fineness: known answers, and the order in which treatments put one and the same photograph."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo.degrade import degrade
from cameraborn.photo.texture import Texture, texture

from ..conftest import EXAMPLES


@pytest.fixture(scope="module")
def portrait():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return np.asarray(image.convert("RGB"))[:256, :256]


def literal(pixels):
    """Block by block and pixel by pixel."""
    green = pixels[..., 1].astype(float)
    H, W = green.shape
    diagonal = np.array(
        [
            [
                abs(green[y, x] - green[y, x + 1] - green[y + 1, x] + green[y + 1, x + 1]) / 2
                for x in range(W - 1)
            ]
            for y in range(H - 1)
        ]
    )
    blocks = [diagonal[y : y + 8, x : x + 8].mean() for y in range(0, H - 8, 8) for x in range(0, W - 8, 8)]
    coarse = np.array(
        [[green[y : y + 2, x : x + 2].sum() / 2 for x in range(0, W - 1, 2)] for y in range(0, H - 1, 2)]
    )
    edges = (np.abs(np.diff(coarse, axis=0)).mean() + np.abs(np.diff(coarse, axis=1)).mean()) / 2
    noise = np.log(np.percentile(blocks, 10) + 0.05)
    return noise, np.log(diagonal.mean() + 0.05) - np.log(edges + 0.05)


@pytest.mark.parametrize("shape", [(40, 40), (33, 50)])
def test_it_is_what_it_says(shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    got = texture(pixels)
    assert (got.noise, got.fineness) == pytest.approx(literal(pixels), abs=1e-3)


def test_known_answers():
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert texture(flat) == Texture(round(np.log(0.05), 4), 0.0)
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 2, (64, 64, 3))
    # Along a ramp there is no diagonal detail; coarse pixels (sums of 2 x 2, halved) rise by 8 on one axis of two.
    assert texture(ramp).fineness == pytest.approx(np.log(0.05) - np.log(4.05), abs=1e-3)
    # Diagonal detail of white noise is normal with the noise's own deviation.
    noisy = np.rint(np.random.default_rng(0).normal(128, 9, (512, 512, 3))).clip(0, 255).astype(np.uint8)
    assert np.exp(texture(noisy).noise) == pytest.approx(9 * np.sqrt(2 / np.pi), rel=0.2)


def test_treatments_move_it_the_way_that_their_names_say(portrait):
    """Noise fills the smooth parts and compression empties them; blur and enlarging soften, sharpening does not."""
    seen = {
        name: texture(degrade(portrait, name))
        for name in ("noise:2", "noise:5", "jpeg:60", "webp:50", "blur:1", "blur:2", "resize:2", "sharpen:1")
    }
    as_it_is = texture(portrait)
    assert seen["webp:50"].noise < as_it_is.noise < seen["noise:2"].noise < seen["noise:5"].noise
    assert seen["jpeg:60"].noise <= as_it_is.noise
    assert seen["blur:2"].fineness < seen["blur:1"].fineness < as_it_is.fineness < seen["sharpen:1"].fineness
    assert seen["resize:2"].fineness < as_it_is.fineness


def test_too_few_pixels():
    texture(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="30 x 15 pixels are too few"):
        texture(np.zeros((15, 30, 3), np.uint8))
