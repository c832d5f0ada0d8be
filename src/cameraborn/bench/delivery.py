"""A picture as it is delivered after a degradation: encoded bytes, which are what detectors are given."""

from __future__ import annotations

import io

from PIL import Image

from cameraborn.bench.config import UNDEGRADED
from cameraborn.photo.decode import open_picture
from cameraborn.photo.degrade import degrade


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
