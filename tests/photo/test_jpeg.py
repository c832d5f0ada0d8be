"""What a JPEG file says of its compression."""

import io

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo.jpeg import jpeg_quality, jpeg_tables, subsampling

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)


def jpeg(pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return Image.open(buffer)


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 90, 99, 100])
def test_the_quality_that_it_was_stored_with(quality):
    with jpeg(quality=quality) as image:
        assert jpeg_quality(image) == quality


def test_tables_of_ones_are_the_best_quality_and_large_ones_the_worst():
    for level, quality in ((1, 100), (255, 1)):
        with jpeg(qtables=[[level] * 64, [level] * 64]) as image:
            assert jpeg_quality(image) == quality


def test_tables_are_told_apart_and_recognised():
    prints = []
    for options in ({"quality": 80}, {"quality": 80, "subsampling": 0}, {"quality": 81}):
        with jpeg(**options) as image:
            prints.append(jpeg_tables(image))
    assert prints[0] == prints[1] != prints[2]
    assert all(len(one) == 6 for one in prints)


@pytest.mark.parametrize(("option", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_the_usual_name_of_a_subsampling(option, name):
    with jpeg(subsampling=option) as image:
        assert subsampling(image) == name


def test_a_grey_picture_has_no_chroma():
    with jpeg(PIXELS[:, :, 0]) as image:
        assert subsampling(image) == "grey"
