"""Split-conformal p-values: how surprising is a picture among photographs that nothing was fitted to?

For held-out photographs with scores c_1..c_n (higher = less like a photograph) the p-value of a score s is
(1 + #{c_i >= s}) / (n + 1). If the picture is a photograph exchangeable with those, P(p <= a) <= a for every a
(Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2). What a picture has been through
moves its score, so photographs are compared with those that had been through the same: p-values are conditional on a
class of delivery (Mondrian conformal prediction, ibid., section 4.5).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import CalibrationError

Array = NDArray[np.float64]
Tail = Literal["upper", "both"]  # is only a low likelihood suspicious, or one too high as well?
Cell = tuple[int, int]  # of the grid of deliveries: size, JPEG quality

JPEG_EDGES = (75, 90)  # of the estimated quality; a column each, and one for what is no JPEG


@dataclass(frozen=True, eq=False)
class Calibration:
    """Held-out scores, apart for each class of delivery.

    Attributes:
        size_edges: what parts the sizes of faces, in pixels, rising.
        classes: the cells of each class; together all cells, each once.
        scores: of each class's photographs, sorted: [n_class].
        tail: which likelihoods are suspicious.
    """

    size_edges: tuple[int, ...]
    classes: tuple[tuple[Cell, ...], ...]
    scores: tuple[Array, ...]
    tail: Tail = "upper"

    @property
    def smallest(self) -> int:
        """Photographs in the smallest class: what decides which false-alarm rates can be asked for."""
        return min(len(scores) for scores in self.scores)

    def class_of(self, size: float, jpeg_quality: int | None) -> int:
        """The class of a face of so many pixels in a picture of that JPEG quality (None: no JPEG)."""
        cell = cell_of(size, jpeg_quality, self.size_edges)
        return next(number for number, cells in enumerate(self.classes) if cell in cells)

    def p_value(self, score: float, size: float, jpeg_quality: int | None) -> float:
        """How surprising a score is among the photographs of its class."""
        among = self.scores[self.class_of(size, jpeg_quality)]
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


def cell_of(size: float, jpeg_quality: int | None, size_edges: Sequence[int]) -> Cell:
    """Where a face of so many pixels in a picture of that JPEG quality lies in the grid of deliveries."""
    column = len(JPEG_EDGES) + 1 if jpeg_quality is None else bisect_right(JPEG_EDGES, jpeg_quality)
    return bisect_right(size_edges, size), column


def grid(size_edges: Sequence[int]) -> list[Cell]:
    """All cells, sizes falling slowest."""
    return [(row, column) for row in range(len(size_edges) + 1) for column in range(len(JPEG_EDGES) + 2)]


def merge_cells(
    photographs: Mapping[Cell, Set[str]], least: int, size_edges: Sequence[int]
) -> tuple[tuple[Cell, ...], ...]:
    """Classes of cells with at least `least` photographs each, if there are as many at all.

    Again and again the class with the fewest photographs joins the neighbouring one with the fewest, qualities
    before sizes: photographs of one size and another quality are alike rather than the reverse.
    """
    classes: list[tuple[Cell, ...]] = [(cell,) for cell in grid(size_edges)]

    def count(cells: Iterable[Cell]) -> int:
        return len(set().union(*(photographs.get(cell, set()) for cell in cells)))

    while len(classes) > 1:
        smallest = min(classes, key=count)
        if count(smallest) >= least:
            break
        neighbours = [other for other in classes if other is not smallest and _adjacent(smallest, other) < 2]
        joined = min(neighbours, key=lambda other: (_adjacent(smallest, other), count(other)))
        classes = [cells for cells in classes if cells is not smallest and cells is not joined]
        classes.append(tuple(sorted(smallest + joined)))
    return tuple(sorted(classes))


def _adjacent(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> int:
    """0: neighbours in quality, 1: in size, 2: neither."""
    steps = {(abs(a[0] - b[0]), abs(a[1] - b[1])) for a in one for b in other}
    return 0 if (0, 1) in steps else 1 if (1, 0) in steps else 2


def describe_class(cells: Sequence[Cell], size_edges: Sequence[int]) -> str:
    """A class in words: `faces under 130 px, JPEG 75-89 or 90-100`."""
    rows = sorted({row for row, _ in cells})
    parts = []
    for row in rows:
        columns = sorted(column for r, column in cells if r == row)
        parts.append(f"{_size_name(row, size_edges)}: {_quality_names(columns)}")
    return "; ".join(parts)


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
