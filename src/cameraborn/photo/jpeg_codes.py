"""What the compressed data of a progressive JPEG's scan say at every bit of them: how far a code goes, and its symbol.

ITU-T T.81, annexes C and G. To look all of it up at once, though most bits begin no code, is faster than to look at one
place after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cameraborn.photo.jpeg_parts import Scan, code_words

ZERO_RUN = 0xF0  # the symbol of 16 zeros
_AT_A_TIME = 1 << 16  # bytes whose bits are looked up
_BEHIND = bytes(4)  # the end of data, so that no look goes further
_LONGEST_DIFFERENCE = 11  # bits of a difference of DC coefficients

_Table = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_Places = NDArray[np.int64]  # bits in the data of a scan


@dataclass(frozen=True)
class Codes:
    """The codes of one table at every bit of a scan: how far to go, 0 where no code begins so, and the symbol."""

    advance: bytes
    symbols: bytes


@dataclass(frozen=True)
class ScanData:
    """The compressed data of a scan without stuffing and markers, and the bits at which parts begin and end."""

    plain: bytes
    edges: tuple[int, ...]

    def numbers(self, at: _Places, length: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of so many bits, 14 at most, that begin at these places."""
        data = np.frombuffer(self.plain, np.uint8)
        place = at >> 3
        word = data[place].astype(np.int64) << 16 | data[place + 1].astype(np.int64) << 8 | data[place + 2]
        found: NDArray[np.int64] = word >> (24 - (at & 7) - length) & ((1 << length) - 1)
        return found

    def number(self, at: int, length: int) -> int:
        """The same of one place."""
        word = int.from_bytes(self.plain[at >> 3 : (at >> 3) + 3], "big")
        return word >> (24 - (at & 7) - length) & ((1 << length) - 1)


def data_of(file: bytes, scan: Scan) -> ScanData:
    """The data of a scan of a file; where it should have no restart markers, none is looked for."""
    ends = [at for at, _ in scan.restarts] if scan.restart_interval else []
    pieces = [
        file[begin:end].replace(b"\xff\0", b"\xff")
        for begin, end in zip([scan.start, *(at + 2 for at in ends)], [*ends, scan.end], strict=True)
    ]
    edges = 8 * np.cumsum([0, *map(len, pieces)])
    return ScanData(b"".join(pieces) + _BEHIND, tuple(edges.tolist()))


def codes_of(plain: bytes, specification: bytes, bits_of: Callable[[int], int | None]) -> Codes:
    """The codes at every bit but those of the four bytes behind the end.

    Args:
        plain: data of a scan.
        specification: of the table: 16 counts of codes by length, then their symbols.
        bits_of: how many bits belong to a symbol; None where no encoder writes it.
    """
    table = _table(specification, bits_of)
    data = np.frombuffer(plain, np.uint8)
    found: tuple[list[bytes], list[bytes]] = [], []
    for at in range(0, len(data) - len(_BEHIND) + 2, _AT_A_TIME):
        part = data[at : min(at + _AT_A_TIME, len(data) - 2) + 2].astype(np.uint32)
        three = part[:-2] << 16 | part[1:-1] << 8 | part[2:]
        windows = (three[:, None] >> np.arange(8, 0, -1, dtype=np.uint32)).astype(np.uint16)
        for kept, looked in zip(found, table, strict=True):
            kept.append(looked[windows].tobytes())
    return Codes(*(b"".join(kept) for kept in found))


def bits_of_difference(symbol: int) -> int | None:
    """Of a DC coefficient's difference (F.1.2.1)."""
    return symbol if symbol <= _LONGEST_DIFFERENCE else None


def bits_of_coefficient(symbol: int) -> int | None:
    """Of an AC coefficient in its first scan, or of a number of blocks (G.1.2.2)."""
    return symbol & 15 or _bits_of_end(symbol)


def bits_of_refinement(symbol: int) -> int | None:
    """The same in a later scan (G.1.2.3)."""
    size = symbol & 15  # a coefficient that is new has a sign alone
    return size if size == 1 else None if size else _bits_of_end(symbol)


def _bits_of_end(symbol: int) -> int:
    """Of the number of blocks that end here."""
    return 0 if symbol == ZERO_RUN else symbol >> 4


@lru_cache(maxsize=32)
def _table(specification: bytes, bits_of: Callable[[int], int | None]) -> _Table:
    """For each 16 bits: how far to go, over a code and its bits, and the symbol; 0 where no code begins so (C.2)."""
    advance, symbols = np.zeros(1 << 16, np.uint8), np.zeros(1 << 16, np.uint8)
    for reach, length, symbol in code_words(specification):
        bits = bits_of(symbol)
        advance[reach], symbols[reach] = 0 if bits is None else length + bits, symbol
    return advance, symbols
