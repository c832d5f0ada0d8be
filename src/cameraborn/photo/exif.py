"""What a camera wrote about the exposure: the table of EXIF tags, read exactly or not at all.

The tags are the targets of the pretext tasks, so a wrong value is worse than none: whatever is malformed, of
the wrong type, many-valued or absurd is *missing* (None), never guessed; of ISO alone several values are allowed,
and the first counts. Rationals stay `fractions.Fraction` until the end, so 1/250 s is exactly `1 / 250`. Ids, types
and codes are those of Exif 2.32 (CIPA DC-008).

TIFF/EP (ISO 12234-2) and DNG files may have the same tags in their first directory. Maker notes are not read: ISO is in
there alone for few old cameras (4 of 22 genuine files of a public collection), in a form of each maker's own. ExifRead
3.5.1, which is maintained and permissively licensed, gives one of the four as exiftool does, of two others Canon's
unscaled codes, and of Kodak's nothing.
"""

import math
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from numbers import Rational
from typing import Any, Literal, cast

from PIL import ExifTags, Image

from cameraborn.photo.exif_text import parse_number

# What Pillow raises on malformed blocks, in files and in pictures assembled in memory.
MALFORMED = (
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Tag:
    """One line of the table: where a tag is found and which values are believable."""

    name: str  # the field of `Exif` and the key in manifests
    id: int  # EXIF tag number
    ifd: Literal["IFD0", "Exif"]
    kind: Literal["ordinal", "categorical", "text"]
    low: float = 0  # least and greatest value believed, inclusive
    high: float = 255  # no code of any categorical tag is larger
    overflow: int | None = None  # value that only says "does not fit", or "unknown"
    apex_id: int | None = None  # tag read where `id` is absent: base 2 logarithm of the value ...
    apex_factor: float = 0.0  # ... after this factor


TAGS: tuple[Tag, ...] = (
    Tag("iso", 0x8827, "Exif", "ordinal", 1, 1e7, overflow=65535),
    # N = 2^(AV/2), t = 2^-TV
    Tag("fnumber", 0x829D, "Exif", "ordinal", 0.3, 1024, apex_id=0x9202, apex_factor=0.5),
    Tag("exposure_time_s", 0x829A, "Exif", "ordinal", 1e-7, 1e5, apex_id=0x9201, apex_factor=-1.0),
    Tag("focal_length_mm", 0x920A, "Exif", "ordinal", 0.1, 1e5),
    Tag("focal_35mm", 0xA405, "Exif", "ordinal", 0.1, 1e5),
    Tag("exposure_bias_ev", 0x9204, "Exif", "ordinal", -15, 15),
    # -1/1 is how the standard's "unknown", a numerator of FFFFFFFF, reads as a signed number.
    Tag("brightness_ev", 0x9203, "Exif", "ordinal", -30, 30, overflow=-1),
    Tag("make", 0x010F, "IFD0", "text"),
    Tag("model", 0x0110, "IFD0", "text"),
    Tag("flash", 0x9209, "Exif", "categorical"),
    Tag("metering", 0x9207, "Exif", "categorical"),
    Tag("exposure_mode", 0xA402, "Exif", "categorical"),
    Tag("white_balance", 0xA403, "Exif", "categorical"),
    Tag("exposure_program", 0x8822, "Exif", "categorical"),
    Tag("scene_type", 0xA406, "Exif", "categorical"),
    Tag("software", 0x0131, "IFD0", "text"),
)


@dataclass(frozen=True)
class Exif:
    """The tags of one picture; None is missing, malformed or absurd. Codes are EXIF's own."""

    iso: float | None = None
    fnumber: float | None = None  # f-number N
    exposure_time_s: float | None = None  # seconds
    focal_length_mm: float | None = None  # millimetres
    focal_35mm: float | None = None  # millimetres, for a 36 mm x 24 mm frame
    exposure_bias_ev: float | None = None  # steps (APEX) that the photographer asked for, 0 mostly
    brightness_ev: float | None = None  # of the scene, in steps (APEX)
    make: str | None = None
    model: str | None = None
    flash: int | None = None  # bit field: 1 fired, 2-4 return, 8-16 mode, 32 no flash, 64 red-eye
    # 1 average, 2 centre-weighted, 3 spot, 4 multi-spot, 5 pattern, 6 partial, 255 other
    metering: int | None = None
    exposure_mode: int | None = None  # 0 automatic, 1 manual, 2 bracket
    white_balance: int | None = None  # 0 automatic, 1 manual
    exposure_program: int | None = None  # 1 manual, 2 normal, 3 aperture, 4 shutter, 5-8 scene programs
    scene_type: int | None = None  # SceneCaptureType: 0 standard, 1 landscape, 2 portrait, 3 night
    software: str | None = None

    @staticmethod
    def from_mapping(mapping: Mapping[str, object]) -> "Exif":
        """Read values by field name: the rules for files, but numbers may be texts ("16", "1/250", "1/60 sec", "F2.8").

        Args:
            mapping: field name -> value; unknown keys are ignored, unusable values are missing.
        """
        return _believed({tag.name: _from_json(tag, mapping.get(tag.name)) for tag in TAGS})

    def to_mapping(self) -> dict[str, float | int | str]:
        """Return the present values only, by field name; `Exif.from_mapping` reads them back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


# Where ISO is absent, or does not fit into its 16 bits, by SensitivityType (Exif 2.32, table 8): which of
# RecommendedExposureIndex, StandardOutputSensitivity and ISOSpeed it stands for.
_SENSITIVITY_TYPE, _SOS, _REI, _ISO_SPEED = 0x8830, 0x8831, 0x8832, 0x8833
_SENSITIVITIES = {
    1: (_SOS,),
    2: (_REI,),
    3: (_ISO_SPEED,),
    4: (_REI, _SOS),
    5: (_SOS, _ISO_SPEED),
    6: (_REI, _ISO_SPEED),
}


def read_exif(image: Image.Image) -> Exif:
    """Read the tags that `image` carries. Never raises on malformed EXIF: what cannot be read is missing.

    Args:
        image: any Pillow picture, opened or loaded (PNG may keep its EXIF behind the pixels: load it first).
    """
    with pillow_warnings_silenced():
        ifds = read_ifds(image)
    return _believed({tag.name: _read_tag(tag, ifds[tag.ifd]) for tag in TAGS})


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF (or XMP) orientation 1..8 of `image`; 1 where missing or invalid. Never raises."""
    with pillow_warnings_silenced():
        value = read_ifds(image)["IFD0"].get(ExifTags.Base.Orientation)
    return value if type(value) is int and 1 <= value <= 8 else 1


@contextmanager
def pillow_warnings_silenced() -> Iterator[None]:
    """Keep Pillow's warnings from the user, or from becoming errors, while any thread is inside.

    `warnings.catch_warnings` restores what it found when it entered, which goes wrong when threads overlap;
    here the first to enter adds one filter, for Pillow's modules alone, and the last to leave removes it.
    """
    global _silencing
    filters = cast("list[Any]", warnings.filters)
    with _silence_lock:
        _silencing += 1
        if _silencing == 1:
            filters.insert(0, _PILLOW_WARNINGS)
    try:
        yield
    finally:
        filters = cast("list[Any]", warnings.filters)
        with _silence_lock:
            _silencing -= 1
            if _silencing == 0 and _PILLOW_WARNINGS in filters:
                filters.remove(_PILLOW_WARNINGS)


_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)
_silence_lock = threading.Lock()
_silencing = 0


def read_ifds(image: Image.Image) -> dict[str, Mapping[int, object]]:
    """Return the two IFDs that hold the tags, "IFD0" and "Exif": tag -> value; what is unreadable is empty."""
    ifds: dict[str, Mapping[int, object]] = {"IFD0": {}, "Exif": {}}
    try:
        exif = image.getexif()
        ifds["IFD0"] = dict(exif)
        ifds["Exif"] = {
            **ifds["IFD0"],
            **exif.get_ifd(ExifTags.IFD.Exif),
        }  # TIFF/EP, DNG, scanners: IFD0 alone
    except MALFORMED:
        pass
    return ifds


def _read_tag(tag: Tag, ifd: Mapping[int, object]) -> Fraction | str | None:
    if tag.kind == "text":
        return text_of_tag(ifd.get(tag.id))
    if tag.name == "iso":
        value = ifd.get(tag.id, tag.overflow)
        if isinstance(value, tuple) and value:  # Exif 2.32 allows several; the first is that of the exposure
            value = value[0]
        return _sensitivity(ifd) if value == tag.overflow else _number(value)
    if tag.id in ifd or tag.apex_id is None:
        return _number(ifd.get(tag.id))
    # Only where the tag is absent: a camera that does not know its lens writes FNumber 0/0, ApertureValue 0,
    # which would read as f/1.
    exponent = _number(ifd.get(tag.apex_id))
    return None if exponent is None else _power_of_two(tag.apex_factor * exponent)


def _sensitivity(ifd: Mapping[int, object]) -> Fraction | None:
    kind = ifd.get(_SENSITIVITY_TYPE)
    ids = _SENSITIVITIES.get(kind if type(kind) is int else 0, (_REI, _SOS, _ISO_SPEED))
    return next((number for id in ids if (number := _number(ifd.get(id))) is not None), None)


def _number(value: object) -> Fraction | None:
    """Return a single finite number exactly, as Pillow hands it over; strings, bytes and tuples are none."""
    try:
        if isinstance(value, Rational):  # int, and Pillow's rational
            top, bottom = cast("tuple[float, float]", (value.numerator, value.denominator))
            return Fraction(top) / Fraction(bottom)
        return Fraction(value) if isinstance(value, float) else None
    except (ArithmeticError, ValueError):
        return None


def _power_of_two(exponent: float) -> Fraction | None:
    return Fraction(math.exp2(exponent)) if abs(exponent) < 1000 else None


def text_of_tag(value: object) -> str | None:
    """The text of an ASCII tag, as its writer meant it; None where the tag is no text."""
    if not isinstance(value, str):
        return None
    # Pillow reads ASCII tags as Latin-1, which keeps every byte; phones write UTF-8 there.
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # set in memory by a caller, not read from a file
        return value


def _from_json(tag: Tag, value: object) -> Fraction | str | None:
    if tag.kind == "text":
        return value if isinstance(value, str) else None
    if not isinstance(value, str):
        return None if isinstance(value, bool) else _number(value)
    return parse_number(tag.name, value)


def _believed(found: Mapping[str, Fraction | str | None]) -> Exif:
    """Return the values as their fields' types, without those that are empty or outside their tag's range."""
    values: dict[str, Any] = {}
    for tag in TAGS:
        value = found[tag.name]
        if isinstance(value, str):
            values[tag.name] = value.strip("\0 \t\r\n").partition("\0")[0].strip() or None
        elif value is None or value == tag.overflow:
            continue
        elif min(tag.low, 0) <= value <= tag.high and tag.low <= float(value):
            if tag.kind == "ordinal":
                values[tag.name] = float(value)
            elif value.denominator == 1:
                values[tag.name] = int(value)
    return Exif(**values)
