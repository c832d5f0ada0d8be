"""Golden pictures: the same integers on every machine."""

import hashlib

import numpy as np
import pytest

from cameraborn.detect.golden import GOLDEN_NAMES, golden_picture
from cameraborn.errors import BundleError

DIGESTS = {
    "waves-256": "ddcca2b46416f083",
    "grain-200": "737c565f111344fd",
    "blocks-300": "49135ae4931c9d18",
}


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_a_golden_picture_never_changes(name):
    pixels = golden_picture(name)
    side = int(name.partition("-")[2])
    assert (pixels.shape, pixels.dtype) == ((side, side, 3), np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == DIGESTS[name]


def test_one_pixel_by_hand():
    """Waves at x = 10, y = 20: ramp (30 + 40) // 8 = 8, texture (100 + 800) // 97 = 9."""
    channels = [(8 + 9 * (c + 2) // 2 + 20 * c) % 256 for c in range(3)]
    assert golden_picture("waves-64")[20, 10].tolist() == channels == [17, 41, 66]


@pytest.mark.parametrize("name", ["clouds-256", "waves-63", "waves-4097", "waves-x", "waves", ""])
def test_other_names_are_refused(name):
    with pytest.raises(BundleError, match="is not known to this release"):
        golden_picture(name)
