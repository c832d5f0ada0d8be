"""Profiles that ImageMagick writes into text chunks of PNG, and the IPTC-IIM data sets in them.

A chunk's keyword is `Raw profile type xmp`; its text is a line feed, the name, the length in bytes, and hexadecimal
digits on lines of their own (ImageMagick's `coders/png.c`). Photoshop's resources: Adobe's "Photoshop File Formats
Specification", image resource blocks. Data sets: IPTC-NAA Information Interchange Model 4.2, 1.6. Nothing here raises:
what is malformed is not there.
"""

from __future__ import annotations

from collections.abc import Iterator

_KEYWORD = "Raw profile type "
_RESOURCE = b"8BIM\x04\x04"  # number 0x0404: data sets of the IIM
_DATA_SET = b"\x1c\x02"  # its marker, and record 2, which holds all that is told of a picture


def raw_profile(keyword: str, text: str, *names: str) -> bytes:
    """The profile in a text chunk, if it has one of these names; empty otherwise."""
    if not keyword.startswith(_KEYWORD) or keyword.removeprefix(_KEYWORD).lower() not in names:
        return b""
    _, _, digits = [*text.lstrip().split("\n", 2), "", ""][:3]  # a text may be cut before them
    joined = "".join(digits.split())
    try:
        return bytes.fromhex(joined[: len(joined) // 2 * 2])  # a long text is cut
    except ValueError:
        return b""


def iim_of(profile: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each data set of record 2, which may be wrapped into Photoshop's resources."""
    if (at := profile.find(_RESOURCE)) >= 0:
        name = at + len(_RESOURCE)  # its length in a byte, padded to an even number with that byte
        start = name + 1 + profile[name : name + 1][0] // 2 * 2 + 1 if name < len(profile) else len(profile)
        size = int.from_bytes(profile[start : start + 4], "big")
        profile = profile[start + 4 : start + 4 + size]
    at = profile.find(_DATA_SET)
    while at >= 0 and at + 5 <= len(profile):
        length = int.from_bytes(profile[at + 3 : at + 5], "big")
        if length >= 0x8000:  # of the length itself, which no text needs
            return
        yield profile[at + 2], profile[at + 5 : at + 5 + length]
        at = profile.find(_DATA_SET, at + 5 + length)
