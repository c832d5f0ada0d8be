"""What of a picture's file is damaged, and which of its pixels are affected.

Decoders repair what they can and say nothing: they fill up with grey or black, go on with blocks in the wrong places,
pass over checksums. A detector that looks for traces of a camera must know. Each format has its search:
`photo.damage_jpeg`, `photo.damage_png`, `photo.damage_tiff`. libtiff goes on after some errors, which it reports; it
does not say where they are, so the whole picture counts as affected, as it does where coded pixels of WebP, AVIF or
HEIC were overwritten by equal bytes (`photo.damage_overwritten`). Else Pillow refuses of these and of GIF and BMP, and
of a TIFF without compression or with LZW or PackBits, what it cannot decode; these have no checksums, and what is
overwritten in them may decode to something else unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image

from cameraborn.files import Box, Pixels
from cameraborn.photo.damage_jpeg import jpeg_damage
from cameraborn.photo.damage_overwritten import overwritten
from cameraborn.photo.damage_png import SIGNATURE, PngFrame, frame_damage, may_lack_rows, png_damage
from cameraborn.photo.damage_tiff import TiffPieces, tiff_damage
from cameraborn.photo.feed import JpegFeed


@dataclass(frozen=True)
class Damage:
    """Notes for a reader, and what is affected; empty for a sound file."""

    notes: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()  # upright pixels; they do not overlap

    def share_of(self, box: Box) -> float:
        """The share of a box's area, 0..1, that is affected; 0 for a box without an area."""
        x0, y0, x1, y1 = box
        area = (x1 - x0) * (y1 - y0)
        if not area > 0:
            return 0.0
        shared = 0.0
        for left, top, right, bottom in self.boxes:
            shared += max(0.0, min(right, x1) - max(left, x0)) * max(0.0, min(bottom, y1) - max(top, y0))
        return shared / area


def damage_of(
    data: bytes,
    source: object,
    image: PIL.Image.Image,
    pixels: Pixels,
    orientation: int = 1,
    said: Sequence[str] = (),
) -> Damage:
    """What is known of a decoded file.

    Args:
        data: the encoded file.
        source: where its pixels came from: the `photo.feed.JpegFeed` of a JPEG, the `TiffPieces` of a TIFF.
        image: decoded, in the mode that it is stored in.
        pixels: decoded and upright, [H W 3].
        orientation: EXIF orientation 1..8 that was undone in `pixels`.
        said: what libtiff reported of a TIFF.
    """
    if isinstance(source, TiffPieces):
        orientation = source.orientation
    stored = as_stored(pixels, orientation)
    height, width, _ = stored.shape
    notes: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    if isinstance(source, JpegFeed):
        notes, boxes = jpeg_damage(source, stored)
    elif data[:4] == SIGNATURE:
        notes, first = png_damage(data, may_lack_rows(image))
        boxes = () if first is None else ((0.0, float(first), float(width), float(height)),)
    elif said:
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        notes, boxes = (f"libtiff reports: {said[0]}{more}",), ((0.0, 0.0, float(width), float(height)),)
    elif isinstance(source, TiffPieces):
        notes, boxes = tiff_damage(data, source, image, stored)
    elif (note := overwritten(data, width * height)) is not None:
        notes, boxes = (note,), ((0.0, 0.0, float(width), float(height)),)
    return Damage(notes, tuple(_upright(box, orientation, width, height) for box in boxes))


def with_frames(damage: Damage, header: bytes, frames: Sequence[PngFrame], orientation: int) -> Damage:
    """The damage of a frame of an animated PNG: that of the frame before, and what the frames since then lack.

    Frames are laid over each other. The affected part is the smallest box around all that is.
    """
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    lacking = [found for frame in frames if (found := frame_damage(header, frame)) is not None]
    if not lacking:
        return damage
    boxes = [*damage.boxes, *(_upright(box, orientation, width, height) for _, box in lacking)]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    notes = dict.fromkeys([*damage.notes, *(note for note, _ in lacking)])
    return Damage(tuple(notes), ((min(lefts), min(tops), max(rights), max(bottoms)),))


def as_stored(pixels: Pixels, orientation: int) -> Pixels:
    """Upright pixels [H W 3] as they lie in a file of that EXIF orientation; a view, not a copy."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 6, 7}:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in {2, 3, 7, 8} else pixels


def _upright(box: Box, orientation: int, width: int, height: int) -> Box:
    """A box of stored pixels, width x height, in the upright picture."""
    x0, y0, x1, y1 = box
    if orientation in {2, 3, 7, 8}:
        x0, x1 = width - x1, width - x0
    if orientation in {3, 4, 6, 7}:
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if orientation >= 5 else (x0, y0, x1, y1)
