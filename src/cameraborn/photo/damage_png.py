"""What of a PNG is damaged, and from which row on: checksums that are wrong, chunks and rows that are lacking.

Pillow leaves the rows black whose data end early and in order. The rows are counted by inflating the data once more, a
piece at a time; so this is done only where something is suspected, as where the last row is black.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

SIGNATURE = b"\x89PNG"
_FIRST_CHUNK = 8  # byte offset
_END = b"\0\0\0\0IEND\xaeB`\x82"
_LEAST = 57  # bytes: signature, header, the shortest data and the end
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by type of colour
_IN_ORDER = ((0, 0, 1, 1),)
# Each pass of an interlaced PNG: its first column and row, and the steps from one to the next (PNG, 8.2).
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_PIECE = 1 << 16  # compressed bytes at a time
_MOST = 1 << 20  # bytes that come of a piece at a time


@dataclass
class PngFrame:
    """The picture, or one frame of an animation: where it lies in the picture, and its compressed data."""

    left: int
    top: int
    width: int
    height: int
    compressed: list[bytes] = field(default_factory=list)


def png_damage(data: bytes, suspected: bool) -> tuple[tuple[str, ...], int | None]:
    """Notes, and the first row of pixels that is affected; None for no row.

    Args:
        data: the file.
        suspected: whether rows may be lacking (`may_lack_rows`), which is counted then.
    """
    notes, kinds = [], set()
    header = b""
    compressed: list[bytes] = []
    sound: int | None = None  # how many bodies of compressed data come before the first that is damaged
    for at, kind, body, right in _chunks(data):
        kinds.add(kind)
        header = body if kind == b"IHDR" else header
        if not right:
            name = kind.decode("ascii", "replace") if kind.isalpha() else "a chunk"
            notes.append(f"the checksum of {name} at byte {at:,} of the PNG is wrong")
            if sound is None and kind in {b"IDAT", b"PLTE"}:
                sound = len(compressed)
        if kind == b"IDAT":
            compressed.append(body)
    if b"IEND" not in kinds:
        notes.append("the end of the PNG is missing")
    if sound is None and not suspected:
        return tuple(notes), None
    width, height = _size(header)
    got, ended = _inflated(compressed)
    first = _first_lacking(header, width, height, got)
    if first is not None:
        notes.append(_lacking(first, height))
    if sound is None or ended:  # then it is the chunk's checksum that was damaged
        return tuple(notes), first
    return tuple(notes), _first_lacking(header, width, height, _inflated(compressed[:sound])[0])


def may_lack_rows(image: PIL.Image.Image) -> bool:
    """Whether the row of a decoded PNG that comes last has nothing but zeros, as where it never came.

    That is the last row, or of an interlaced PNG one of the last two.
    """
    W, H = image.size
    return not all(row.any() for row in np.asarray(image.crop((0, max(0, H - 2), W, H))))


def frames_of(data: bytes) -> tuple[bytes, list[PngFrame]]:
    """The header, and the frames of an animation as Pillow numbers them: the first is the one that others show too."""
    header, frames = b"", []
    for _, kind, body, _ in _chunks(data):
        if kind == b"IHDR":
            header = body
            frames = [PngFrame(0, 0, *_size(body))]
        elif kind == b"fcTL" and frames and frames[0].compressed:
            width, height, left, top = (int.from_bytes(body[at : at + 4], "big") for at in range(4, 20, 4))
            frames.append(PngFrame(left, top, width, height))
        elif kind in {b"IDAT", b"fdAT"} and frames:
            frames[-1].compressed.append(body if kind == b"IDAT" else body[4:])
    return header, frames


def frame_damage(header: bytes, frame: PngFrame) -> tuple[str, tuple[float, float, float, float]] | None:
    """A note, and what of the stored picture is affected, where a frame lacks rows."""
    got, _ = _inflated(frame.compressed)
    first = _first_lacking(header, frame.width, frame.height, got)
    if first is None:
        return None
    x1, y1 = frame.left + frame.width, frame.top + frame.height
    return _lacking(first, frame.height), (float(frame.left), float(frame.top + first), float(x1), float(y1))


def with_its_end(data: bytes) -> bytes:
    """A PNG that lacks its last chunk, which holds nothing, gets one; other bytes are returned as they are."""
    if data[:4] == SIGNATURE and len(data) >= _LEAST - len(_END):
        chunks = list(_chunks(data))
        if chunks and chunks[-1][1] == b"IDAT" and chunks[-1][3]:
            return data[: chunks[-1][0] + len(chunks[-1][2]) + 12] + _END
    return data


def _chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes, bool]]:
    """Offset, kind, body, and whether the body is whole and its checksum right."""
    at = _FIRST_CHUNK
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        stated = data[at + 8 + length : at + 12 + length]
        yield (
            at,
            kind,
            body,
            len(body) == length and stated == zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big"),
        )
        if kind == b"IEND":
            return
        at += 12 + length


def _size(header: bytes) -> tuple[int, int]:
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")


def _lacking(first: int, height: int) -> str:
    return f"data of the PNG are missing: of {height:,} rows, those from row {first + 1:,} on are not whole"


def _inflated(compressed: Sequence[bytes]) -> tuple[int, bool]:
    """How many bytes come of the data, and whether they end in order, their checksum right."""
    inflate, got = zlib.decompressobj(), 0
    try:
        for body in compressed:
            for at in range(0, len(body), _PIECE):
                piece = body[at : at + _PIECE]
                while piece and not inflate.eof:
                    got += len(inflate.decompress(piece, _MOST))
                    piece = inflate.unconsumed_tail
    except zlib.error:
        return got, False
    return got, inflate.eof


def _first_lacking(header: bytes, width: int, height: int, got: int) -> int | None:
    """The first row that is not whole where so many bytes came of its data; None where all are whole."""
    bits = header[8] * _CHANNELS.get(header[9], 4)  # a pixel
    first = height
    for x, y, across, down in _ADAM7 if header[12] else _IN_ORDER:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns < 1 or rows < 1:
            continue
        stride = 1 + (columns * bits + 7) // 8
        whole = min(rows, got // stride)
        got -= whole * stride
        if whole < rows:
            first, got = min(first, y + whole * down), 0
    return first if first < height else None
