"""A picture as it is delivered after a degradation: encoded bytes, which are what detectors are given."""

from __future__ import annotations

from cameraborn.degrade.named import degrade_bytes
from cameraborn.photo.decode import open_picture

UNDEGRADED = "none"


def deliver(data: bytes, degradation: str, *, name: str, key: str) -> bytes:
    """The encoded picture after a named degradation; `none` leaves the bytes alone.

    Args:
        data: the encoded picture.
        degradation: its name.
        name: what to call the picture in errors.
        key: seeds what is random in a degradation: the picture's SHA-256.

    Raises:
        PictureError: the picture cannot be read, or not be delivered so.
    """
    if degradation == UNDEGRADED:
        return data
    return degrade_bytes(open_picture(data, name=name).pixels, degradation, key=key)
