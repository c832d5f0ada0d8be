"""Runs of equal bytes amid the coded pixels of WebP, AVIF and HEIC, which have no checksums: nobody coded these.

Coded pixels look random: of sound files no run is longer than five bytes. But for WebP with loss, whose coder writes
zeros where the picture is flat: one for each 526 pixels at most, if it is as fast and flat as can be. What was
overwritten by something else than equal bytes is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cameraborn.photo.boxes import boxes_of

LONGEST = 64  # bytes; what is longer was not coded
PIXELS_A_ZERO = 400  # of WebP with loss, that may be longer by a byte for each so many pixels
_CODED = (b"av01", b"hvc1", b"hev1")  # types of items


def overwritten(data: bytes, pixels: int) -> str | None:
    """A phrase on the longest run that was not coded, in a file of one picture; None if there is none.

    Args:
        data: the encoded file.
        pixels: number of them.
    """
    found = max(_long_runs(data, pixels), default=None)
    return found and "{} bytes of its coded pixels are all {:#04x}".format(*found)


def _long_runs(data: bytes, pixels: int) -> Iterator[tuple[int, int]]:
    """Length and byte of the longest run of each part, if it is too long."""
    for part, most in coded_parts(data, pixels):
        length, byte = _longest_run(part)
        if length > most:
            yield length, byte


def coded_parts(data: bytes, pixels: int) -> Iterator[tuple[memoryview, int]]:
    """The parts of a file that hold nothing but coded pixels, and how long a run in them may be."""
    view = memoryview(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        for kind, body in _chunks(view[12:]):
            if kind == b"VP8L":
                yield body, LONGEST
            elif kind == b"VP8 ":
                yield body, LONGEST + pixels // PIXELS_A_ZERO
    elif data[4:8] == b"ftyp":
        for offset, length in _extents(view):
            yield view[offset : offset + length], LONGEST


def _longest_run(part: memoryview) -> tuple[int, int]:
    """Its length and its byte; 0, 0 of nothing."""
    found = np.frombuffer(part, np.uint8)
    if not len(found):
        return 0, 0
    begins = np.concatenate([[0], np.flatnonzero(np.diff(found)) + 1, [len(found)]])
    lengths = np.diff(begins)
    at = int(lengths.argmax())
    return int(lengths[at]), int(found[begins[at]])


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Of a WebP file (RFC 9649, 2.3), as far as they are complete."""
    at = 0
    while at + 8 <= len(view):
        length = int.from_bytes(view[at + 4 : at + 8], "little")
        yield bytes(view[at : at + 4]), view[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _extents(view: memoryview) -> Iterator[tuple[int, int]]:
    """Offset and length of what holds coded pixels, as the boxes `iinf` and `iloc` say (ISO 14496-12, 8.11)."""
    for kind, meta in boxes_of(view):
        if kind != b"meta":
            continue
        boxes = dict(boxes_of(meta[4:]))
        coded = set(_coded_items(boxes.get(b"iinf", memoryview(b""))))
        for item, offset, length in _located(_Fields(boxes.get(b"iloc", memoryview(b"")))):
            if item in coded:
                yield offset, length


def _coded_items(iinf: memoryview) -> Iterator[int]:
    """Numbers of the items of coded pixels."""
    for kind, body in boxes_of(iinf[8 if any(iinf[:1]) else 6 :]):
        if kind == b"infe" and (version := body[0] if len(body) else 0) >= 2:
            size = 2 if version == 2 else 4
            if bytes(body[6 + size : 10 + size]) in _CODED:
                yield int.from_bytes(body[4 : 4 + size], "big")


class _Fields:
    """Numbers, one after the other; beyond the end they are 0."""

    def __init__(self, body: memoryview) -> None:
        self._body, self._at = body, 0

    def take(self, size: int) -> int:
        """The next number of so many bytes."""
        self._at += size
        return int.from_bytes(self._body[self._at - size : self._at], "big")

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._body)


def _located(iloc: _Fields) -> Iterator[tuple[int, int, int]]:
    """Item, offset in the file and length of each extent that lies in the file itself."""
    version, _ = iloc.take(1), iloc.take(3)
    offset_size, length_size = divmod(iloc.take(1), 16)
    base_size, index_size = divmod(iloc.take(1), 16)
    wide = 4 if version >= 2 else 2
    for _ in range(iloc.take(wide)):
        if iloc.ended:
            return
        item = iloc.take(wide)
        method = iloc.take(2) & 15 if version else 0
        iloc.take(2)  # of the reference to another file
        base = iloc.take(base_size)
        for _ in range(iloc.take(2)):
            if iloc.ended:
                return
            iloc.take(index_size if version else 0)
            offset, length = iloc.take(offset_size), iloc.take(length_size)
            if method == 0:
                yield item, base + offset, length
