"""Step through the compressed data of a progressive JPEG, scan by scan, to see where it stops making sense.

As `photo.jpeg_walk`, for the scans of ITU-T T.81, annex G: what no encoder writes is trouble (a code that no table
has, a run beyond the band, more ended blocks than there are, a value that no pixels give), and a scan must end where
its data do. Refinements put one bit between the codes for each coefficient that is not zero yet. So which ones these
are is kept, a byte a coefficient.

Where a code leads and what it says is looked up for all bits of a scan at once. So following the codes of a first
scan costs one addition each, and the rest is arithmetic on arrays; refinements are followed code by code. That takes
a third of a second a megabyte, and one second for refinements; what one file may cost is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.photo.jpeg_codes import (
    ZERO_RUN,
    Codes,
    ScanData,
    bits_of_coefficient,
    bits_of_difference,
    bits_of_refinement,
    codes_of,
    data_of,
)
from cameraborn.photo.jpeg_parts import Component, JpegParts, Scan
from cameraborn.photo.jpeg_walk import LARGEST, LONGEST_WALK, Part

_REFINEMENT = 3  # times as slow as a first scan
_RESTART = 256  # bytes that could be walked through in the time that a part takes to begin
_MOST_BLOCKS = 1 << 18  # of a component whose refinements are walked through: there it takes some 100 MB

Bits = NDArray[np.int64]  # places in the data of a scan


def can_walk_progressive(parts: JpegParts) -> bool:
    """Whether it is a progressive JPEG of 8 bits with Huffman codes, its scans formed as they must be (G.1.1.1)."""
    known = {component.id: component for component in parts.components}
    return (
        parts.frame == 0xC2
        and parts.precision == 8
        and all(_is_formed(scan, known, parts) for scan in parts.scans)
    )


def _is_formed(scan: Scan, known: dict[int, Component], parts: JpegParts) -> bool:
    if any(
        number not in known or known[number].table not in parts.quantisation
        for number, _, _ in scan.components
    ):
        return False
    if scan.first == 0:
        return scan.last == 0 and (
            bool(scan.high) or all(dc in scan.dc_codes for _, dc, _ in scan.components)
        )
    _, _, ac = scan.components[0]
    return len(scan.components) == 1 and scan.first <= scan.last < 64 and ac in scan.ac_codes


def walk_progressive(
    data: bytes, parts: JpegParts, left_out: Collection[int] = ()
) -> Iterator[tuple[int, list[Part]]]:
    """Step through the scans of a file that `can_walk_progressive`, in their order: the number of each and its parts.

    Passed over are scans that are too long for what is left of the time for a file, refinements of components that are
    too large, and refinements of what was passed over or is damaged: where their bits lie depends on it.

    Args:
        data: the file.
        parts: of the same file.
        left_out: numbers of scans that are passed over too.
    """
    walker, left = _Walker(data, parts), LONGEST_WALK
    for number, scan in enumerate(parts.scans):
        refines = scan.first > 0 and scan.high > 0
        cost = (scan.end - scan.start) * (_REFINEMENT if refines else 1) + _RESTART * len(scan.restarts)
        if number in left_out or cost > left or (refines and not walker.knows(scan)):
            walker.forget(scan)
            continue
        left -= cost
        walked = walker.walk(scan)
        if not all(part.sound for part in walked):
            walker.forget(scan)
        yield number, walked


class _Walker:
    """Walks through scans in their order."""

    def __init__(self, data: bytes, parts: JpegParts) -> None:
        self._file, self._parts = data, parts
        self._known = {component.id: component for component in parts.components}
        # component -> whether each coefficient [blocks 64] is not zero
        self._nonzero: dict[int, NDArray[np.bool_]] = {}
        for scan in parts.scans:
            rows, columns = parts.grid_of(scan)
            if scan.first and scan.high and rows * columns <= _MOST_BLOCKS:
                self._nonzero[scan.components[0][0]] = np.zeros((rows * columns, 64), np.bool_)

    def knows(self, scan: Scan) -> bool:
        """Whether it is known which coefficients are not zero where a scan begins."""
        return scan.components[0][0] in self._nonzero

    def forget(self, scan: Scan) -> None:
        """What a scan of AC coefficients brought is not known, and so not what lies behind it."""
        if scan.first:
            self._nonzero.pop(scan.components[0][0], None)

    def walk(self, scan: Scan) -> list[Part]:
        """The parts of a scan."""
        if scan.first == 0:
            return self._refined_dc(scan) if scan.high else self._first_dc(scan)
        return self._refined_ac(scan) if scan.high else self._first_ac(scan)

    def _stretches(self, scan: Scan, data: ScanData) -> list[tuple[int, int, int, int]]:
        """First unit, number of units, and the bits from which and up to which they lie, of each part."""
        rows, columns = self._parts.grid_of(scan)
        units = rows * columns
        interval = scan.restart_interval or units
        return [
            (first, min(interval, units - first), begin, end)
            for first, begin, end in zip(range(0, units, interval), data.edges, data.edges[1:], strict=False)
        ]

    def _refined_dc(self, scan: Scan) -> list[Part]:
        """One bit a block."""
        blocks = len(self._order(scan))
        made = []
        for first, expected, begin, end in self._stretches(scan, data_of(self._file, scan)):
            read = min(expected, (end - begin) // blocks)
            made.append(_part(first, expected, read, begin + read * blocks, end))
        return made

    def _order(self, scan: Scan) -> list[tuple[int, int]]:
        """Component and table of DC codes of each block of a unit."""
        order: list[tuple[int, int]] = []
        for number, dc, _ in scan.components:
            component = self._known[number]
            count = component.h * component.v if len(scan.components) > 1 else 1
            order += [(number, dc)] * count
        return order

    def _first_dc(self, scan: Scan) -> list[Part]:
        data, order = data_of(self._file, scan), self._order(scan)
        tables = {
            dc: codes_of(data.plain, scan.dc_codes[dc], bits_of_difference) for dc in {dc for _, dc in order}
        }
        advances = [tables[dc].advance for _, dc in order]
        made = []
        for first, expected, begin, end in self._stretches(scan, data):
            places, at, trouble = _follow_in_turn(advances, begin, end, expected)
            too_large = [
                unit
                for number in {number for number, _ in order}
                if (unit := self._too_large(scan, data, number, order, tables, places)) is not None
            ]
            read = len(places) // len(order)
            if too_large:
                read, trouble = min(too_large), True
            made.append(_part(first, expected, read, at, end, trouble=trouble))
        return made

    def _too_large(
        self,
        scan: Scan,
        data: ScanData,
        number: int,
        order: Sequence[tuple[int, int]],
        tables: dict[int, Codes],
        places: Bits,
    ) -> int | None:
        """The first unit with a DC coefficient of a component that no pixels give."""
        own = np.flatnonzero([component == number for component, _ in order])
        codes = tables[next(dc for component, dc in order if component == number)]
        units = len(places) // len(order)
        at = places[: units * len(order)].reshape(units, len(order))[:, own].ravel()
        size = np.frombuffer(codes.symbols, np.uint8)[at].astype(np.int64)
        behind = at + np.frombuffer(codes.advance, np.uint8)[at]
        value = data.numbers(behind - size, size)
        difference = np.where(value >> np.maximum(size - 1, 0), value, value - (1 << size) + 1)
        step = self._parts.quantisation[self._known[number].table][0] << scan.low
        far = np.abs(np.where(size > 0, difference, 0).cumsum()) * step > LARGEST + step
        return int(far.argmax()) // len(own) if far.any() else None

    def _first_ac(self, scan: Scan) -> list[Part]:
        data = data_of(self._file, scan)
        number, _, ac = scan.components[0]
        codes = codes_of(data.plain, scan.ac_codes[ac], bits_of_coefficient)
        steps = np.array(self._parts.quantisation[self._known[number].table]) << scan.low
        nonzero = self._nonzero.get(number)
        return [
            _first_band(scan, data, codes, steps, nonzero, stretch) for stretch in self._stretches(scan, data)
        ]

    def _refined_ac(self, scan: Scan) -> list[Part]:
        data = data_of(self._file, scan)
        codes = codes_of(data.plain, scan.ac_codes[scan.components[0][2]], bits_of_refinement)
        band = self._nonzero[scan.components[0][0]][:, scan.first : scan.last + 1]
        length = band.shape[1]
        zeros = np.flatnonzero(~band).astype(np.int32)  # places in the band of all blocks
        before = np.concatenate(
            [[0], band.sum(axis=1, dtype=np.int32).cumsum()]
        )  # not zero before each block
        walked = _Refinement(data, codes, length, zeros.data, before.astype(np.int32).data)
        made = [walked.part(*stretch) for stretch in self._stretches(scan, data)]
        band[np.divmod(np.array(walked.found, np.int64), length)] = True
        return made


def _part(first: int, expected: int, read: int, at: int, end: int, *, trouble: bool = False) -> Part:
    done = read == expected and not trouble
    return Part(
        first=first,
        expected=expected,
        read=read,
        trouble=trouble and read < expected,
        short=not trouble and read < expected,
        spare=max(0, end - at) // 8 if done else 0,
    )


def _follow_in_turn(advances: Sequence[bytes], begin: int, end: int, expected: int) -> tuple[Bits, int, bool]:
    """Places of codes whose tables take turns, the bit behind the last, and whether the next is none."""
    places: list[int] = []
    at = begin
    for _ in range(expected):
        for advance in advances:
            step = advance[at]
            if not step or at + step > end:
                return np.array(places, np.int64), at, not step and at < end
            places.append(at)
            at += step
    return np.array(places, np.int64), at, False


def _follow(advance: bytes, begin: int, end: int) -> tuple[Bits, int]:
    """Places of the codes of one table up to the end or to what is none, and the bit behind the last."""
    places: list[int] = []
    add = places.append
    at = begin
    while at < end and (step := advance[at]):
        add(at)
        at += step
    if at > end:
        at = places.pop()
    return np.array(places, np.int64), at


def _first_band(
    scan: Scan,
    data: ScanData,
    codes: Codes,
    steps: NDArray[np.int64],
    nonzero: NDArray[np.bool_] | None,
    stretch: tuple[int, int, int, int],
) -> Part:
    """A part of a first scan of AC coefficients; which are not zero is noted [blocks 64], if asked for.

    A block ends where its band does, or at a code that ends it and so many after it. Between two such codes there are
    whole blocks and the beginning of one: coefficients are counted from the last of them, modulo the band's length.
    """
    first, expected, begin, end = stretch
    length = scan.last - scan.first + 1
    places, at = _follow(codes.advance, begin, end)
    symbol = np.frombuffer(codes.symbols, np.uint8)[places].astype(np.int64)
    run, size = symbol >> 4, symbol & 15
    ends = (size == 0) & (symbol != ZERO_RUN)
    moved = np.where(ends, 0, run + 1)
    reached = moved.cumsum()
    since = np.maximum.accumulate(np.where(ends, reached, 0))
    within = (reached - moved - since) % length  # coefficients of the block before the code
    behind = places + np.frombuffer(codes.advance, np.uint8)[places]
    ended = np.zeros(len(places), np.int64)
    ended[ends] = (1 << run[ends]) + data.numbers(behind[ends] - run[ends], run[ends])
    done = (ended + (~ends & (within + moved == length))).cumsum()  # blocks
    k = np.minimum(scan.first + within + moved - 1, 63)
    wrong = ~ends & (within + moved > length)
    wrong |= (size > 0) & (steps[k] << size >> 1 > LARGEST + steps[k])
    last = int(np.searchsorted(done, expected))  # the code that ends the last block
    if wrong[: last + 1].any():
        last = int(wrong.argmax())
        read = int(done[last - 1]) if last else 0
        return _part(first, expected, read, at, end, trouble=True)
    if last == len(places):
        return _part(
            first, expected, int(done[-1]) if last else 0, at, end, trouble=at < end and not codes.advance[at]
        )
    if done[last] > expected:
        return _part(first, expected, 0, at, end, trouble=True)
    if nonzero is not None:
        here = np.flatnonzero(size[: last + 1])
        nonzero[first + np.where(here > 0, done[here - 1], 0), k[here]] = True
    return _part(first, expected, expected, int(behind[last]), end)


@dataclass
class _Refinement:
    """A scan that refines AC coefficients; `found` are the places that were zero before and are no more.

    Places are counted through the band of all blocks.
    """

    data: ScanData
    codes: Codes
    length: int  # of the band
    zeros: memoryview  # places of coefficients that are zero, in their order
    before: memoryview  # coefficients that are not, before each block and before the end

    def __post_init__(self) -> None:
        self.found: list[int] = []

    def part(self, first: int, expected: int, begin: int, end: int) -> Part:
        """The units between two restart markers."""
        block, at, last = first, begin, first + expected
        while block < last:
            behind, blocks = self._block(block, last, at, end)
            if blocks == 0 or behind > end:
                return _part(first, expected, block - first, at, end, trouble=blocks == 0 and behind <= end)
            if block + blocks > last:
                return _part(first, expected, 0, at, end, trouble=True)
            at, block = behind, block + blocks
        return _part(first, expected, expected, at, end)

    def _block(self, block: int, last: int, at: int, end: int) -> tuple[int, int]:
        """The bit behind a block and those that its last code ends too, and how many they are; 0 for no such block."""
        advance, symbols, zeros = self.codes.advance, self.codes.symbols, self.zeros
        stop = (block + 1) * self.length - 1
        place = stop - self.length  # the last that was passed
        next_zero = place + 1 - self.before[block]
        no_zero = stop + 1 - self.before[block + 1]
        while place < stop:
            if at >= end:
                return end + 1, 1
            step, symbol = advance[at], symbols[at]
            if not step:
                return at, 0
            run = symbol >> 4
            if symbol & 15 or symbol == ZERO_RUN:
                next_zero += run
                if next_zero >= no_zero:
                    return at, 0
                passed = zeros[next_zero]
                at += step + passed - place - 1 - run  # one bit for each that was passed and is not zero
                place = passed
                next_zero += 1
                if symbol & 15:
                    self.found.append(passed)
            else:
                blocks = (1 << run) + (self.data.number(at + step - run, run) if run else 0)
                if block + blocks > last:
                    return at, blocks
                at += step + stop - place - (no_zero - next_zero)
                return at + self.before[block + blocks] - self.before[block + 1], blocks
        return at, 1
