"""What of a picture's file is damaged, and which of its pixels are affected.

Decoders repair what they can and say nothing: they fill up with grey, go on with blocks in the wrong places, pass over
checksums. A detector that looks for traces of a camera must know. `photo.damage_jpeg` has what is done for JPEG; PNG is
here. Of WebP, AVIF, HEIC, GIF, TIFF and BMP, Pillow refuses what it cannot decode; these have no checksums, and what is
overwritten in them may decode to something else unnoticed. libtiff goes on after some errors, which it reports; it does
not say where they are, so the whole picture counts as affected. A TIFF without compression, or with PackBits or JPEG
inside, may be damaged unnoticed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cameraborn.files import Box, Pixels
from cameraborn.photo.damage_jpeg import jpeg_damage
from cameraborn.photo.feed import JpegFeed

_PNG_SIGNATURE = 8  # bytes
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_LEAST_PNG = 57  # bytes: signature, header, the shortest data and the end


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
    data: bytes, feed: object, pixels: Pixels, orientation: int = 1, said: Sequence[str] = ()
) -> Damage:
    """What is known of a decoded file.

    Args:
        data: the encoded file.
        feed: the stream that its decoder read: a `photo.feed.JpegFeed` for JPEG.
        pixels: decoded and upright, [H W 3].
        orientation: EXIF orientation 1..8 that was undone in `pixels`.
        said: what libtiff reported of a TIFF.
    """
    if isinstance(feed, JpegFeed):
        notes, boxes = jpeg_damage(data, feed, as_stored(pixels, orientation))
        height, width = as_stored(pixels, orientation).shape[:2]
        return Damage(notes, tuple(_upright(box, orientation, width, height) for box in boxes))
    if data[:4] == b"\x89PNG":
        notes, first_row = _png_damage(data)
        height, width = as_stored(pixels, orientation).shape[:2]
        if first_row is None:
            return Damage(notes)
        below = (0.0, float(min(first_row, height)), float(width), float(height))
        return Damage(notes, (_upright(below, orientation, width, height),))
    return _tiff_damage(said, pixels)


def with_its_end(data: bytes) -> bytes:
    """A PNG that lacks its last chunk, which holds nothing, gets one; other bytes are returned as they are."""
    if data[:4] == b"\x89PNG" and len(data) >= _LEAST_PNG - len(_PNG_END):
        chunks = list(_chunks(data))
        if chunks and chunks[-1][1] == b"IDAT" and chunks[-1][3]:
            return data[: chunks[-1][0] + len(chunks[-1][2]) + 12] + _PNG_END
    return data


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


def _chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes, bool]]:
    """Offset, kind, body, and whether the body is whole and its checksum right."""
    at = _PNG_SIGNATURE
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        stated = data[at + 8 + length : at + 12 + length]
        yield at, kind, body, len(body) == length and stated == zlib.crc32(kind + body).to_bytes(4, "big")
        if kind == b"IEND":
            return
        at += 12 + length


def _tiff_damage(said: Sequence[str], pixels: Pixels) -> Damage:
    if not said:
        return Damage()
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    H, W, _ = pixels.shape
    return Damage((f"libtiff reports: {said[0]}{more}",), ((0.0, 0.0, float(W), float(H)),))


def _png_damage(data: bytes) -> tuple[tuple[str, ...], int | None]:
    """Notes, and the first row of pixels that is affected."""
    notes, first_bad, kinds = [], None, set()
    compressed: list[bytes] = []
    header = b""
    for at, kind, body, sound in _chunks(data):
        kinds.add(kind)
        header = body if kind == b"IHDR" else header
        if not sound:
            name = kind.decode("ascii", "replace") if kind.isalpha() else "a chunk"
            notes.append(f"the checksum of {name} at byte {at:,} of the PNG is wrong")
            if kind in {b"IDAT", b"PLTE"}:
                first_bad = min(len(compressed), len(compressed) if first_bad is None else first_bad)
        if kind == b"IDAT":
            compressed.append(body)
    if b"IEND" not in kinds:
        notes.append("the end of the PNG is missing")
    if first_bad is None or _inflates(compressed):
        return tuple(notes), None
    return tuple(notes), _row_reached(header, compressed[:first_bad])


def _inflates(compressed: list[bytes]) -> bool:
    """Whether the pixels' own checksum is right: then it is the chunk's that was damaged."""
    inflate = zlib.decompressobj()
    try:
        for body in compressed:
            inflate.decompress(body)
    except zlib.error:
        return False
    return inflate.eof


def _row_reached(header: bytes, compressed: list[bytes]) -> int:
    """How many whole rows of pixels the sound data give; none where the rows do not come in their order."""
    width, bits, colour, interlaced = int.from_bytes(header[:4], "big"), header[8], header[9], header[12]
    if interlaced:
        return 0
    inflate, reached = zlib.decompressobj(), 0
    try:
        for body in compressed:
            reached += len(inflate.decompress(body))
    except zlib.error:
        return 0
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 4)
    return reached // (1 + (width * bits * channels + 7) // 8)
