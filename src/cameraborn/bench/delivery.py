"""A picture as it is delivered after a degradation: encoded bytes, which are what detectors are given."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from cameraborn.photo.decode import open_picture
from cameraborn.photo.degrade import degrade

UNDEGRADED = "none"


def check_degradation(name: str) -> None:
    """See that a name is one, before the first picture.

    Raises:
        PictureError: it is not; the message names those that are.
    """
    if name != UNDEGRADED:
        degrade(np.zeros((64, 64, 3), np.uint8), name)


def deliver(data: bytes, degradation: str, name: str) -> bytes:
    """The encoded picture after a named degradation; `none` leaves the bytes alone.

    A compression is the last encoding; everything else is saved without loss.

    Raises:
        PictureError: the picture cannot be read, or the degradation is not known.
    """
    if degradation == UNDEGRADED:
        return data
    pixels = open_picture(data, name=name).pixels
    kind, _, quality = degradation.partition(":")
    buffer = io.BytesIO()
    if kind in ("jpeg", "webp"):
        degrade(pixels[:16, :16], degradation)  # checks the name and its number
        Image.fromarray(pixels).save(buffer, kind.upper(), quality=int(float(quality)))
    else:
        Image.fromarray(degrade(pixels, degradation)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
