"""What of a TIFF is damaged, piece by piece: its strips or tiles are compressed each for itself.

Pieces that are JPEGs are searched as JPEG files are; for that they are decoded once more. Pieces compressed with
deflate end in a checksum of their pixels, which libtiff passes over. Other compressions say nothing of themselves.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from cameraborn.files import Box, Pixels
from cameraborn.photo.damage_jpeg import jpeg_damage
from cameraborn.photo.exif import MALFORMED
from cameraborn.photo.feed import JpegFeed

_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION, _PREDICTOR, _JPEG_TABLES = 256, 257, 259, 274, 317, 347
_STRIP_STARTS, _STRIP_ROWS, _STRIP_LENGTHS = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_STARTS, _TILE_LENGTHS = 322, 323, 324, 325
_JPEG, _DEFLATE = 7, frozenset({8, 32946})
_BY_DIFFERENCES = 2  # the predictor: each pixel less its left neighbour
_AT_A_TIME = 1 << 20  # bytes that are inflated
_WRONG_CHECKSUM = "the checksum of compressed data is wrong or missing"
_BYTES = frozenset({"L", "RGB", "RGBA", "CMYK"})  # modes whose pixels are kept as they are stored


@dataclass(frozen=True)
class TiffPieces:
    """The strips or tiles of a TIFF's first picture, as its tags say before it is decoded."""

    kind: str  # "strips" or "tiles"
    compression: int
    orientation: int  # 1..8; Pillow undoes it while it decodes
    by_differences: bool
    planar: bool  # each channel has pieces of its own
    tables: bytes  # a JPEG without a scan: the tables that the others have in common
    pieces: tuple[
        tuple[Box, int, int], ...
    ]  # stored pixels, which may reach over the edge; byte offset and length


def tiff_pieces(image: PIL.Image.Image) -> TiffPieces | None:
    """The pieces of a TIFF that is not decoded yet; None where nothing could be learnt from them."""
    if not isinstance(image, TiffImageFile):
        return None
    tags = image.tag_v2
    compression = tags.get(_COMPRESSION)
    if compression not in {_JPEG, *_DEFLATE}:
        return None
    W, H = tags[_WIDTH], tags[_HEIGHT]
    if _TILE_STARTS in tags:
        width, height = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)
        starts, lengths = tags[_TILE_STARTS], tags.get(_TILE_LENGTHS, ())
    else:
        width, height = W, min(H, tags.get(_STRIP_ROWS, H))
        starts, lengths = tags.get(_STRIP_STARTS, ()), tags.get(_STRIP_LENGTHS, ())
    if width < 1 or height < 1 or not starts or len(starts) != len(lengths):
        return None
    places = [(x, y) for y in range(0, H, height) for x in range(0, W, width)]
    return TiffPieces(
        kind="tiles" if _TILE_STARTS in tags else "strips",
        compression=compression,
        orientation=tags.get(_ORIENTATION, 1),
        by_differences=tags.get(_PREDICTOR, 1) == _BY_DIFFERENCES,
        planar=len(starts) > len(places),  # those of the second channel begin where the first's end
        tables=tags.get(_JPEG_TABLES, b""),
        pieces=tuple(
            (_box(*places[number % len(places)], width, height), start, length)
            for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
        ),
    )


def tiff_damage(
    data: bytes, tiff: TiffPieces, image: PIL.Image.Image, pixels: Pixels
) -> tuple[tuple[str, ...], tuple[Box, ...]]:
    """Notes, and what is affected; both empty for a sound file.

    Args:
        data: the file.
        tiff: its pieces.
        image: decoded from it, in the mode that it is stored in.
        pixels: [H W 3], as they lie in the file.
    """
    found: Counter[str] = Counter()
    boxes: dict[Box, None] = {}
    H, W, _ = pixels.shape
    for place, start, length in tiff.pieces:
        piece = data[start : start + length]
        if tiff.compression == _JPEG:
            notes, damaged = _in_jpeg(_whole(piece, tiff.tables), place, pixels)
        else:
            notes, damaged = _in_deflated(piece, place, tiff, image)
        if damaged:
            found.update(notes)
            for x0, y0, x1, y1 in [place] if tiff.planar else damaged:  # those of channels must not overlap
                if x0 < W and y0 < H:
                    boxes[x0, y0, min(x1, float(W)), min(y1, float(H))] = None
    count = len(tiff.pieces)
    said = (f"in {times:,} of {count:,} {tiff.kind} of the TIFF: {note}" for note, times in found.items())
    return tuple(said), tuple(boxes)


def _whole(piece: bytes, tables: bytes) -> bytes:
    """A JPEG with its tables: both begin with a start marker, and the tables have an end marker."""
    return tables[:-2] + piece[2:] if tables else piece


def _in_jpeg(data: bytes, place: Box, pixels: Pixels) -> tuple[tuple[str, ...], list[Box]]:
    left, top, _, _ = (int(edge) for edge in place)
    try:
        feed = JpegFeed(data)
        feed.watch(image := JpegImageFile(feed))
        image.load()
    except MALFORMED:  # libtiff has decoded it
        return (), []
    height, width = feed.parts.height, feed.parts.width
    part = pixels[top : top + height, left : left + width]
    beyond = ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0))
    notes, boxes = jpeg_damage(feed, np.pad(part, beyond, "edge"), is_part=True)
    return notes, [(left + x0, top + y0, left + x1, top + y1) for x0, y0, x1, y1 in boxes]


def _in_deflated(
    data: bytes, place: Box, tiff: TiffPieces, image: PIL.Image.Image
) -> tuple[tuple[str, ...], list[Box]]:
    """The checksum is compared with that of the decoded pixels; they are inflated once more where it differs.

    libtiff stops where it has all pixels. Damaged data go on: to a wrong checksum, or to no end at all.
    """
    expected = _stored_bytes(place, tiff, image)
    if zlib.adler32(expected).to_bytes(4, "big") == data[-4:]:
        return (), []
    inflate, got = zlib.decompressobj(), 0
    try:
        while data and not inflate.eof:
            got += len(inflate.decompress(data, _AT_A_TIME))
            data = inflate.unconsumed_tail
    except zlib.error:
        return (_WRONG_CHECKSUM,), [place]
    endless = expected and not inflate.eof and got > len(expected)
    return ((_WRONG_CHECKSUM,), [place]) if endless else ((), [])


def _stored_bytes(place: Box, tiff: TiffPieces, image: PIL.Image.Image) -> bytes:
    """What a piece holds before compression; empty where that is stored in another way."""
    if image.mode not in _BYTES or tiff.orientation != 1:
        return b""
    x0, y0, x1, y1 = (int(edge) for edge in place)
    values = np.asarray(image.crop((x0, y0, min(x1, image.width), min(y1, image.height))))
    if tiff.by_differences:
        values = values.copy()
        values[:, 1:] -= values[:, :-1].copy()
    return values.tobytes()


def _box(x: int, y: int, width: int, height: int) -> Box:
    return float(x), float(y), float(x + width), float(y + height)
