"""Encoded pictures after a named degradation: what the benchmark gives to detectors."""

import io

import numpy as np
import pytest
from PIL import Image

from cameraborn.degrade.named import UNDEGRADED, degrade_bytes, degrade_encoded
from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture

from ..conftest import encoded


def test_an_undegraded_picture_keeps_its_bytes():
    assert degrade_encoded(b"whatever", UNDEGRADED, picture="x.jpg", key="k") == b"whatever"


def test_a_degraded_picture_is_encoded_anew_and_its_draws_are_of_its_key():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    data = encoded(pixels, "PNG")
    jpeg = degrade_encoded(data, "jpeg:60", picture="x.png", key="k")
    literal = io.BytesIO()
    Image.fromarray(pixels).save(literal, "JPEG", quality=60)
    assert jpeg == literal.getvalue()
    noisy = degrade_encoded(data, "noise:5", picture="x.png", key="k")
    assert noisy == degrade_bytes(pixels, "noise:5", key="k")
    other = degrade_encoded(data, "noise:5", picture="x.png", key="other")
    assert (open_picture(other).pixels != open_picture(noisy).pixels).any()


def test_an_unreadable_picture_is_named():
    with pytest.raises(PictureError, match=r"x\.jpg"):
        degrade_encoded(b"no picture", "jpeg:60", picture="x.jpg", key="k")
