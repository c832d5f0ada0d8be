"""What a large picture costs while it is decoded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo import decode
from cameraborn.photo.decode import open_picture

pytest.importorskip("resource")
SIDES = (5000, 4000)
# Bytes a pixel: 4 of Pillow's, 3 of ours, and what is made on the way; of a progressive JPEG its coefficients as well,
# 2 bytes for each of the 1.5 values of a pixel.
FILES = {
    "jpg": ({}, 8),
    "turned.jpg": ({"orientation": 6}, 8),
    "progressive.jpg": ({"progressive": True, "quality": 85}, 11),
    "rgb.png": ({"compress_level": 1}, 8.5),
    "rgba.png": ({"mode": "RGBA", "compress_level": 1}, 8.5),
}
PROGRAM = """
import resource, sys
from cameraborn.photo.decode import open_picture
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
open_picture(sys.argv[1]); before = peak()
open_picture(sys.argv[2]); print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("name", FILES)
def test_a_pixel_costs_few_bytes(tmp_path, name):
    options, limit = dict(FILES[name][0]), FILES[name][1]
    exif = Image.Exif()
    exif[0x0112] = options.pop("orientation", 1)
    small, large = tmp_path / f"small.{name}", tmp_path / f"large.{name}"
    ramp = Image.linear_gradient("L").convert(options.pop("mode", "RGB"))
    if ramp.mode == "RGBA":
        ramp.putalpha(ramp.getchannel("R"))
    ramp.save(small, exif=exif, **options)
    ramp.resize(SIDES).save(large, exif=exif, **options)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, small, large], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < limit * SIDES[0] * SIDES[1]


def test_strips_are_the_whole_picture(monkeypatch):
    path = Path(__file__).parents[1] / "pictures" / "photo-1.jpg"
    whole = open_picture(path).pixels
    with Image.open(path) as image:
        assert np.array_equal(whole, np.asarray(image.convert("RGB")))
    for strip in (1, 1000, 12_345):
        monkeypatch.setattr(decode, "_STRIP", strip)
        assert np.array_equal(open_picture(path).pixels, whole)
