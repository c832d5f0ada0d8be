"""Boxes, of which files of HEIF, AVIF, JPEG XL and their manifests are made (ISO 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator

JPEG_XL = b"\0\0\0\x0cJXL \r\n\x87\n"  # the first box of a JPEG XL file that has boxes


def boxes_of(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and body of each box of one level, as far as they are complete."""
    at = 0
    while at + 8 <= len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:
            length = len(data) - at
        if length < header or at + length > len(data):
            return
        yield bytes(data[at + 4 : at + 8]), data[at + header : at + length]
        at += length
