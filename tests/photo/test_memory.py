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
BYTES = 8  # a pixel: 4 of Pillow's, 3 of ours, and what is made on the way
PROGRAM = """
import resource, sys
from cameraborn.photo.decode import open_picture
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
open_picture(sys.argv[1]); before = peak()
open_picture(sys.argv[2]); print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_pixel_costs_few_bytes(tmp_path):
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    ramp = Image.linear_gradient("L").convert("RGB")
    ramp.save(small)
    ramp.resize(SIDES).save(large)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, small, large], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < BYTES * SIDES[0] * SIDES[1]


def test_strips_are_the_whole_picture(monkeypatch):
    path = Path(__file__).parents[1] / "pictures" / "photo-1.jpg"
    whole = open_picture(path).pixels
    with Image.open(path) as image:
        assert np.array_equal(whole, np.asarray(image.convert("RGB")))
    for strip in (1, 1000, 12_345):
        monkeypatch.setattr(decode, "_STRIP", strip)
        assert np.array_equal(open_picture(path).pixels, whole)
