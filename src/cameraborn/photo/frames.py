"""The frames of an animation, one after the other, so that a detector can judge the first that shows a face.

Many begin with a blank frame or a title. Whatever the length, a bounded number of frames is looked at: the first ones
all, later ones ever further apart.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from PIL import Image

from cameraborn.photo.damage import with_frames
from cameraborn.photo.damage_png import frames_of
from cameraborn.photo.decode import (
    MAX_PIXELS,
    Picture,
    PictureSource,
    named_errors,
    open_picture,
    read_encoded,
    recognised,
)
from cameraborn.photo.exif import read_orientation
from cameraborn.photo.feed import EndOfFile

LAST_FRAME = 1000  # what comes later is not looked at
_DENSE = 8  # frames that are taken one by one; from frame n on, every n / 8th


def frames(
    source: PictureSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Generator[tuple[int, Picture], None, None]:
    """Number, from 0, and picture of frames as a viewer shows them, lazily; of anything else, its one picture.

    At most some 60, of the first `LAST_FRAME`. All have the facts of the file in common; an animation that ends in the
    middle of a frame ends with the frame before.

    Raises:
        PictureError: as `open_picture`, for the frame that is asked for.
        TypeError: `source` is no picture.
    """
    if isinstance(source, np.ndarray | Image.Image):
        yield 0, open_picture(source, name=name, max_pixels=max_pixels)
        return
    data, label = read_encoded(source, name)
    first = open_picture(data, name=label, max_pixels=max_pixels)
    yield 0, first
    if first.frame is None:
        return
    image, _ = recognised(data, label)
    own = dict(image.info)
    header, stored = frames_of(data) if first.format == "PNG" else (b"", [])
    damage, number, done = first.damage, 1, 1
    while number <= LAST_FRAME:
        with named_errors(label, first.format):
            try:
                image.seek(number)
                image.load()
            except (EOFError, EndOfFile):
                return
        image.info = own | image.info  # some decoders begin again at each frame
        pixels = open_picture(image, name=label, max_pixels=max_pixels).pixels
        damage = with_frames(damage, header, stored[done : number + 1], read_orientation(image))
        yield number, replace(first, pixels=pixels, frame=number, damage=damage)
        done = number + 1
        number += max(1, number // _DENSE)
