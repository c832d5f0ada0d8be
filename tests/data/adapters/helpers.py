"""What the tests of the layouts share."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.adapters import LAYOUTS, LeftOut, Options
from cameraborn.errors import ManifestError

ISO, EXIF_IFD, MAKE = 0x8827, 0x8769, 0x010F


def picture(path, *, iso=None, make=None, shade=77, size=(40, 50)):
    """Write a small grey picture with some EXIF; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if make:
        exif[MAKE] = make
    if iso:
        exif.get_ifd(EXIF_IFD)[ISO] = iso
    Image.fromarray(np.full((*size, 3), shade, np.uint8)).save(path, exif=exif)
    return path


def entries(layout, source, **options):
    """What a layout lists."""
    return list(LAYOUTS[layout].entries(source, Options(**options)))


def rows(layout, source, **options):
    """The rows of a layout that leaves nothing out, by path relative to the source's folder, without their hash."""
    found = entries(layout, source, **options)
    assert not [item for item in found if isinstance(item, LeftOut)]
    return [item.row for item in found]


def refusal(layout, source, **options):
    """The one line with which a layout refuses a source."""
    with pytest.raises(ManifestError) as caught:
        entries(layout, source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
