"""EXIF as others write it down: "1/60 sec", "F2.8", "50.0 mm", "Multi-segment", by names with or without spaces.

Such texts come from tables made by EXIF tools (YFCC100M's, and the files per photograph that EXIF-as-Language and
AIGFD-EXIF made of it). A text is read exactly or not at all: 10/600sec is 1/60 of a second, 30sec is half a minute,
and what is not one number with the tag's own unit is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

_NUMBER = r"(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,2})?"
_QUANTITY = rf"\+?({_NUMBER})(?:\s*/\s*({_NUMBER}))?"
_FLAGS = re.IGNORECASE | re.ASCII
_FORMS = {  # tag -> what may stand around its number
    "iso": re.compile(rf"(?:ISO\s*)?{_QUANTITY}", _FLAGS),
    "fnumber": re.compile(rf"(?:[fƒ]\s*/?\s*)?{_QUANTITY}", _FLAGS),
    "exposure_time_s": re.compile(rf"{_QUANTITY}\s*(?:s|secs?|seconds?)?\.?", _FLAGS),
    "focal_length_mm": re.compile(rf"{_QUANTITY}\s*(?:mm)?", _FLAGS),
    "focal_35mm": re.compile(rf"{_QUANTITY}\s*(?:mm)?", _FLAGS),
}
_BARE = re.compile(_QUANTITY, re.ASCII)
_RATIO = re.compile(r"\s*[+-]?\d{1,10}\s*/\s*\d{1,10}\s*", re.ASCII)

# Names of tags without case and punctuation, for those who drop the spaces, in the order in which they are believed.
_NAMES: dict[str, tuple[str, ...]] = {
    "iso": ("isospeedratings", "photographicsensitivity", "isospeed", "iso"),
    "fnumber": ("fnumber",),
    "exposure_time_s": ("exposuretime",),
    "focal_length_mm": ("focallength",),
    "focal_35mm": ("focallength35", "focallengthin35mmfilm", "focallengthin35mmformat"),
    "make": ("make",),
    "model": ("model", "cameramodelname"),
    "flash": ("flash",),
    "metering": ("meteringmode",),
    "exposure_mode": ("exposuremode",),
    "white_balance": ("whitebalancemode",),  # "White Balance" alone is the light source in older tools
    "exposure_program": ("exposureprogram",),
    "scene_type": ("scenecapturetype",),
    "software": ("software",),
}
_APERTURE, _SHUTTER = "aperturevalue", "shutterspeedvalue"

# Exif 2.32's codes by the words that tools put in their place. "Flash did not fire, auto" fits two codes: it stays
# missing.
_CODES: dict[str, dict[str, int]] = {
    "flash": {"flashdidnotfire": 0, "noflash": 0, "flashfired": 1, "fired": 1},
    "metering": {
        "average": 1,
        "centerweightedaverage": 2,
        "centerweighted": 2,
        "spot": 3,
        "multispot": 4,
        "multisegment": 5,
        "pattern": 5,
        "matrix": 5,
        "evaluative": 5,
        "partial": 6,
        "other": 255,
    },
    "exposure_mode": {
        "autoexposure": 0,
        "auto": 0,
        "manualexposure": 1,
        "manual": 1,
        "autobracket": 2,
        "autobracketing": 2,
    },
    "white_balance": {"autowhitebalance": 0, "auto": 0, "manualwhitebalance": 1, "manual": 1},
    "exposure_program": {
        "manualcontrol": 1,
        "manual": 1,
        "programnormal": 2,
        "normalprogram": 2,
        "program": 2,
        "programae": 2,
        "aperturepriority": 3,
        "aperturepriorityae": 3,
        "shutterpriority": 4,
        "shutterpriorityae": 4,
        "programcreativeslowprogram": 5,
        "programcreative": 5,
        "programactionhighspeedprogram": 6,
        "programaction": 6,
        "portraitmode": 7,
        "portrait": 7,
        "landscapemode": 8,
        "landscape": 8,
    },
    "scene_type": {"standard": 0, "landscape": 1, "portrait": 2, "night": 3, "nightscene": 3},
}


def parse_number(tag: str, text: str) -> Fraction | None:
    """The number in `text`, exactly, if it is one number with the unit of the field `tag` or none; else None.

    Never raises, and never computes with more digits than a camera writes.
    """
    match = _FORMS.get(tag, _BARE).fullmatch(text.strip("\0 \t\r\n"))
    if match is None:
        return None
    above, below = Fraction(match[1]), Fraction(match[2] or 1)
    return above / below if below else None


def tags_of_texts(texts: Mapping[str, object]) -> dict[str, object]:
    """Values for `photo.exif.Exif.from_mapping`, by our field names, out of an EXIF tool's names and texts.

    A tool prints ApertureValue as the f-number it stands for ("F2.8"); a bare ratio there is the tag as it lies in
    the file, an APEX exponent: N = 2^(AV/2), and t = 2^-TV for ShutterSpeedValue. Both only count where the tag
    itself is absent.
    """
    plain = {_plain(name): value for name, value in texts.items()}
    found: dict[str, object] = {}
    for tag, names in _NAMES.items():
        value = next((plain[name] for name in names if name in plain), None)
        if isinstance(value, str) and tag in _CODES:
            value = _CODES[tag].get(_plain(value), value)
        if value is not None:
            found[tag] = value
    for tag, name, factor in (("fnumber", _APERTURE, 0.5), ("exposure_time_s", _SHUTTER, -1.0)):
        value = plain.get(name)
        if tag not in found and isinstance(value, str):
            found[tag] = _of_apex(value, factor) if _RATIO.fullmatch(value) else value
    return found


def _of_apex(text: str, factor: float) -> float | None:
    top, _, bottom = text.partition("/")
    if not int(bottom):
        return None
    exponent = factor * (int(top) / int(bottom))
    return math.exp2(exponent) if abs(exponent) < 1000 else None


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
