"""What a file is, by its first bytes: names lie, and most of what a folder holds is no picture.

The signatures are those of the formats' own specifications. A name is asked only where the bytes cannot tell.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from cameraborn.errors import CamerabornError, PictureError
from cameraborn.files import is_stream
from cameraborn.photo.jpeg_xl import jpeg_xl_available

HEAD = 1024  # bytes; enough for a signature, the brands of a container, the first tags of a raw, the start of an SVG


class Kind(Enum):
    """What a file is; the value is what a reader calls it."""

    JPEG = "JPEG"  # an MPO too: it is a JPEG with more pictures behind the first
    PNG = "PNG"
    WEBP = "WebP"
    GIF = "GIF"
    TIFF = "TIFF"
    BMP = "BMP"
    AVIF = "AVIF"
    HEIF = "HEIC"
    JPEG_XL = "JPEG XL"
    JPEG_2000 = "JPEG 2000"
    JPEG_XR = "JPEG XR"
    PSD = "Photoshop"
    RAW = "camera raw"
    OPENEXR = "OpenEXR"
    SVG = "SVG"
    OTHER_PICTURE = "picture of another format"
    PDF = "PDF"
    VIDEO = "video"
    TEXT = "text"
    EMPTY = "empty"
    OTHER = "other"
    UNREADABLE = "unreadable"
    LINK = "linked folder"  # which may lead back to where it lies
    SPECIAL = "not a file"  # a pipe, a socket or a device, which may never end


# What `photo.decode` has decoders for, without the extra of JPEG XL; see `can_be_read`.
PICTURES = frozenset({Kind.JPEG, Kind.PNG, Kind.WEBP, Kind.GIF, Kind.TIFF, Kind.BMP, Kind.AVIF, Kind.HEIF})
_NO_PICTURES = frozenset({Kind.PDF, Kind.TEXT, Kind.OTHER})

_SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind.JPEG_XL),
    (b"\xff\x0a", Kind.JPEG_XL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind.JPEG_2000),
    (b"\xff\x4f\xff\x51", Kind.JPEG_2000),
    (b"II\xbc\x01", Kind.JPEG_XR),
    (b"8BPS", Kind.PSD),
    (b"v/1\x01", Kind.OPENEXR),
    (b"icns", Kind.OTHER_PICTURE),
    (b"\0\0\1\0", Kind.OTHER_PICTURE),  # ICO
    (b"DDS ", Kind.OTHER_PICTURE),
    (b"qoif", Kind.OTHER_PICTURE),
    (b"\x01\xda\0", Kind.OTHER_PICTURE),  # SGI
    (b"\x01\xda\1", Kind.OTHER_PICTURE),
    (b"\x0a\5\1", Kind.OTHER_PICTURE),  # PCX
    (b"%!PS-Adobe", Kind.OTHER_PICTURE),
    (b"\xc5\xd0\xd3\xc6", Kind.OTHER_PICTURE),  # EPS with a preview
    (b"BPG\xfb", Kind.OTHER_PICTURE),
    (b"FLIF", Kind.OTHER_PICTURE),
    (b"%PDF-", Kind.PDF),
    (b"FUJIFILMCCD-RAW", Kind.RAW),
    (b"FOVb", Kind.RAW),  # Sigma
    (b"\0MRM", Kind.RAW),  # Minolta
    (b"II\x1a\0\0\0HEAPCCDR", Kind.RAW),  # Canon CRW
    (b"IIRO", Kind.RAW),  # Olympus, three spellings
    (b"IIRS", Kind.RAW),
    (b"MMOR", Kind.RAW),
    (b"IIU\0", Kind.RAW),  # Panasonic
    (b"\x1aE\xdf\xa3", Kind.VIDEO),  # Matroska, WebM
    (b"\0\0\x01\xba", Kind.VIDEO),
    (b"\0\0\x01\xb3", Kind.VIDEO),
    (b"FLV\x01", Kind.VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", Kind.VIDEO),  # ASF: WMV
    (b"OggS", Kind.VIDEO),
)
_PACKET = 188  # bytes of an MPEG transport stream, each of which begins with G
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_CFA, _DNG_VERSION, _SUB_IFDS, _REDUCED = 32803, 0xC612, 0x014A, 1
_SVG = re.compile(rb"\s*(?:<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*<(?:\w+:)?svg[\s>]", re.DOTALL)

_NETPBM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s|P7\nWIDTH \d|P[Ff]\n\d+ \d+\n")


def kind_of(head: bytes) -> Kind:
    """What a file is whose first bytes these are, `HEAD` of them or the whole file; never raises."""
    if not head:
        return Kind.EMPTY
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(_TIFF):
        return Kind.RAW if _is_raw(head) else Kind.TIFF
    if head[:4] == b"RIFF":
        return {b"WEBP": Kind.WEBP, b"AVI ": Kind.VIDEO}.get(head[8:12], Kind.OTHER)
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if _is_bmp(head):
        return Kind.BMP
    if _NETPBM.match(head):
        return Kind.OTHER_PICTURE
    if head[: 3 * _PACKET : _PACKET] == b"GGG":
        return Kind.VIDEO
    return _of_text(head)


def decoder_of(data: bytes) -> str | None:
    """The name of the format whose decoder reads a file; None where `photo.decode` has none.

    A raw that is a TIFF has the preview that its maker put in front, and the tags.
    """
    kind = kind_of(data[:HEAD])
    if kind is Kind.RAW and data.startswith(_TIFF):
        return Kind.TIFF.name
    return kind.name.replace("_", " ") if kind in PICTURES | {Kind.JPEG_XL} else None


def can_be_read(kind: Kind) -> bool:
    """Whether files of a kind are taken from folders: JPEG XL only where its extra is installed."""
    return kind in PICTURES or (kind is Kind.JPEG_XL and jpeg_xl_available())


def _of_brands(head: bytes) -> Kind:
    """One container for pictures and films: a list of four-letter brands tells which (ISO 14496-12, 4.3)."""
    box = head[8 : min(int.from_bytes(head[:4], "big"), 256)]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if brands & _AVIF_BRANDS:
        return Kind.AVIF
    if brands & _HEIF_BRANDS:
        return Kind.HEIF
    return Kind.RAW if b"crx " in brands else Kind.VIDEO


def _is_bmp(head: bytes) -> bool:
    """Two letters are too few: many a text begins with BM. The size of the second header must be one that exists."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in {12, 16, 40, 52, 56, 64, 108, 124}


def _is_raw(head: bytes) -> bool:
    """Whether the first directory of a TIFF is a raw's: of a mosaic, a DNG, or a thumbnail with the picture elsewhere.

    Raws are TIFFs by their signature, and decoders of TIFF give out the thumbnail. Read as far as `head` goes.
    """
    if head[8:10] == b"CR" and head[:4] == b"II*\0":
        return True
    order = "little" if head[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], order)  # type: ignore[arg-type]

    start = number(4, 4)
    tags = {}
    for at in range(start + 2, min(start + 2 + 12 * number(start, 2), len(head) - 11), 12):
        short = number(at + 2, 2) == 3
        tags[number(at, 2)] = number(at + 8, 2 if short else 4)
    elsewhere = _SUB_IFDS in tags and tags.get(0x00FE, 0) & _REDUCED == _REDUCED
    return _DNG_VERSION in tags or tags.get(0x0106) == _CFA or elsewhere


def _of_text(head: bytes) -> Kind:
    text = head.removeprefix(b"\xef\xbb\xbf")
    if in_utf_16(head):
        return Kind.TEXT
    if _SVG.match(text):
        return Kind.SVG
    control = any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in text)
    return Kind.OTHER if control else Kind.TEXT


def in_utf_16(head: bytes) -> bool:
    """Whether a text begins with the mark of UTF-16, as some editors and shells of Windows write it."""
    return head.startswith(_UTF_16)


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether a path, or what it links to, is a regular file: not a pipe, socket, device or folder, nor missing."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (strings all the way)
    except (OSError, ValueError):
        return False


def refuse_special(
    path: str | os.PathLike[str], error: type[CamerabornError] = PictureError, *, name: str | None = None
) -> None:
    """Refuse a pipe, socket or device before it is opened: of what a manifest, a configuration or a folder names.

    Who names one on the command line may mean it; in a list it is a mistake, and would block a run for ever.

    Args:
        path: of what is about to be opened.
        error: what to raise.
        name: what to call it; by default its path.

    Raises:
        PictureError: it is one; or the `error` that is given.
    """
    if is_stream(path):
        raise error(
            f"{name or os.fsdecode(path)}: a pipe, socket or device, which may never end: put a regular file there"
        )


def kind_of_file(path: str | os.PathLike[str]) -> Kind:
    """What a file is, by its first bytes; never blocks, never raises.

    Opening a pipe waits for whoever writes to it. So it is opened without waiting and looked at again once it is open:
    a path may change its meaning between two calls.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    if not is_regular(path):  # even opening a device may do something to it
        return Kind.SPECIAL if os.path.exists(path) else Kind.UNREADABLE  # noqa: PTH110
    try:
        file = os.open(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return Kind.SPECIAL
            return kind_of(os.read(file, HEAD))
        finally:
            os.close(file)
    except (OSError, ValueError):
        return Kind.UNREADABLE


@dataclass
class Census:
    """What a walk through folders passed over, for the line that ends a run."""

    passed_over: Counter[Kind] = field(default_factory=Counter)

    def add(self, kind: Kind) -> None:
        """Count one file that was passed over."""
        self.passed_over[kind] += 1

    def summary(self) -> str | None:
        """ "7 files passed over: 3 JPEG XL, 4 not pictures"; None where nothing was."""
        total = self.passed_over.total()
        if not total:
            return None
        counts: Counter[str] = Counter()
        for kind, count in self.passed_over.items():
            counts["no picture" if kind in _NO_PICTURES else kind.value] += count
        last = ("no picture", Kind.EMPTY.value, Kind.LINK.value, Kind.SPECIAL.value, Kind.UNREADABLE.value)
        order = sorted(counts, key=lambda name: (name in last, -counts[name], name))
        parts = ", ".join(_said(counts[name], name) for name in order)
        return f"{total:,} {'file' if total == 1 else 'files'} passed over: {parts}"


def _said(count: int, name: str) -> str:
    plurals = {
        "no picture": ("not a picture", "not pictures"),
        "not a file": ("not a regular file", "not regular files"),
        "linked folder": ("linked folder", "linked folders"),
        Kind.OTHER_PICTURE.value: ("picture of another format", "pictures of other formats"),
        Kind.VIDEO.value: ("video", "videos"),
    }
    one, many = plurals.get(name, (name, name))
    return f"{count:,} {one if count == 1 else many}"
