"""Step through the compressed data of sequential JPEGs, code by code, to see where it stops making sense.

Huffman codes find their way again after damage (T.81, annex F), so a decoder goes on without a word: with too many or
too few blocks, in the wrong places. Here the codes are read as a decoder reads them, without computing pixels, and what
no encoder writes is trouble: a code that no table has, a 65th coefficient in a block, a value that no pixels give.
Plain Python, a second a megabyte: for files that are suspected, not for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cameraborn.photo.jpeg_parts import JpegParts, Scan, code_words

LARGEST = 1100  # of a coefficient before quantisation: 1,024 for a flat block, and what rounding may add
LONGEST_WALK = 3 << 20  # bytes of a file that are walked through
_BITS_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Part:
    """The units of a scan from one restart marker to the next: blocks, or MCUs of several components."""

    first: int  # unit
    expected: int  # units that belong here
    # Units that make sense, from the first on; 0 where there are too many: any of them may be wrong.
    read: int
    trouble: bool  # the unit that follows these does not
    short: bool  # the data ended before the units did
    spare: int  # bytes behind the last unit

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong. One byte more than needed is a fill byte before a marker."""
        return not (self.trouble or self.short or self.spare > 1)


@dataclass(frozen=True)
class Stretch(Part):
    """The same of a sequential JPEG."""

    starts: tuple[int, ...]  # byte offset in the file at which each unit that could be read begins


def can_walk(parts: JpegParts) -> bool:
    """Whether it is a sequential JPEG of 8 bits, each component in one scan, and its tables are there."""
    known = {component.id: component for component in parts.components}
    scanned = [number for scan in parts.scans for number, _, _ in scan.components]
    return (
        parts.frame in {0xC0, 0xC1}
        and parts.precision == 8
        and sorted(scanned) == sorted(one.id for one in parts.components)
        and len(known) == len(parts.components) > 0
        and all(
            known[number].table in parts.quantisation and dc in scan.dc_codes and ac in scan.ac_codes
            for scan in parts.scans
            for number, dc, ac in scan.components
        )
    )


def walk(data: bytes, parts: JpegParts, number: int = 0) -> list[Stretch]:
    """Step through a scan of a file that `can_walk`.

    Args:
        data: the file.
        parts: of the same file.
        number: of the scan.
    """
    scan = parts.scans[number]
    rows, columns = parts.grid_of(scan)
    units = rows * columns
    interval = scan.restart_interval or units
    ends = [at for at, _ in scan.restarts] if scan.restart_interval else []
    begins = [scan.start, *(at + 2 for at in ends)]
    return [
        _stretch(data[begin:end], begin, parts, scan, first, min(interval, units - first))
        for first, begin, end in zip(range(0, units, interval), begins, [*ends, scan.end], strict=False)
    ]


def _stretch(stuffed: bytes, begin: int, parts: JpegParts, scan: Scan, first: int, expected: int) -> Stretch:
    plain = stuffed.replace(b"\xff\0", b"\xff")
    bits = 8 * len(plain)
    starts, trouble, at = _units(plain, parts, scan, expected)
    escapes = np.flatnonzero(np.frombuffer(plain, np.uint8) == 0xFF)
    places = np.array(starts, dtype=np.int64) // 8
    places += np.searchsorted(escapes, places)  # a zero was left out behind each
    return Stretch(
        first=first,
        expected=expected,
        read=len(starts),
        trouble=trouble,
        short=not trouble and len(starts) < expected,
        spare=max(0, (bits - at) // 8) if len(starts) == expected else 0,
        starts=tuple((begin + places).tolist()),
    )


def _units(plain: bytes, parts: JpegParts, scan: Scan, expected: int) -> tuple[list[int], bool, int]:
    """Bit at which each unit begins, whether the next is no unit, and the bit behind the last."""
    blocks = _blocks(parts, scan)
    windows = _Windows(plain)
    bits = 8 * len(plain)
    dc = [0] * len(parts.components)
    starts: list[int] = []
    at = 0
    for _ in range(expected):
        begin = at
        for component, advance, symbols, ac_advance, ac_symbols, steps in blocks:
            window = windows[at]
            size = symbols[window]
            if at + advance[window] > bits:
                return starts, False, begin
            if size < 0 or size > 11:
                return starts, True, begin
            at += advance[window]
            if size:
                value = windows[at - size] >> (16 - size)
                dc[component] += value if value >> (size - 1) else value - (1 << size) + 1
                if abs(dc[component]) * steps[0] > LARGEST + steps[0]:
                    return starts, True, begin
            k = 0
            while k < 63:
                window = windows[at]
                symbol = ac_symbols[window]
                at += ac_advance[window]
                if at > bits:
                    return starts, False, begin
                if symbol < 0:
                    return starts, True, begin
                if symbol == 0:
                    break
                k += (symbol >> 4) + 1
                size = symbol & 15
                if k > 63 or (size and (steps[k] << size >> 1) > LARGEST + steps[k]):
                    return starts, True, begin
        starts.append(begin)
    return starts, False, at


class _Windows:
    """The 16 bits from any bit on, as `windows[bit]`; behind the end come zeros."""

    def __init__(self, plain: bytes) -> None:
        self._bytes = np.frombuffer(plain + bytes(8), np.uint8).astype(np.uint32)
        self._first, self._values = 0, self._computed(0)

    def _computed(self, first: int) -> list[int]:
        part = self._bytes[first // 8 : first // 8 + _BITS_AT_A_TIME // 8 + 2]
        three = part[:-2] << 16 | part[1:-1] << 8 | part[2:]
        values: list[int] = (
            ((three[:, None] >> np.arange(8, 0, -1, dtype=np.uint32)) & 0xFFFF).ravel().tolist()
        )
        return values

    def __getitem__(self, bit: int) -> int:
        place = bit - self._first
        if 0 <= place < len(self._values):
            return self._values[place]
        if bit >= 8 * (len(self._bytes) - 3):
            return 0
        self._first = max(0, bit // 8 * 8 - 64)  # the bits of a value are looked at again
        self._values = self._computed(self._first)
        return self._values[bit - self._first]


_Block = tuple[int, list[int], list[int], list[int], list[int], tuple[int, ...]]


def _blocks(parts: JpegParts, scan: Scan) -> list[_Block]:
    """The blocks of a unit in their order: component, advance and symbols of its two tables, steps of quantisation."""
    blocks: list[_Block] = []
    places = {component.id: place for place, component in enumerate(parts.components)}
    for number, dc, ac in scan.components:
        component = parts.components[places[number]]
        count = 1 if len(scan.components) == 1 else component.h * component.v
        steps = parts.quantisation[component.table]
        block = (places[number], *_table(scan.dc_codes[dc]), *_table(scan.ac_codes[ac]), steps)
        blocks += [block] * count
    return blocks


@lru_cache(maxsize=32)
def _table(specification: bytes) -> tuple[list[int], list[int]]:
    """For each 16 bits: how far to go, code and value together, and the symbol; -1 where no code begins so (C.2)."""
    advance, symbols = np.ones(1 << 16, np.int64), np.full(1 << 16, -1, np.int64)
    for reach, length, symbol in code_words(specification):
        advance[reach], symbols[reach] = length + (symbol & 15), symbol
    return advance.tolist(), symbols.tolist()
