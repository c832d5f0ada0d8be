"""The decoder's warnings: none of sound files, and one of each damage that it repairs."""

import io

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo.jpeg_parts import jpeg_parts
from cameraborn.photo.jpeg_warnings import warns_of_data

from ..conftest import EXAMPLES

SOUND = {
    "plain": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "optimised": {"optimize": True},
    "coarse": {"quality": 5},
}


def jpeg(mode="RGB", size=(320, 256), **options):
    stream = io.BytesIO()
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        image.convert(mode).resize(size).save(stream, "JPEG", **{"quality": 85, **options})
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("size", [(320, 256), (16, 16), (97, 131)])
def test_nothing_is_said_of_sound_files(mode, options, size):
    assert not warns_of_data(jpeg(mode, size, **options))
    assert not warns_of_data(jpeg(mode, size, **options) + bytes(100))  # behind the end marker


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("seed", range(4))
def test_lost_bytes_are_warned_of(mode, seed):
    data = jpeg(mode)
    scan = jpeg_parts(data).scans[0]
    at = int(np.random.default_rng(seed).integers(scan.start, scan.end - 200))
    assert warns_of_data(data[:at] + data[at + 99 :])


@pytest.mark.parametrize("data", [b"", b"no JPEG", jpeg()[:100]])
def test_what_is_no_jpeg_is_nothing_to_warn_of(data):
    assert not warns_of_data(data)
