"""JPEG XL, through a plugin of Pillow's that is installed on its own (`cameraborn[jxl]`; its licence is the GPL).

The plugin decodes a file as soon as it is opened, and of an animation something that no viewer shows. So the header
(ISO 18181-1, annexes A to D) is read here first: how many pixels there will be, and whether they are one picture.
A JPEG that was packed without loss is given out as that JPEG, with all that a JPEG tells of its past.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from PIL import ExifTags, Image

from cameraborn.photo.boxes import JPEG_XL, boxes_of
from cameraborn.photo.exif import MALFORMED

_HEAD = 64  # bytes of the codestream that hold what is read of it
_Numbers = tuple[tuple[int, int], ...]  # by the two bits before a number: what is added to it, and its bits
_SIDES: _Numbers = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW: _Numbers = ((1, 6), (65, 8), (321, 10), (1345, 12))
_PREVIEW_EIGHTHS: _Numbers = ((16, 0), (32, 0), (1, 5), (33, 9))
_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height


@dataclass(frozen=True)
class Header:
    """What is known before anything is decoded; sides are those of the stored picture, before it is turned."""

    width: int
    height: int
    animated: bool


def jpeg_xl_available() -> bool:
    """Whether JPEG XL can be read, that is, whether pillow-jxl-plugin is installed."""
    return importlib.util.find_spec("pillow_jxl") is not None


def header_of(data: bytes) -> Header:
    """Read the header of a file.

    Raises:
        ValueError: there is none, or it is cut off.
    """
    head = _codestream(data)
    if not head.startswith(b"\xff\x0a"):
        raise ValueError("no codestream of JPEG XL in it")
    bits = _Bits(head[2:])
    width, height = bits.size()
    is_default = bits.take(1)
    animated = False
    if not is_default and bits.take(1):  # extra fields
        bits.take(3)  # orientation, which decoding undoes
        if bits.take(1):  # the size that is meant to be shown
            bits.size()
        if bits.take(1):
            bits.preview()
        animated = bool(bits.take(1))
    return Header(width, height, animated)


def decoded(data: bytes) -> Image.Image | bytes:
    """The picture, upright and on one thread; or the JPEG, encoded, that was packed into the file.

    Raises:
        RuntimeError: the file is damaged.
    """
    from pillow_jxl import Decoder

    try:
        jpeg, info, pixels, profile, boxes = Decoder(num_threads=0)(data)
    except RuntimeError as error:  # whose words are advice to who builds libjxl
        raise RuntimeError("its decoder refuses it") from error
    if jpeg:
        return bytes(pixels)
    image = Image.frombuffer(info.mode, (info.width, info.height), pixels)
    if profile:
        image.info["icc_profile"] = bytes(profile)
    for box in boxes:
        if box.box_type == b"Exif":  # the block begins so many bytes after these four
            image.info["exif"] = box.data[4 + int.from_bytes(box.data[:4], "big") :]
        elif box.box_type == b"xml ":
            image.info["xmp"] = box.data
    with suppress(*MALFORMED):  # EXIF repeats the orientation that is undone already
        image.getexif().pop(ExifTags.Base.Orientation, None)
    return image


def _codestream(data: bytes) -> bytes:
    """The first bytes of the codestream: in a container it may lie in several boxes."""
    if not data.startswith(JPEG_XL):
        return data[:_HEAD]
    found = b""
    for body in _codestream_boxes(data):
        found += bytes(body[: _HEAD - len(found)])
        if len(found) >= _HEAD:
            break
    return found


def _codestream_boxes(data: bytes) -> Iterator[memoryview]:
    for type, body in boxes_of(memoryview(data)):
        if type == b"jxlc":
            yield body
        elif type == b"jxlp":
            yield body[4:]  # after its number


class _Bits:
    """Numbers of a codestream, whose bits are read from the lowest on (ISO 18181-1, annex B)."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next so many bits."""
        if count > self._left:
            raise ValueError("the header is cut off")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def size(self) -> tuple[int, int]:
        """Width and height of a picture (D.2)."""
        if self.take(1):
            return self._sides(lambda: 8 * (1 + self.take(5)))
        return self._sides(lambda: self._number(_SIDES))

    def preview(self) -> tuple[int, int]:
        """Width and height of a preview (D.2)."""
        if self.take(1):
            return self._sides(lambda: 8 * self._number(_PREVIEW_EIGHTHS))
        return self._sides(lambda: self._number(_PREVIEW))

    def _sides(self, side: Callable[[], int]) -> tuple[int, int]:
        height = side()
        ratio = _RATIOS[self.take(3)]
        return (side() if ratio is None else height * ratio[0] // ratio[1]), height

    def _number(self, numbers: _Numbers) -> int:
        added, bits = numbers[self.take(2)]
        return added + self.take(bits)
