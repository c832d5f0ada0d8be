"""Split-conformal p-values: how surprising is a picture among photographs that nothing was fitted to?

For held-out photographs with scores c_1..c_n (higher = less like a photograph) the p-value of a score s is
(1 + #{c_i >= s}) / (n + 1). If the picture is a photograph exchangeable with those, P(p <= a) <= a for every a
(Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2). What a picture has been through
moves its score, so photographs are compared with those that had been through the same: p-values are conditional on a
class of condition (Mondrian conformal prediction, ibid., section 4.5). A class is told from what can be seen of any
picture: the size of the face, the file's JPEG quality, how noisy the face is, and how it looks handled
(`operation_classifier`).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import CalibrationError

Array = NDArray[np.float64]
Tail = Literal["upper", "both"]  # is only a low likelihood suspicious, or one too high as well?
Cell = tuple[int, int, int, int]  # of the grid of conditions: size, JPEG quality, noise, operation

NoiseEdges = tuple[()] | tuple[float, float]

JPEG_EDGES = (75, 90)  # of the estimated quality; a column each, and one for what is no JPEG
NOISE_NAMES = ("clean", "plain", "noisy")
_MERGED_FIRST = ((0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


@dataclass(frozen=True)
class Condition:
    """What can be told of what a face has been through.

    Attributes:
        size: the longer side of its box, in pixels.
        jpeg_quality: of the file, None if it is no JPEG.
        noise: of the face as the network sees it, log of grey levels.
        operation: what the face looks as if it had been through, a place in a grid's `operations`.
    """

    size: float
    jpeg_quality: int | None
    noise: float = 0.0
    operation: int = 0


@dataclass(frozen=True)
class Grid:
    """What parts conditions into cells; each field rises.

    Attributes:
        size: pixels.
        noise: two edges, or none if it is not looked at.
        operations: their names, neighbours being the most alike; none if they are not looked at.
    """

    size: tuple[int, ...] = ()
    noise: NoiseEdges = ()
    operations: tuple[str, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All cells, in order."""
        lengths = (len(self.size) + 1, len(JPEG_EDGES) + 2, len(self.noise) + 1, max(1, len(self.operations)))
        rows, columns, noises, operations = map(range, lengths)
        return list(itertools.product(rows, columns, noises, operations))

    def cell_of(self, condition: Condition) -> Cell:
        """Where a face lies."""
        quality = condition.jpeg_quality
        return (
            bisect_right(self.size, condition.size),
            len(JPEG_EDGES) + 1 if quality is None else bisect_right(JPEG_EDGES, quality),
            bisect_right(self.noise, condition.noise),
            condition.operation if self.operations else 0,
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """Held-out scores, apart for each class of condition.

    Attributes:
        grid: what parts conditions.
        classes: the cells of each class; together all cells, each once.
        scores: of each class's photographs, sorted: [n_class].
        tail: which likelihoods are suspicious.
    """

    grid: Grid
    classes: tuple[tuple[Cell, ...], ...]
    scores: tuple[Array, ...]
    tail: Tail = "upper"

    @property
    def smallest(self) -> int:
        """Photographs in the smallest class: what decides which false-alarm rates can be asked for."""
        return min(len(scores) for scores in self.scores)

    def class_of(self, condition: Condition) -> int:
        """The class of a face that has been through this."""
        cell = self.grid.cell_of(condition)
        return next(number for number, cells in enumerate(self.classes) if cell in cells)

    def p_value(self, score: float, condition: Condition) -> float:
        """How surprising a score is among the photographs of its class."""
        among = self.scores[self.class_of(condition)]
        return float(p_values(np.array([score]), among, self.tail)[0])

    def check_rate(self, rate: float) -> None:
        """See that every class can support a false-alarm rate.

        Raises:
            CalibrationError: it is not in (0, 1), or below the smallest p-value of a class.
        """
        check_rate(rate, self.smallest, self.tail)


def p_values(scores: NDArray[np.floating], calibration: NDArray[np.floating], tail: Tail = "upper") -> Array:
    """The p-value of each score [N] among held-out photographs' scores [n].

    With both tails it is twice the smaller of the two one-sided ones, at most 1 (valid by the union bound).

    Raises:
        CalibrationError: there are no calibration scores.
    """
    n = len(calibration)
    if n == 0:
        raise CalibrationError("no calibration photographs: run 'cameraborn calibrate' first")
    ordered, wanted = np.sort(np.asarray(calibration, np.float64)), np.asarray(scores, np.float64)
    upper: Array = (1 + n - np.searchsorted(ordered, wanted, side="left")) / (n + 1)
    if tail == "upper":
        return upper
    lower = (1 + np.searchsorted(ordered, wanted, side="right")) / (n + 1)
    both: Array = np.minimum(1.0, 2 * np.minimum(upper, lower))
    return both


def check_rate(rate: float, n: int, tail: Tail = "upper") -> None:
    """See that n calibration photographs can support a false-alarm rate.

    Raises:
        CalibrationError: the rate is not in (0, 1), or is under the smallest p-value there is: 1 / (n + 1), and twice
            that with both tails.
    """
    if not 0 < rate < 1:
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} is not between 0 and 1: 0.05 flags 5 photographs in 100"
        )
    if rate < smallest_rate(n, tail):
        needed = math.ceil((1 if tail == "upper" else 2) / rate - 1e-9) - 1
        raise CalibrationError(
            f"a false-alarm rate of {rate:g} needs at least {needed} calibration photographs and this bundle has {n} "
            f"(in its smallest class): calibrate with more, or ask for {smallest_rate(n, tail):.2g} or above"
        )


def smallest_rate(n: int, tail: Tail = "upper") -> float:
    """The smallest p-value, and so the smallest false-alarm rate, that n photographs can give."""
    return (1 if tail == "upper" else 2) / (n + 1)


def benjamini_hochberg(p: Sequence[float] | Array, rate: float) -> NDArray[np.bool_]:
    """Which of the p-values [N] to flag so that at most `rate` of the flagged are photographs, on average.

    Benjamini and Hochberg (1995); conformal p-values share their calibration, under which it stays valid (Bates et al.,
    "Testing for outliers with conformal p-values", Annals of Statistics 2023).

    Raises:
        CalibrationError: the rate is not in (0, 1).
    """
    if not 0 < rate < 1:
        raise CalibrationError(
            f"a false-discovery rate of {rate:g} is not between 0 and 1: 0.1 lets 1 of 10 flagged be a photograph"
        )
    values = np.asarray(p, np.float64)
    ordered = np.sort(values)
    under = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / max(1, len(ordered)) + 1e-12)
    if not len(under):
        return np.zeros(len(values), bool)
    flagged: NDArray[np.bool_] = values <= ordered[under[-1]]
    return flagged


def noise_edges(values: Sequence[float]) -> tuple[float, float]:
    """What parts calibration photographs' noise into a low quarter, the middle, and a high quarter."""
    low, high = np.quantile(values, (0.25, 0.75))
    return round(float(low), 4), round(float(high), 4)


def merge_cells(photographs: Mapping[Cell, Set[str]], least: int, grid: Grid) -> tuple[tuple[Cell, ...], ...]:
    """Classes of cells with at least `least` photographs each, if there are as many at all.

    Again and again the class with the fewest photographs joins the neighbouring one with the fewest, qualities
    before sizes before noise before operations: photographs handled alike and of another quality are alike rather
    than the reverse.
    """
    members: dict[tuple[Cell, ...], set[str]] = {
        (cell,): set(photographs.get(cell, set())) for cell in grid.cells
    }
    while len(members) > 1:
        smallest = min(members, key=lambda cells: len(members[cells]))
        if len(members[smallest]) >= least:
            break
        ranks = {other: _adjacent(smallest, other) for other in members if other is not smallest}
        neighbours = [other for other, rank in ranks.items() if rank < len(_MERGED_FIRST)]
        joined = min(neighbours, key=lambda other: (ranks[other], len(members[other])))
        both = members.pop(smallest) | members.pop(joined)
        members[tuple(sorted(smallest + joined))] = both
    return tuple(sorted(members))


def _adjacent(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> int:
    """In what two classes are neighbours, as a place in `_MERGED_FIRST`; its length if in nothing."""
    steps = {(abs(a - e), abs(b - f), abs(c - g), abs(d - h)) for a, b, c, d in one for e, f, g, h in other}
    return next((rank for rank, step in enumerate(_MERGED_FIRST) if step in steps), len(_MERGED_FIRST))


def describe_class(cells: Sequence[Cell], grid: Grid) -> str:
    """A class in words: `noisy, blurred or enlarged, under 130 px: JPEG 75-89, JPEG 90-100`."""
    looks: dict[
        tuple[Cell, ...], list[tuple[int, int]]
    ] = {}  # those with the same sizes and qualities are said once
    for look in sorted({cell[2:] for cell in cells}):
        conditions = tuple(sorted((*cell[:2], 0, 0) for cell in cells if cell[2:] == look))
        looks.setdefault(conditions, []).append(look)
    parts = []
    for conditions, of in looks.items():
        name = _look_names(of, grid)
        parts.append((f"{name}, " if name else "") + _condition_names(conditions, grid))
    return "; ".join(parts)


def _condition_names(cells: Sequence[Cell], grid: Grid) -> str:
    rows: dict[tuple[int, ...], list[int]] = {}  # the sizes of the same qualities
    for row in sorted({cell[0] for cell in cells}):
        rows.setdefault(tuple(sorted(cell[1] for cell in cells if cell[0] == row)), []).append(row)
    return "; ".join(
        f"{' or '.join(_size_name(row, grid.size) for row in of) if len(of) <= len(grid.size) else 'any size'}: "
        f"{_quality_names(columns)}"
        for columns, of in rows.items()
    )


def _look_names(looks: Sequence[tuple[int, int]], grid: Grid) -> str:
    """`noisy, blurred or enlarged`; nothing where a look says nothing."""
    operations: dict[tuple[int, ...], list[int]] = {}  # those of the same noises
    for operation in sorted({look[1] for look in looks}):
        operations.setdefault(tuple(a for a, b in looks if b == operation), []).append(operation)
    names = []
    for noises, of in operations.items():
        words = [
            _names(noises, NOISE_NAMES, len(grid.noise) + 1),
            _names(of, grid.operations, len(grid.operations)),
        ]
        names.append(", ".join(word for word in words if word))
    return " / ".join(name for name in names if name)


def _names(places: Sequence[int], names: Sequence[str], count: int) -> str:
    """Nothing if they are all that there are."""
    return "" if len(places) >= count else " or ".join(names[place] for place in places)


def _size_name(row: int, size_edges: Sequence[int]) -> str:
    if not size_edges:
        return "any size"
    if row == 0:
        return f"under {size_edges[0]} px"
    if row == len(size_edges):
        return f"{size_edges[-1]} px and more"
    return f"{size_edges[row - 1]} to {size_edges[row] - 1} px"


def _quality_names(columns: Sequence[int]) -> str:
    if len(columns) == len(JPEG_EDGES) + 2:
        return "any file"
    lows, highs = (1, *JPEG_EDGES), (*(edge - 1 for edge in JPEG_EDGES), 100)
    names = [*(f"JPEG {low}-{high}" for low, high in zip(lows, highs, strict=True)), "no JPEG"]
    return ", ".join(names[column] for column in columns)
