"""The condition that a face is in, and the Mondrian taxonomy that p-values are conditional on.

What a picture has been through moves its score, so it is compared with photographs in the same condition (Mondrian
conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 4.5). The
condition is measured on any picture: the size of the face, the JPEG quality of the file, the noise of the face, and the
post-processing operation that it looks as if it went through (`operations`). The taxonomy divides conditions into
cells, and the cells into categories that enough photographs fall in.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

Cell = tuple[int, int, int, int]  # places of size, JPEG quality, noise and operation
Category = tuple[Cell, ...]
NoiseEdges = tuple[()] | tuple[float, float]

JPEG_EDGES = (75, 90)  # of the estimated quality; pictures that are no JPEG have a place of their own
_MERGED_FIRST = ((0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


@dataclass(frozen=True)
class Condition:
    """What can be measured of the history of a face.

    Attributes:
        size: longer side of the face box, in pixels.
        jpeg_quality: estimated quality of the file, None if it is no JPEG.
        noise: noise of the face as the network sees it, log of grey levels.
        operation: place of the likeliest operation in a taxonomy's `operations`.
    """

    size: float
    jpeg_quality: int | None
    noise: float = 0.0
    operation: int = 0


@dataclass(frozen=True)
class Taxonomy:
    """How conditions are divided.

    Attributes:
        size: edges in pixels, rising.
        noise: two rising edges, or none if noise is not distinguished.
        operations: names of the operations, neighbours being the most alike; none if they are not distinguished.
        categories: the cells of each category; together all cells, each once. Empty before `merged`.
    """

    size: tuple[int, ...] = ()
    noise: NoiseEdges = ()
    operations: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """How many places sizes, qualities, noises and operations have."""
        return len(self.size) + 1, len(JPEG_EDGES) + 2, len(self.noise) + 1, max(1, len(self.operations))

    @property
    def cells(self) -> list[Cell]:
        """All cells, in order."""
        rows, columns, noises, operations = map(range, self.shape)
        return list(itertools.product(rows, columns, noises, operations))

    @property
    def is_complete(self) -> bool:
        """Whether every cell is in exactly one category."""
        return sorted(itertools.chain.from_iterable(self.categories)) == self.cells

    def cell_of(self, condition: Condition) -> Cell:
        """The cell of a condition."""
        quality = condition.jpeg_quality
        return (
            bisect_right(self.size, condition.size),
            len(JPEG_EDGES) + 1 if quality is None else bisect_right(JPEG_EDGES, quality),
            bisect_right(self.noise, condition.noise),
            condition.operation if self.operations else 0,
        )

    def category_of(self, condition: Condition) -> int:
        """The place in `categories` of the category of a condition.

        Raises:
            KeyError: no category holds its cell.
        """
        return self._category_of_cell[self.cell_of(condition)]

    @cached_property
    def _category_of_cell(self) -> dict[Cell, int]:
        return {cell: place for place, cells in enumerate(self.categories) for cell in cells}

    def merged(self, photographs: Mapping[Cell, Set[str]], least: int) -> Taxonomy:
        """The same with categories of at least `least` photographs each, if there are as many at all.

        Again and again the category with the fewest photographs joins the neighbouring one with the fewest, qualities
        before sizes before noise before operations: photographs after the same operation are alike although their
        quality differs, rather than the reverse.

        Args:
            photographs: which photographs reach each cell.
            least: photographs that a category needs.
        """
        members: dict[Category, set[str]] = {
            (cell,): set(photographs.get(cell, set())) for cell in self.cells
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
        return replace(self, categories=tuple(sorted(members)))


def noise_edges(values: Sequence[float]) -> tuple[float, float]:
    """Edges that divide calibration photographs' noise into a low quarter, the middle, and a high quarter."""
    low, high = np.quantile(values, (0.25, 0.75))
    return round(float(low), 4), round(float(high), 4)


def _adjacent(one: Category, other: Category) -> int:
    """In what two categories are neighbours, as a place in `_MERGED_FIRST`; its length if in nothing."""
    steps = {(abs(a - e), abs(b - f), abs(c - g), abs(d - h)) for a, b, c, d in one for e, f, g, h in other}
    return next((rank for rank, step in enumerate(_MERGED_FIRST) if step in steps), len(_MERGED_FIRST))
