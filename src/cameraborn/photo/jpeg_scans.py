"""The scans of a JPEG, sequential or progressive: which are lacking, and what the codes of the others say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from cameraborn.photo.jpeg_parts import JpegParts
from cameraborn.photo.jpeg_walk import LONGEST_WALK, Part, can_walk, walk
from cameraborn.photo.jpeg_walk_progressive import can_walk_progressive, walk_progressive

_NEVER_CAME = -1
_SCANS_MISSING = "scans of the JPEG are missing: the picture lacks detail"
_SCAN_SKIPPED = "a scan of the JPEG is missing that later ones refine: details are wrong in the whole picture"


def lacking_scans(parts: JpegParts) -> list[str]:
    """What to say where some bit of some coefficient never came (T.81, G.1.1.1): every component needs all of them.

    A scan refines the one before it: bit 1 of a coefficient whose bit 2 is missing is taken for another number.
    """
    notes = []
    for component in parts.components:
        left = [_NEVER_CAME] * 64  # bits that are still to come
        for scan in parts.scans:
            if all(number != component.id for number, _, _ in scan.components):
                continue
            reach = slice(scan.first, scan.last + 1) if parts.progressive else slice(64)
            if parts.progressive and scan.high and any(bits != scan.high for bits in left[reach]):
                notes.append(_SCAN_SKIPPED)
            left[reach] = [scan.low if parts.progressive else 0] * len(left[reach])
        if any(left):
            notes.append(_SCANS_MISSING)
    return list(dict.fromkeys(notes))


def can_walk_scans(parts: JpegParts) -> bool:
    """Whether the codes of its scans can be followed."""
    return can_walk(parts) or can_walk_progressive(parts)


def walk_scans(
    data: bytes, parts: JpegParts, left_out: Collection[int] = ()
) -> Iterator[tuple[int, Sequence[Part]]]:
    """Step through the codes of the scans of a file, as far as they can be followed: the number of each and its parts.

    Args:
        data: the file.
        parts: of the same file.
        left_out: numbers of scans that are passed over.
    """
    if can_walk_progressive(parts):
        yield from walk_progressive(data, parts, left_out)
    elif can_walk(parts):
        left = LONGEST_WALK
        for number, scan in enumerate(parts.scans):
            if number not in left_out and scan.end - scan.start <= left:
                left -= scan.end - scan.start
                yield number, walk(data, parts, number)


def has_all(data: bytes, parts: JpegParts) -> bool:
    """Whether no scan is lacking, and the codes of each were followed to its end and make sense."""
    if lacking_scans(parts):
        return False
    sound = [number for number, walked in walk_scans(data, parts) if all(part.sound for part in walked)]
    return len(sound) == len(parts.scans)
