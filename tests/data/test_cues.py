"""Trivial cues of a picture, by their literal formulas."""

import numpy as np
import pytest

from cameraborn.data.cues import CATEGORIES, CUES, NUMBERS, brightness, cues_of
from cameraborn.degrade.sharpness import sharpness
from cameraborn.photo.decode import open_picture

from ..conftest import EXAMPLES, encoded
from .sets import SRGB, exif, texture


@pytest.fixture(scope="module")
def photograph():
    return open_picture(EXAMPLES / "photo-1.jpg")


def test_cues_by_their_formulas(photograph):
    pixels = photograph.pixels
    assert max(pixels.shape) <= 1024
    assert CUES["sharpness"](photograph) == pytest.approx(np.log(sharpness(pixels) + 1e-6))
    assert CUES["brightness"](photograph) == brightness(pixels) == pytest.approx(pixels.astype(float).mean())
    size = (EXAMPLES / "photo-1.jpg").stat().st_size
    assert CUES["bytes-per-pixel"](photograph) == size / (pixels.shape[0] * pixels.shape[1])


def test_cues_of_a_known_picture():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 40:] = (255, 0, 0)
    data = encoded(pixels, "PNG", icc_profile=SRGB, exif=exif())
    cues = cues_of(open_picture(data))
    assert dict(zip(CATEGORIES, cues.categories, strict=True)) == {
        "format": "PNG",
        "dimensions": "80 x 40",
        "JPEG tables": "none",
        "chroma subsampling": "none",
        "ICC profile": "present",
        "EXIF": "present",
    }
    numbers = dict(zip(NUMBERS, cues.numbers, strict=True))
    assert numbers["short side"] == 40
    assert numbers["aspect"] == 2
    assert np.isnan(numbers["JPEG quality"])
    assert numbers["bytes a pixel"] == len(data) / 3200
    # Red is a grey of 85; the Laplacian is +85 beside the edge, -85 on it, 0 elsewhere, over 78 columns.
    assert numbers["sharpness"] == pytest.approx(2 * 85**2 / 78)
    assert numbers["brightness"] == pytest.approx(85 / 2)
    assert numbers["saturation"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "quality", "subsampling"),
    [
        ({"quality": 95, "subsampling": "4:4:4"}, "Q95", "4:4:4"),
        ({"quality": 50, "subsampling": "4:2:2"}, "Q50", "4:2:2"),
        ({"quality": 75, "subsampling": "4:2:0"}, "Q75", "4:2:0"),
    ],
)
def test_cues_of_a_jpeg(options, quality, subsampling):
    cues = cues_of(open_picture(encoded(texture(np.random.default_rng(0), 40), **options)))
    words = dict(zip(CATEGORIES, cues.categories, strict=True))
    assert words["JPEG tables"].startswith(quality + " ")
    assert words["chroma subsampling"] == subsampling
    assert words["ICC profile"] == words["EXIF"] == "absent"


def test_tables_of_one_quality_may_differ():
    """Same luminance table, other chrominance table: one quality, two encoders."""
    pixels = texture(np.random.default_rng(0), 40)
    luminance, chrominance, other = [16] * 64, [20] * 64, [24] * 64
    one, two = (
        cues_of(open_picture(encoded(pixels, qtables=[luminance, chroma]))) for chroma in (chrominance, other)
    )
    place = CATEGORIES.index("JPEG tables")
    assert one.categories[place] != two.categories[place]
    assert one.numbers[NUMBERS.index("JPEG quality")] == two.numbers[NUMBERS.index("JPEG quality")]
