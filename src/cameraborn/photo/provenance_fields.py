"""The texts that a file carries beside its pixels, each with the place where it stands: what programs write there.

PNG text chunks (PNG 3rd edition, 11.3.3), EXIF tags that hold text, comments, IPTC-IIM data sets. Nothing here raises
on malformed files: what cannot be read is not there. Texts are cut and counted, so that memory is bounded whatever a
stranger sends.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from cameraborn.photo.exif import MALFORMED, pillow_warnings_silenced, read_ifds, text_of_tag
from cameraborn.photo.provenance_profiles import iim_of, raw_profile

MAX_TEXT = 1 << 18  # characters of one text; a workflow of ComfyUI has some ten thousand
MAX_FIELDS = 500  # of a file
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = "XML:com.adobe.xmp"

_TEXT_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    # Exif 3.0 (CIPA DC-008-2023)
    0xA436: "ImageTitle",
    0xA43A: "CameraFirmware",
    0xA43B: "RAWDevelopingSoftware",
    0xA43C: "ImageEditingSoftware",
    0xA43D: "MetadataEditingSoftware",
}
_USER_COMMENT = 0x9286
_WINDOWS_TAGS = {0x9C9B: "XPTitle", 0x9C9C: "XPComment", 0x9C9E: "XPKeywords", 0x9C9F: "XPSubject"}  # UTF-16
_IIM = {(2, 65): "OriginatingProgram", (2, 110): "Credit", (2, 115): "Source", (2, 120): "Caption"}


@dataclass(frozen=True)
class Field:
    """One text."""

    place: str  # "PNG text", "EXIF", "XMP", "IPTC", "comment", "C2PA", "pixels"
    name: str  # keyword, tag or property; empty for comments
    text: str
    of_part: bool = False  # it stands beside a word that what is generated is a part of the picture

    @property
    def where(self) -> str:
        """For people: `PNG text parameters`."""
        return f"{self.place} {self.name}".strip()


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and data of each chunk of a PNG, as far as they are complete; check sums are not compared."""
    at, view = len(PNG_SIGNATURE), memoryview(data)
    while data.startswith(PNG_SIGNATURE) and at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        if at + 12 + length > len(data):
            return
        yield bytes(view[at + 4 : at + 8]), view[at + 8 : at + 8 + length]
        at += 12 + length


def png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Keyword and text of each chunk tEXt, zTXt and iTXt."""
    for kind, body in png_chunks(data):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = bytes(body).partition(b"\0")
            if kind == b"zTXt":
                rest = _inflated(rest[1:])
            elif kind == b"iTXt":
                compressed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
                rest = _inflated(rest) if compressed else rest
            yield decoded(keyword[:79]), decoded(rest)


def decoded(text: bytes) -> str:
    """UTF-8, which programs write also where the standard asks for Latin-1, else Latin-1; at most `MAX_TEXT`."""
    part = text[:MAX_TEXT]
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_letter = len(part) < len(text) and error.start > len(part) - 4
        return part.decode("utf-8" if cut_letter else "latin-1", "ignore")


def _inflated(data: bytes) -> bytes:
    """The beginning of compressed text, as a few bytes can stand for gigabytes."""
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT)
    except zlib.error:
        return b""


def fields_of(image: Image.Image, data: bytes) -> tuple[Field, ...]:
    """Every text of a file but those of XMP and C2PA, which have structures of their own."""
    return tuple(islice(_fields(image, data), MAX_FIELDS))


def _fields(image: Image.Image, data: bytes) -> Iterator[Field]:
    for keyword, text in islice(png_texts(data), MAX_FIELDS):
        if keyword != XMP_KEYWORD:
            yield Field("PNG text", keyword, text)
    for name, text in exif_texts(image):
        yield Field("EXIF", name, text[:MAX_TEXT])
    yield from (Field("comment", "", text) for text in _comments(image))
    yield from (Field("IPTC", name, text) for name, text in (*_iim(image), *_iim_in_png(data)))


def exif_texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    """Name and text of the EXIF tags that hold text, without those that are empty."""
    with pillow_warnings_silenced():
        ifds = read_ifds(image)
    tags = {**ifds["Exif"], **ifds["IFD0"]}
    for id, name in _TEXT_TAGS.items():
        if (text := (text_of_tag(tags.get(id)) or "").strip("\0 \t\r\n")) != "":
            yield name, text
    for id, name in _WINDOWS_TAGS.items():
        value = tags.get(id)
        if isinstance(value, bytes) and (text := _utf16(value[: 2 * MAX_TEXT])):
            yield name, text
    if (comment := _user_comment(tags.get(_USER_COMMENT))) != "":
        yield "UserComment", comment


def _user_comment(value: object) -> str:
    """Eight bytes name the encoding, where a writer keeps to the standard (Exif 2.32, table 9)."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return ""
    code, text = value[:8], value[8 : 8 + 2 * MAX_TEXT]
    if code == b"UNICODE\0":
        return _utf16(text)
    if code in (b"ASCII\0\0\0", bytes(8)):
        return decoded(text).strip("\0 ")
    return decoded(value).strip("\0 ")


def _utf16(text: bytes) -> str:
    """In the byte order that gives more of plain letters: writers differ, and few say which they took."""
    big = text[0::2].count(0) > text[1::2].count(0)
    return text.decode("utf-16-be" if big else "utf-16-le", "ignore").strip("\0 \ufeff")


def _comments(image: Image.Image) -> Iterator[str]:
    """Of JPEG (COM) and GIF."""
    segments = [body for name, body in getattr(image, "applist", ()) if name == "COM"]
    for comment in segments or [image.info.get("comment")]:
        if isinstance(comment, bytes) and comment.strip(b"\0 "):
            yield decoded(comment).strip("\0 ")


def _iim(image: Image.Image) -> Iterator[tuple[str, str]]:
    """IPTC-IIM data sets, which JPEG and TIFF carry inside Photoshop's resources."""
    if not isinstance(image, ImageFile.ImageFile):
        return
    try:
        found = IptcImagePlugin.getiptcinfo(image) or {}
    except MALFORMED:
        return
    for key, name in _IIM.items():
        values = found.get(key, b"")
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bytes) and value:
                yield name, decoded(value)


def _iim_in_png(data: bytes) -> Iterator[tuple[str, str]]:
    """The same, where ImageMagick has put them into a text chunk."""
    for keyword, text in islice(png_texts(data), MAX_FIELDS):
        for number, value in iim_of(raw_profile(keyword, text, "iptc", "8bim")):
            if name := _IIM.get((2, number)):
                yield name, decoded(value)


def thumbnail_of(image: Image.Image) -> bytes | None:
    """The encoded thumbnail that EXIF holds beside the picture; None where there is none."""
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return None
    tiff = block.removeprefix(b"Exif\0\0")
    try:
        with pillow_warnings_silenced():
            ifd = image.getexif().get_ifd(ExifTags.IFD.IFD1)
    except MALFORMED:
        return None
    start, length = ifd.get(0x0201), ifd.get(0x0202)
    if type(start) is not int or type(length) is not int or not 0 < start < start + length <= len(tiff):
        return None
    return tiff[start : start + length]
