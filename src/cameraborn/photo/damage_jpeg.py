"""What of a JPEG is damaged and where: from its markers, from how its decoder fared, and from the decoded pixels.

Signs that cost next to nothing raise a suspicion; only then are the codes walked through (`photo.jpeg_walk`), which a
sound file passes to the byte. The signs:

- markers that are missing, out of order, or where none belong, and scans of a progressive file that never come;
- long runs of one byte in the compressed data, as a disk or a download leaves them;
- a decoder that had data left over, or ended in the grey that it puts where data lack (`photo.feed`), or warns of codes
  that make no sense (`photo.jpeg_warnings`);
- a stair: after damage every block is brighter or darker by one amount, from some unit on, through one row of units to
  its end and the next one's beginning. No scene has such an edge, and a frame or a horizon has it along whole rows.

A file of several scans shows no such sign before its last one has come: there the codes are followed in every file, as
far as `photo.jpeg_scans` goes.

What is damaged by one bit and read to the end with a difference that no eye sees is not found.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import inf, prod
from typing import NamedTuple

import numpy as np

from cameraborn.files import Array, Box, Pixels
from cameraborn.photo.feed import GREY, JpegFeed
from cameraborn.photo.jpeg_parts import JpegParts, Scan
from cameraborn.photo.jpeg_scans import can_walk_scans, lacking_scans, walk_scans
from cameraborn.photo.jpeg_walk import LONGEST_WALK, Part, Stretch, can_walk, walk
from cameraborn.photo.jpeg_warnings import warns_of_data

_RUN = 32  # equal bytes in a row that are looked at
_BITS_OF_FLAT_BLOCK = 24  # at most: a run of equal bytes may be the codes of a white wall
# The mean jump by its spread along the stair. Of 3,589 sound JPEGs, 4.5 % have one of .7, .4 % of 1, and none of 1.7.
_PLACED_STAIR = 0.7  # in a file whose codes are known to be damaged
_SUSPECTED_STAIR, _SUSPECTED_JUMP = 1.0, 15.0  # or a mean jump of so many grey levels, which 1.3 % more have
_SURE_STAIR = 2.0  # where the codes themselves are in order
_LEAST_JUMP = 3.0  # grey levels
_FAR_LONGER = 4  # times as long as most stretches between restart markers
_INKS = 4  # components of a picture for print, whose grey depends on its profile
_MARGIN = 2  # rows of units before the first code that makes no sense
# The same for one of several scans: a progressive one has fewer codes a block, so it takes longer until one makes no
# sense.
# In 504 damaged files 2 rows left 4 % of what differed outside, and 14 half a percent.
_MARGIN_OF_SCANS = 14

_DAMAGED = "compressed data of the JPEG are damaged"
_FILLED_UP = "compressed data of the JPEG are missing: what they should give is filled with grey"
_SCAN_LACKS_DATA = "compressed data of a scan of the JPEG are missing: details are wrong or lacking"
_RESTARTS = "restart markers of the JPEG are missing or out of order"
_RUN_OF_ONE_BYTE = "a long run of one byte stands where compressed data should be"
_JUMPS = "brightness or colour jumps in the middle of the JPEG's compressed data"

Range = tuple[int, int]  # units, from and to (exclusive)


def jpeg_damage(
    feed: JpegFeed, pixels: Pixels, *, is_part: bool = False
) -> tuple[tuple[str, ...], tuple[Box, ...]]:
    """Notes for a reader, and the boxes that are affected; both empty for a sound file.

    Args:
        feed: what it was decoded from.
        pixels: decoded, [H W 3], as they lie in the file (before any turning).
        is_part: whether it is a strip or tile of a picture. Of sound tiles some have a stair that is high enough for
            a whole picture, so it says nothing there unless the codes are damaged.
    """
    parts = feed.parts
    if not parts.scans or pixels.shape[:2] != (parts.height, parts.width):
        return (), ()
    sure = inf if is_part else _SURE_STAIR
    notes = [] if parts.end is not None else ["the end marker of the JPEG is missing"]
    if len(parts.scans) > 1 or parts.progressive or lacking_scans(parts):
        found, ranges = _of_several_scans(feed.data, parts, pixels, sure)
    else:
        found, ranges = _of_one_scan(feed, pixels, sure)
    return tuple(dict.fromkeys(notes + found)), _boxes(parts, _merged(ranges))


def _of_one_scan(feed: JpegFeed, pixels: Pixels, sure: float) -> tuple[list[str], list[Range]]:
    data, parts, scan = feed.data, feed.parts, feed.parts.scans[0]
    units = parts.grid[0] * parts.grid[1]
    stair, height, jump = NO_STAIR if scan.restart_interval else find_stair(pixels, parts)
    suspected = height > _SUSPECTED_STAIR or jump > _SUSPECTED_JUMP
    runs = _runs(data, scan)
    disorder = _restart_disorder(scan, units)
    grey = _is_grey(pixels, parts, -1) or (scan.restart_interval > 0 and _grey_units(pixels, parts))
    stray = parts.stray is not None
    lost = feed.finished_early or feed.behind or grey
    signs = lost or runs or disorder or stray or suspected
    warned = not signs and warns_of_data(feed.getvalue())
    if not (signs or warned):
        return [], []
    notes, ranges = [], list(disorder)
    if disorder:
        notes.append(_RESTARTS)
    elif can_walk(parts) and scan.end - scan.start <= LONGEST_WALK:
        for stretch in walk(data, parts):
            found, damaged = _of_stretch(stretch, parts, runs, stair)
            notes += found
            ranges += damaged
    elif feed.finished_early or feed.behind or stray or warned:
        notes.append(_DAMAGED)
        ranges.append((stair or 0, units))
    if not ranges and stair is not None and height > sure:
        notes.append(_JUMPS)
        ranges.append((stair, units))
    return notes, ranges


def _of_stretch(
    stretch: Stretch, parts: JpegParts, runs: list[Range], stair: int | None
) -> tuple[list[str], list[Range]]:
    """What is wrong between two restart markers."""
    end = stretch.first + stretch.expected
    read = stretch.first + len(stretch.starts)
    onsets = [stretch.first + unit for run in runs if (unit := _unit_of_run(run, stretch, parts)) is not None]
    notes = [_RUN_OF_ONE_BYTE] if onsets else []
    if stretch.trouble or stretch.spare > 1:
        notes.append(_DAMAGED)
    elif stretch.short:
        notes.append(_FILLED_UP)
    elif not onsets:
        return [], []
    if stair is not None and stair < end:
        onsets.append(max(stair, stretch.first))
    if stretch.trouble and not onsets:
        onsets.append(max(stretch.first, read - _MARGIN * parts.grid[1]))
    if onsets and (stretch.trouble or stretch.short):
        onsets.append(read)
    # Where codes are missing and no stair shows from where on, all of it may be out of place.
    return notes, [(min(onsets, default=stretch.first), end)]


def _unit_of_run(run: Range, stretch: Stretch, parts: JpegParts) -> int | None:
    """The unit of a stretch in which a run of one byte begins; None if it is elsewhere, or the codes of flat blocks."""
    (begin, stop), starts = run, stretch.starts
    if not starts or begin < starts[0] or (begin > starts[-1] and not stretch.trouble):
        return None
    first, last = bisect_right(starts, begin) - 1, bisect_right(starts, stop)
    flat = _BITS_OF_FLAT_BLOCK * _blocks_per_unit(parts) * (last - first)
    return first if 8 * (stop - begin) > flat else None


def _blocks_per_unit(parts: JpegParts) -> int:
    if len(parts.components) == 1:
        return 1
    return sum(component.h * component.v for component in parts.components)


def _of_several_scans(
    data: bytes, parts: JpegParts, pixels: Pixels, sure: float
) -> tuple[list[str], list[Range]]:
    """Each scan covers the whole picture: what is not known to lie in one place affects all of it."""
    units = parts.grid[0] * parts.grid[1]
    notes = lacking_scans(parts) + ([] if parts.stray is None else [_DAMAGED])
    if notes:
        return notes, [(0, units)]
    notes, ranges, sound = _of_scans(data, parts) if can_walk_scans(parts) else ([], [], set[int]())
    # Where all codes make sense, a run of one byte is codes as a rule: the brightness of a sky. But refinements may
    # make sense again behind the zeros that a disk left; of 2,800 sound files none had zeros there.
    runs = [
        stop - start
        for number, scan in enumerate(parts.scans)
        for start, stop in _runs(data, scan)
        if number not in sound or (scan.first and not data[start])
    ]
    if runs and 8 * max(runs) > _BITS_OF_FLAT_BLOCK * (4 + _flat_blocks(pixels)):
        return [_RUN_OF_ONE_BYTE, *notes], [(0, units)]
    if notes or len(sound) == len(parts.scans):
        return notes, ranges
    stair, height, _ = find_stair(pixels, parts)
    if stair is None or height <= sure:
        return [], []
    return [_JUMPS], [(stair, units)]


def _of_scans(data: bytes, parts: JpegParts) -> tuple[list[str], list[Range], set[int]]:
    """What is wrong with the codes of several scans, the units of the picture where, and which scans are sound."""
    disorder = [_restart_disorder(scan, prod(parts.grid_of(scan))) for scan in parts.scans]
    wrong = [number for number, found in enumerate(disorder) if found]
    notes = [_RESTARTS] if wrong else []
    ranges = [
        _of_picture(units, parts, parts.scans[number]) for number in wrong for units in disorder[number]
    ]
    sound = set()
    for number, walked in walk_scans(data, parts, wrong):
        scan, damaged = parts.scans[number], [part for part in walked if not part.sound]
        if not damaged:
            sound.add(number)
        notes += [_SCAN_LACKS_DATA if part.short else _DAMAGED for part in damaged]
        columns = parts.grid_of(scan)[1]
        ranges += [_of_picture(_of_part(part, columns), parts, scan) for part in damaged]
    return notes, ranges, sound


def _of_part(part: Part, columns: int) -> Range:
    """Where the codes of a part of a scan are wrong: all of it, but where they stop making sense."""
    onset = max(0, part.read - _MARGIN_OF_SCANS * columns) if part.trouble else 0
    return part.first + onset, part.first + part.expected


def _of_picture(units: Range, parts: JpegParts, scan: Scan) -> Range:
    """The units of the picture that units of a scan are in: the blocks of one component are other ones."""
    if len(scan.components) > 1 or len(parts.components) == 1:
        return units
    v = next(component.v for component in parts.components if component.id == scan.components[0][0])
    blocks, (rows, columns) = parts.grid_of(scan)[1], parts.grid
    first, last = units[0] // blocks // v, -(-units[1] // blocks)
    return first * columns, min(rows, -(-last // v)) * columns


def _flat_blocks(pixels: Pixels) -> int:
    """How many blocks of 8 x 8 pixels have one colour: their codes may be a run of one byte."""
    rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
    blocks = pixels[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8, 3)
    return int(np.all(blocks == blocks[:, :1, :, :1], axis=(1, 3, 4)).sum())


def _runs(data: bytes, scan: Scan) -> list[Range]:
    """Byte offsets of runs of one byte: the few that are long enough to be seen in steps of eight bytes."""
    whole = (scan.end - scan.start) // 8
    words = np.frombuffer(data, np.uint64, whole, scan.start)
    same = np.flatnonzero(words[1:] == words[:-1])
    runs: list[Range] = []
    for place in same.tolist():
        at = scan.start + 8 * place
        if (runs and at < runs[-1][1]) or data[at : at + 8] != data[at : at + 1] * 8:
            continue
        value = data[at]
        begin, stop = at, at
        while begin > scan.start and data[begin - 1] == value:
            begin -= 1
        while stop < scan.end and data[stop] == value:
            stop += 1
        if stop - begin >= _RUN:
            runs.append((begin, stop))
    return runs


def _restart_disorder(scan: Scan, units: int) -> list[Range]:
    """Units between markers that do not follow each other as 0, 1, ... 7, 0, ...: up to where they do again."""
    interval = scan.restart_interval
    if not interval:
        return [(0, units)] if scan.restarts else []
    expected, wrong = -(-units // interval) - 1, []
    place = 0  # which marker should come
    for _, number in scan.restarts:
        lost = (number - place) % 8
        if lost:
            jump = lost if lost <= 2 else 0  # as libjpeg: further away, it is the marker that is wrong
            wrong.append((place, place + jump + 1))
            place += jump
        place += 1
    if place != expected:
        begin = wrong[0][0] if wrong else min(_stretched(scan), place, expected)
        wrong = [(begin, expected + 1)]
    return [(first * interval, min(units, last * interval)) for first, last in wrong]


def _stretched(scan: Scan) -> int:
    """Which marker comes first behind a stretch that is far longer than others: eight of them may lie in it."""
    at = np.array([scan.start, *(offset for offset, _ in scan.restarts)])
    lengths = np.diff(at)
    if not len(lengths) or lengths.max() < _FAR_LONGER * np.median(lengths):
        return len(lengths)
    return int(lengths.argmax())


def _is_grey(pixels: Pixels, parts: JpegParts, unit: int) -> bool:
    """Whether a unit has nothing but the grey that stands for no data; of four inks, whatever colour it gives."""
    rows, columns = parts.grid
    row, column = divmod(unit % (rows * columns), columns)
    width, height = parts.mcu
    block = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
    # The outermost pixels may carry their neighbours' chroma.
    inner = block[2:-2, 2:-2] if min(block.shape[:2]) > 4 else block
    grey = inner[0, 0] if len(parts.components) == _INKS else GREY
    return bool(np.all(inner == grey))


def _grey_units(pixels: Pixels, parts: JpegParts) -> bool:
    width, height = parts.mcu
    centres = np.all(pixels[height // 2 :: height, width // 2 :: width] == GREY, axis=-1)
    columns = parts.grid[1]
    return any(
        _is_grey(pixels, parts, int(row) * columns + int(column))
        for row, column in np.argwhere(centres)[:500]
    )


class Stair(NamedTuple):
    """Where brightness or colour jumps along a row of units and the beginning of the next."""

    unit: int | None  # at which it begins; None where there is none
    height: float = 0.0  # how far it stands out of its own spread
    jump: float = 0.0  # mean, in grey levels


NO_STAIR = Stair(None)


def find_stair(pixels: Pixels, parts: JpegParts) -> Stair:
    """The highest stair of a picture.

    For a unit m of C columns, A[m] is by how much its upper edge jumps away from the unit above, beyond what goes on
    from either side. If brightness is off from m0 on, A is that amount for the C units from m0 on, and for no other.
    """
    jumps = _jumps(pixels, parts)  # [N 3]
    columns = parts.grid[1]
    if columns < 6 or len(jumps) < 2 * columns:
        return NO_STAIR
    sums, squares = (np.vstack([np.zeros((1, 3)), values.cumsum(0)]) for values in (jumps, jumps * jumps))
    mean = (sums[columns:] - sums[:-columns]) / columns
    spread = (squares[columns:] - squares[:-columns]) / columns - mean**2
    size = np.sqrt((mean**2).sum(axis=1))
    z = size / (np.sqrt(np.maximum(spread.sum(axis=1), 0)) + _LEAST_JUMP / 2)
    place = np.arange(len(z))
    row, column = divmod(place, columns)
    along_rows = np.maximum(z[row * columns], z[np.minimum((row + 1) * columns, len(z) - 1)])
    inside = (column >= 2) & (column <= columns - 2) & (z > 1.15 * along_rows) & (size > _LEAST_JUMP)
    best = int(np.where(inside, z, 0).argmax())
    height = float(z[best])
    if not inside[best] or height <= _PLACED_STAIR:
        return NO_STAIR
    if not _has_riser(pixels, parts, best + columns, mean[best]):
        return NO_STAIR
    return Stair(best + columns, height, float(size[best]))


def _has_riser(pixels: Pixels, parts: JpegParts, unit: int, jump: Array) -> bool:
    """Whether some unit about the beginning of a stair jumps away from its left neighbour as well, by half as much.

    Slats and steps that are not quite level are stairs, but without this edge.
    """
    width, height = parts.mcu
    row, column = divmod(unit, parts.grid[1])
    edges = width * np.arange(max(1, column - _MARGIN), min(column + 2 * _MARGIN, parts.width // width))
    part = pixels[row * height : (row + 1) * height]
    sides = [part[:, edges + step].astype(np.int16) for step in (-2, -1, 0, 1)]  # [height E 3]
    rise = (3 * (sides[2] - sides[1]) + sides[0] - sides[3]).mean(axis=0) / 2
    size = float(np.linalg.norm(jump))
    return bool(np.any(np.abs(rise @ (jump / size)) > size / 2))


def _jumps(pixels: Pixels, parts: JpegParts) -> Array:
    """Of each unit from the second row of units on, in their order: the mean jump at its upper edge, [N 3]."""
    width, height = parts.mcu
    columns, whole = parts.width // width, parts.grid[1]
    step = 1 if columns <= 64 else width // 4  # of a wide picture a few pixels of each edge will do
    edges = np.arange(height, len(pixels) - 1, height)
    rows = [pixels[edges + beyond, : columns * width : step].astype(np.int16) for beyond in (-2, -1, 0, 1)]
    # Twice the jump: half the slope of either side goes off.
    jump = 3 * (rows[2] - rows[1]) + rows[0] - rows[3]
    means = jump.reshape(len(edges), columns, width // step, 3).mean(axis=2) / 2
    if columns < whole:
        means = np.concatenate([means, means[:, -1:]], axis=1)  # a unit that the picture's edge cuts
    return np.asarray(means.reshape(-1, 3), dtype=np.float64)


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > begin:
            merged.append((begin, end))
    return merged


def _boxes(parts: JpegParts, ranges: list[Range]) -> tuple[Box, ...]:
    """Ranges of units in reading order as boxes: the end of a row, whole rows, the beginning of a row."""
    columns = parts.grid[1]
    width, height = parts.mcu
    boxes = []
    for begin, end in ranges:
        cuts = {min(end, -(-begin // columns) * columns), max(begin, end // columns * columns)}
        for first, last in pairwise(sorted({begin, end, *cuts})):
            top, left = divmod(first, columns)
            bottom, right = divmod(last - 1, columns)
            x1, y1 = min((right + 1) * width, parts.width), min((bottom + 1) * height, parts.height)
            boxes.append((float(left * width), float(top * height), float(x1), float(y1)))
    return tuple(boxes)
