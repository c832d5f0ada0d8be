"""Which focal lengths and f-numbers the lens in EXIF can have: by its specification, or by its name if that is empty.

Names are read where a focal length stands as makers write it, "EF70-200mm f/2.8L IS USM", "XF35mmF1.4 R"; of any other
name nothing is said, nor of "FE 28mm F2 + ...", as a converter changes both. Of 2,192 names in Lensfun's database 1,272
are read so, and none against the focal lengths and f-numbers that are measured there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cameraborn.photo.exif import Exif, text_of_tag

_SPECIFICATION, _MODEL = 0xA432, 0xA434  # LensSpecification, LensModel
_NUMBER = r"(\d+(?:\.\d+)?)"
# Digits may stand behind letters ("EF70", "M.14"), not behind the rest of a number or of a range.
_RANGE = r"\s?[-~\u2013]\s?"
_FOCAL = re.compile(
    rf"(?<!\d)(?<!\d[.,])(?<![/~\u2013-]){_NUMBER}(?:{_RANGE}{_NUMBER})?\s?mm(?!{_RANGE}\d)", re.IGNORECASE
)
_OPENING = re.compile(rf"[\s,]*f\s?/?\s?{_NUMBER}(?:\s?-\s?{_NUMBER})?", re.IGNORECASE)
_FOCAL_LIMITS, _OPENING_LIMITS = (
    (0.5, 3000.0),
    (0.5, 11.5),
)  # outside, a name means something else: "F14" is f/1.4
_ROUNDING = 0.1  # of a focal length; and half a millimetre
_CONVERTER = 2.0  # the strongest teleconverter that is common
_FASTER = 0.85  # of the smallest f-number; half a step
_SMALL_SENSOR = 1.9  # focal length on 35 mm film, by the real one, from Four Thirds down
_FILM_FACTOR = (0.3, 40.0)  # the same for any camera
_PHONE_FOCAL = (
    60.0  # mm; of 672 photographs by phones one has more than 15.7: a Nokia that writes 28 as on film
)
_PHONE_MAKES = re.compile(
    r"(?i)^(?:google|hmd global|honor|htc|huawei|infinix|lg electronics|lge|meizu|motorola|nokia|oneplus|oppo|"
    r"realme|redmi|tecno|vivo|xiaomi|zte)\b"
)
_PHONE_MODELS = re.compile(r"(?i)^(?:iphone|ipad|ipod|galaxy(?! nx)|sm-|gt-|pixel\b)")
# As makers call lenses that are put onto a body, in front of the focal length.
_EXCHANGED = re.compile(
    r"(?i)\b(?:EF|EF-[SM]|RF|RF-S|TS-E|AF|AF-[SP]|AF-[SP] DX|DX|(?:Zoom-)?Nikkor|Nikkor Z(?: DX)?|XF|XC|GF|FE|"
    r"Zuiko(?: Digital)?(?: ED)?|LUMIX G(?: VARIO)?|(?:smc|HD) PENTAX-\w+|Tamron|Sigma|Tokina|Samyang)\s?\d"
)


@dataclass(frozen=True)
class Lens:
    """What a lens can do; None is unknown."""

    shortest: float | None = None  # millimetres
    longest: float | None = None
    fastest: float | None = None  # its smallest f-number


def lens_doubts(exif: Exif, tags: Mapping[int, object]) -> Iterator[str]:
    """What the lens cannot have taken."""
    f, n, film = exif.focal_length_mm, exif.fnumber, exif.focal_35mm
    lens = lens_of(tags)
    if _is_phone(exif):
        yield from _phone_doubts(f, text_of_tag(tags.get(_MODEL)) or "")
    # Cameras with a small sensor may write their lens as it would be on 35 mm film.
    lengths = [f, film] if f and film and film >= _SMALL_SENSOR * f else [f]
    if (
        f is not None
        and lens.shortest
        and lens.longest
        and not any(_reaches(lens, length) for length in lengths)
    ):
        yield f"focal length {f:g} mm is none of a lens of {_span(lens.shortest, lens.longest)} mm"
    if n is not None and lens.fastest and n < _FASTER * lens.fastest:
        yield f"f-number {n:g} is none of a lens that opens to f/{lens.fastest:g}"
    if f and film and not _FILM_FACTOR[0] <= film / f <= _FILM_FACTOR[1]:
        yield f"focal length {f:g} mm cannot be that of {film:g} mm on 35 mm film"


def _is_phone(exif: Exif) -> bool:
    return bool(_PHONE_MAKES.match(exif.make or "") or _PHONE_MODELS.match(exif.model or ""))


def _phone_doubts(focal: float | None, name: str) -> Iterator[str]:
    if focal is not None and focal > _PHONE_FOCAL:
        yield f"focal length {focal:g} mm is none of a phone"
    if _EXCHANGED.search(name[:200]):
        yield f"lens {name[:60].strip()} cannot be put onto a phone"


def lens_of(tags: Mapping[int, object]) -> Lens:
    """The lens by its specification; what is missing there, by its name."""
    stated, named = (
        _of_specification(tags.get(_SPECIFICATION)),
        lens_of_name(text_of_tag(tags.get(_MODEL)) or ""),
    )
    focal = stated if stated.shortest and stated.longest else named
    return Lens(focal.shortest, focal.longest, stated.fastest or named.fastest)


def lens_of_name(name: str) -> Lens:
    """Focal lengths, and the largest opening right behind them; nothing where there are two lenses, or none."""
    found = list(_FOCAL.finditer(name[:200]))
    if len(found) != 1 or "+" in name:
        return Lens()
    shortest = float(found[0][1])
    longest = float(found[0][2] or shortest)
    if not _FOCAL_LIMITS[0] <= shortest <= longest <= _FOCAL_LIMITS[1]:
        return Lens()
    opening = _OPENING.match(name, found[0].end())
    fastest = min(float(number) for number in opening.groups() if number) if opening else 0.0
    believed = _OPENING_LIMITS[0] <= fastest <= _OPENING_LIMITS[1]
    return Lens(shortest, longest, fastest if believed else None)


def _of_specification(value: object) -> Lens:
    """Shortest and longest focal length, and the smallest f-number at both; 0 or 0/0 is unknown."""
    values = (
        [number_of(part) for part in value] if isinstance(value, tuple) and len(value) == 4 else [None] * 4
    )
    return Lens(values[0], values[1], min(filter(None, values[2:]), default=None))


def _reaches(lens: Lens, length: float | None) -> bool:
    if length is None or lens.shortest is None or lens.longest is None:
        return False
    longest = _CONVERTER * (1 + _ROUNDING) * lens.longest + 0.5
    return (1 - _ROUNDING) * lens.shortest - 0.5 <= length <= longest


def _span(shortest: float, longest: float) -> str:
    return f"{shortest:g}" if shortest == longest else f"{shortest:g} to {longest:g}"


def number_of(value: object) -> float | None:
    """A finite number below a million; None for everything else, and for 0/0."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e6 else None
