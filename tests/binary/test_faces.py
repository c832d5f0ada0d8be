"""What is kept of a picture in memory."""

import numpy as np
import pytest

from cameraborn.binary.faces import LARGEST, REGION, region_of


def test_what_is_kept_of_a_picture_holds_what_is_cut_from_it():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    kept = region_of(pixels, (150.0, 100.0, 230.0, 200.0))
    assert kept.pixels.shape == (round(100 * REGION),) * 2 + (3,)
    x0, y0, x1, y1 = map(round, kept.box)
    assert np.array_equal(kept.pixels[y0:y1, x0:x1], pixels[100:200, 150:230])
    assert region_of(pixels, None).pixels.shape == pixels.shape
    large = region_of(np.zeros((1200, 1200, 3), np.uint8), (100.0, 100.0, 900.0, 900.0))
    assert large.pixels.shape == (LARGEST, LARGEST, 3)
    assert large.box[2] - large.box[0] == pytest.approx(800 * LARGEST / 1200)
