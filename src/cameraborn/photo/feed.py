"""Encoded bytes as a decoder reads them: never beyond their end, and for a JPEG with a look at how far it has come."""

from __future__ import annotations

import io

import PIL.Image

from cameraborn.photo.jpeg_parts import JpegParts, jpeg_parts
from cameraborn.photo.jpeg_scans import has_all
from cameraborn.photo.jpeg_walk import can_walk, walk

JPEG_END = b"\xff\xd9"
GREY = 128  # what a decoder puts where data lack
_INKS = {"L": 77, "RGB": (1, 254, 3), "CMYK": (1, 254, 3, 77)}
_PROBES = 8  # pixels of a row: all of them in the colour of the ink are no picture


class EndOfFile(OSError):
    """More bytes were asked for than the file has."""


class WholeFile(io.BytesIO):
    """Refuses to read beyond its end: a host may have set LOAD_TRUNCATED_IMAGES, which fills up with grey."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; `EndOfFile` where there are none."""
        data = super().read(size)
        if not data and size != 0:
            raise EndOfFile("the file ends early")
        return data


class WebpFeed(WholeFile):
    """Gives the first bytes of a WebP without its size, which Pillow would compare with a limit of its own."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; at the beginning, at most the names of the file and of its first chunk."""
        return super().read(16 if self.tell() == 0 and size is not None and size > 16 else size)


class JpegFeed(WholeFile):
    """A JPEG with its end marker, in two helpings: all but the last byte of the compressed data, and the rest.

    libjpeg says what it skipped or filled up in warnings that Pillow drops. But it cannot finish the last row of a
    sound file of one scan before it has that last byte: if it does, codes were lost or read wrongly and data are left
    over. And if it is more than a row of units behind, codes are lacking, and the rest will be grey. To see which rows
    are there, two of them are inked before decoding begins.

    Attributes:
        data: the file.
        parts: the same, taken apart.
        finished_early: whether the last row was there too early; None where it is not known (several scans).
        behind: whether rows above the last units were not there yet; None where it is not known.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts: JpegParts = jpeg_parts(data)
        super().__init__(data if self.parts.end is not None else data + JPEG_END)
        self.finished_early: bool | None = None
        self.behind: bool | None = None
        self._image: PIL.Image.Image | None = None
        one = len(self.parts.scans) == 1 and not self.parts.progressive
        self._pause = self.parts.scans[0].end - 1 if one else None

    def watch(self, image: PIL.Image.Image) -> None:
        """Look at this picture, which reads from here, while it is loaded."""
        self._image = image if image.mode in _INKS else None
        if self._pause is not None and self._image is not None and self.tell() > self._pause:
            self._pause = None

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, none of them beyond the pause before it was made."""
        at = self.tell()
        if self._image is not None and self._image.size != (self.parts.width, self.parts.height):
            self._image = None  # it is decoded smaller: its rows are others
        if self._image is None or self._pause is None or size is None or size < 1 or at > self._pause:
            return super().read(size)
        if at == self._pause:
            self.finished_early = not self._inked(self._image.height - 1)
            self.behind = self.parts.grid[0] > 1 and self._inked(self._upper())
            self._image = None
            return super().read(size)
        self._ink()
        return super().read(min(size, self._pause - at))

    def lacks_data(self, image: PIL.Image.Image) -> bool:
        """Whether a JPEG without an end marker lacks more than that: a scan, or the last units of one.

        Args:
            image: the picture that was loaded from here.
        """
        parts = self.parts
        if parts.end is not None:
            return False
        if self.behind or image.size != (parts.width, parts.height):
            return True
        if self._pause is None:
            return not has_all(self.data, parts)
        if can_walk(parts):
            return walk(self.getvalue(), parts)[-1].short
        (rows, columns), (width, height) = parts.grid, parts.mcu
        bands = (
            image.crop(((columns - 1) * width, (rows - 1) * height, *image.size)).convert("RGB").getextrema()
        )
        return all(band == (GREY, GREY) for band in bands)

    def _upper(self) -> int:
        """The first row of the last units but one."""
        rows = self.parts.grid[0]
        return max(0, min((rows - 2) * self.parts.mcu[1], self.parts.height - 2))

    def _ink(self) -> None:
        image = self._image
        if image is None or self.behind is not None:
            return
        self.finished_early, self.behind = True, False  # until the pause is reached
        for y in (image.height - 1, self._upper()):
            image.im.paste(_INKS[image.mode], (0, y, image.width, y + 1))

    def _inked(self, y: int) -> bool:
        image = self._image
        if image is None:
            return False
        places = range(0, image.width, max(1, image.width // _PROBES))
        return all(image.im.getpixel((x, y)) == _INKS[image.mode] for x in places)
