"""A JPEG file taken apart at its markers (ITU-T T.81, annex B), as far as they go: tables, scans, and where each lies.

Nothing is decoded, so this costs microseconds. Damaged files are what it is for: it never raises, and stops where the
markers stop making sense.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOI, _EOI, _SOS, _DQT, _DHT, _DAC, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xCC, 0xDD
_AT_A_TIME = 1 << 18  # bytes searched for markers
_BETWEEN_SCANS = frozenset({_DHT, _DAC, _DQT, _DRI, 0xDC, 0xFE, *range(0xE0, 0xF0)})


@dataclass(frozen=True)
class Component:
    """A colour channel of the frame."""

    id: int
    h: int  # blocks of a minimum coded unit (MCU) across and down
    v: int
    table: int  # of quantisation


@dataclass(frozen=True)
class Scan:
    """One scan: which coefficients of which components, and where their compressed data lie."""

    components: tuple[tuple[int, int, int], ...]  # id, table of DC codes, table of AC codes
    first: int  # coefficient, 0..63
    last: int
    high: int  # bits that earlier scans left to this one; 0 where it is the first
    low: int  # bits that are left to later ones
    start: int  # byte offset of the compressed data, and of what follows them
    end: int
    restart_interval: int  # MCUs; 0 for none
    restarts: tuple[tuple[int, int], ...]  # byte offset and number 0..7 of each restart marker
    dc_codes: dict[int, bytes]  # table -> 16 counts of codes by length, then their values
    ac_codes: dict[int, bytes]


@dataclass(frozen=True)
class JpegParts:
    """What the markers say."""

    frame: int = 0  # marker of the frame: 0xC0 baseline, 0xC1 sequential, 0xC2 progressive, ...; 0 for none
    width: int = 0
    height: int = 0
    precision: int = 8
    components: tuple[Component, ...] = ()
    quantisation: dict[int, tuple[int, ...]] = field(default_factory=dict)  # 64 steps in zigzag order
    scans: tuple[Scan, ...] = ()
    end: int | None = None  # byte offset of the end marker; None where it is missing
    stray: int | None = None  # byte offset of a marker that has no place where it stands

    @property
    def progressive(self) -> bool:
        """Whether the coefficients come in several scans of increasing detail."""
        return self.frame in {0xC2, 0xCA}

    @property
    def mcu(self) -> tuple[int, int]:
        """Width and height in pixels of a minimum coded unit of all components."""
        if len(self.components) == 1:
            return 8, 8
        across = max((component.h for component in self.components), default=1)
        return 8 * across, 8 * max((component.v for component in self.components), default=1)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of such units."""
        width, height = self.mcu
        return -(-self.height // height), -(-self.width // width)

    def grid_of(self, scan: Scan) -> tuple[int, int]:
        """Rows and columns of a scan's units: the blocks of its one component, or MCUs (A.2)."""
        if len(scan.components) > 1:
            return self.grid
        component = next(one for one in self.components if one.id == scan.components[0][0])
        h, v = max(one.h for one in self.components), max(one.v for one in self.components)
        return -(-self.height * component.v // (8 * v)), -(-self.width * component.h // (8 * h))


def jpeg_parts(data: bytes) -> JpegParts:
    """Take a JPEG apart; what cannot be followed is left out."""
    parts = JpegParts()
    interval, at = 0, 2
    codes: dict[int, dict[int, bytes]] = {0: {}, 1: {}}  # DC, AC
    while (marker := _MARKER.match(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind == _EOI:
            return replace(parts, end=marker.start())
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        if length < 2 or len(body) != length - 2 or (parts.scans and kind not in _BETWEEN_SCANS | {_SOS}):
            return replace(parts, stray=marker.start())
        at += length
        if kind in _FRAMES and not parts.frame:
            parts = _with_frame(parts, kind, body)
        elif kind == _DQT:
            parts = replace(parts, quantisation=parts.quantisation | _quantisation(body))
        elif kind == _DHT:
            for which, number, table in _huffman(body):
                codes[which] = codes[which] | {number: table}
        elif kind == _DRI:
            interval = int.from_bytes(body[:2], "big")
        elif kind == _SOS:
            end, restarts = _compressed(data, at)
            scan = _scan(body, at, end, interval, restarts, codes)
            if scan is None:
                return replace(parts, stray=marker.start())
            parts = replace(parts, scans=(*parts.scans, scan))
            at = end
    return parts


def _with_frame(parts: JpegParts, kind: int, body: bytes) -> JpegParts:
    components = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2])
        for at in range(6, len(body) - 2, 3)
    )
    sampled = all(1 <= component.h <= 4 and 1 <= component.v <= 4 for component in components)
    if len(body) < 9 or not sampled:
        return parts
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return replace(
        parts, frame=kind, precision=body[0], height=height, width=width, components=components[: body[5]]
    )


def _quantisation(body: bytes) -> dict[int, tuple[int, ...]]:
    tables, at = {}, 0
    while at < len(body):
        size = 2 if body[at] >> 4 else 1
        values = body[at + 1 : at + 1 + 64 * size]
        if len(values) == 64 * size:
            steps = tuple(int.from_bytes(values[i : i + size], "big") for i in range(0, 64 * size, size))
            tables[body[at] & 15] = steps
        at += 1 + 64 * size
    return tables


def _huffman(body: bytes) -> list[tuple[int, int, bytes]]:
    """Class (0 DC, 1 AC), number and table of each."""
    tables, at = [], 0
    while at + 17 <= len(body):
        length = 16 + sum(body[at + 1 : at + 17])
        tables.append(((body[at] >> 4) & 1, body[at] & 15, body[at + 1 : at + 1 + length]))
        at += 1 + length
    return tables


def code_words(specification: bytes) -> Iterator[tuple[slice, int, int]]:
    """Of each code of a Huffman table: the 16 bits that begin with it, its length and its symbol (T.81, C.2).

    Args:
        specification: 16 counts of codes by length, then their symbols.
    """
    symbols, code = iter(specification[16:]), 0
    for length, count in enumerate(specification[:16], start=1):
        for _, symbol in zip(range(count), symbols, strict=False):
            yield slice(code << (16 - length), (code + 1) << (16 - length)), length, symbol
            code += 1
        code <<= 1


def _compressed(data: bytes, start: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Where the compressed data that start here end, and the restart markers inside: in there, 0xFF goes before 0."""
    restarts: list[tuple[int, int]] = []
    for at in range(start, len(data), _AT_A_TIME):
        part = np.frombuffer(data[at : at + _AT_A_TIME + 1], np.uint8)
        escapes = np.flatnonzero(part[:-1] == 0xFF)
        codes = part[escapes + 1]
        marks = (codes != 0) & (codes != 0xFF)
        for place, code in zip(escapes[marks].tolist(), codes[marks].tolist(), strict=True):
            if not 0xD0 <= code <= 0xD7:
                return at + place, tuple(restarts)
            restarts.append((at + place, code & 7))
    return len(data), tuple(restarts)


def _scan(
    body: bytes,
    start: int,
    end: int,
    interval: int,
    restarts: tuple[tuple[int, int], ...],
    codes: dict[int, dict[int, bytes]],
) -> Scan | None:
    count = body[0] if body else 0
    if not count or len(body) < 4 + 2 * count:
        return None
    components = tuple((body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(1, 1 + 2 * count, 2))
    first, last, bits = body[1 + 2 * count : 4 + 2 * count]
    return Scan(
        components, first, last, bits >> 4, bits & 15, start, end, interval, restarts, codes[0], codes[1]
    )
