"""Which colours the numbers of a file mean, where it is not an ICC profile that says so.

PNG says it in the chunks cICP, gAMA and cHRM (PNG, third edition, 11.3.2; the first that is there counts, and cICP goes
before a profile, all others after it), AVIF and HEIC in a box `colr` of kind `nclx` (ISO 14496-12). Both use the code
points of ITU-T H.273. What differs from sRGB is made an ICC profile, which decoding follows as it follows an embedded
one. Of the curves of high dynamic range (PQ and HLG) there is no such thing: what a display shows depends on the
display, so pictures with them are named and nothing more.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cameraborn.files import Array

_NEAR_GAMMA = 0.05  # share; what libpng takes for the same curve
_NEAR = 0.01  # of chromaticities
_HEAD = 1 << 18  # bytes in which the boxes of a container are looked for

Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue
_D65, _DCI_WHITE = (0.3127, 0.3290), (0.314, 0.351)
_SRGB: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Chromaticities] = {  # H.273, table 2
    1: _SRGB,
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (*_DCI_WHITE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # H.273, table 3; the curves of television are shown as sRGB's
_HDR = {16: "PQ", 18: "HLG"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])


@dataclass(frozen=True)
class Colours:
    """What a file says of its colours beside an embedded profile."""

    hdr: str | None = None  # "PQ" or "HLG"
    profile: bytes | None = None  # ICC, where the colours are not sRGB's
    before_icc: bool = False  # it counts even where a profile is embedded


def colours_of(data: bytes, info: Mapping[str | tuple[int, int], object]) -> Colours:
    """Read a file's declaration; whatever is malformed or unknown is sRGB.

    Args:
        data: the encoded file.
        info: what Pillow read from its header: `gamma`, `chromaticity` and `srgb` of a PNG.
    """
    if data[:4] == b"\x89PNG":
        cicp = _png_chunk(data, b"cICP")
        if len(cicp) == 4:
            return _of_code_points(cicp[0], cicp[1], before_icc=True)
    if (named := _transfer(info.get("icc_profile"))) in _HDR:
        return Colours(hdr=_HDR[named])
    if data[:4] == b"\x89PNG":
        return Colours() if "srgb" in info else _of_gamma(info.get("gamma"), info.get("chromaticity"))
    if data[4:8] == b"ftyp":
        found = [_of_code_points(*struct.unpack(">HH", data[at + 8 : at + 12])) for at in _nclx(data[:_HEAD])]
        return max(found, key=lambda colours: colours.hdr is not None, default=Colours())
    return Colours()


def _transfer(profile: object) -> int:
    """The curve that a profile names by its code point, in a tag `cicp` (ICC.1:2022, 9.2.17); 0 if it names none."""
    if not isinstance(profile, bytes):
        return 0
    for at in range(132, min(132 + 12 * int.from_bytes(profile[128:132], "big"), len(profile)), 12):
        if profile[at : at + 4] == b"cicp":
            body = profile[(start := int.from_bytes(profile[at + 4 : at + 8], "big")) : start + 12]
            return body[9] if len(body) == 12 else 0
    return 0


def _png_chunk(data: bytes, wanted: bytes) -> bytes:
    """The body of the first such chunk before the pixels; empty if there is none."""
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == wanted:
            return data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            break
        at += 12 + length
    return b""


def _nclx(data: bytes) -> list[int]:
    places, at = [], data.find(b"colrnclx")
    while 0 <= at <= len(data) - 12:
        places.append(at)
        at = data.find(b"colrnclx", at + 8)
    return places


def _of_code_points(primaries: int, transfer: int, before_icc: bool = False) -> Colours:
    if transfer in _HDR:
        return Colours(hdr=_HDR[transfer], before_icc=before_icc)
    return Colours(
        profile=_profile(_PRIMARIES.get(primaries, _SRGB), _GAMMAS.get(transfer)), before_icc=before_icc
    )


def _of_gamma(gamma: object, chromaticity: object) -> Colours:
    exponent = None
    if isinstance(gamma, float) and 0.1 <= gamma <= 2 and abs(2.2 * gamma - 1) > _NEAR_GAMMA:
        exponent = 1 / gamma
    points: Chromaticities = _SRGB
    if isinstance(chromaticity, tuple) and len(chromaticity) == 8:
        points = tuple(float(value) for value in chromaticity)
    return Colours(profile=_profile(points, exponent))


@lru_cache(maxsize=16)
def _profile(points: Chromaticities, gamma: float | None) -> bytes | None:
    """An ICC profile (version 2, a matrix and curves); None for sRGB, or where no colours can be meant.

    Args:
        points: chromaticities of white, red, green and blue.
        gamma: exponent of the curve; None for sRGB's.
    """
    same = all(abs(ours - theirs) <= _NEAR for ours, theirs in zip(points, _SRGB, strict=True))
    if same and gamma is None:
        return None
    if any(not 0 <= x <= 1 for x in points) or any(y <= 0.001 for y in points[1::2]):
        return None
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(points[::2], points[1::2], strict=True)])
    white, primaries = xyz[0], xyz[1:].T  # columns red, green, blue
    if abs(float(np.linalg.det(primaries))) < 1e-6:
        return None
    adapted = _adaptation(white) @ (primaries * np.linalg.solve(primaries, white))
    curve = struct.pack(">LH", 1, round(gamma * 256)) if gamma else _srgb_curve()
    return _icc(adapted, b"curv" + bytes(4) + curve)


def _adaptation(white: Array) -> Array:
    """Bradford's matrix from this white to D50, which profiles are written for (ICC.1:2022, annex E)."""
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD))


def _srgb_curve() -> bytes:
    levels = np.linspace(0, 1, 1024)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return struct.pack(">L1024H", 1024, *np.rint(65535 * linear).astype(int).tolist())


def _icc(matrix: Array, curve: bytes) -> bytes:
    """Lay out a display profile (ICC.1:2001-04, 6.1 and 6.3.1.2) with this matrix to XYZ, [3 3], and one curve."""

    def s15(*values: float) -> bytes:
        return struct.pack(f">{len(values)}l", *(round(float(value) * 65536) for value in values))

    name = b"declared colours\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">L", len(name)) + name + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + s15(*_D50),
        **{b"%cXYZ" % letter: b"XYZ " + bytes(4) + s15(*matrix[:, i]) for i, letter in enumerate(b"rgb")},
        **{b"%cTRC" % letter: curve for letter in b"rgb"},
    }
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">L", len(tags)), b""
    for tag, content in tags.items():
        table += tag + struct.pack(">LL", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">L4sL4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")
    return (header.ljust(68, b"\0") + s15(*_D50)).ljust(128, b"\0") + table + body
