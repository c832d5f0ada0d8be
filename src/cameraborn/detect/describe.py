"""Categories of a Mondrian taxonomy for people: in a line of words, or as rows of a table."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence

from cameraborn.detect.condition import JPEG_EDGES, Cell, Taxonomy

_NOISE_NAMES = ("clean", "plain", "noisy")
_Box = tuple[frozenset[int], ...]  # places of sizes, qualities, noises and operations: all their combinations
_SIZE, _QUALITY, _NOISE, _OPERATION = range(4)


def describe_category(cells: Iterable[Cell], taxonomy: Taxonomy) -> str:
    """A category in words: `noisy, blurred or enlarged, under 130 px: JPEG 75-89, JPEG 90-100`."""
    return "; ".join(_describe_box(box, taxonomy) for box in _boxes(cells))


def category_rows(cells: Iterable[Cell], taxonomy: Taxonomy) -> list[tuple[str, str, str, str]]:
    """Size, quality, noise and operation, as few rows as tell a category."""
    names = (_size_names(taxonomy), _quality_names(), _noise_names(taxonomy), taxonomy.operations or ("any",))
    return [
        tuple(_listed(places, of, ", ", "any") for places, of in zip(box, names, strict=True))  # type: ignore[misc]
        for box in _boxes(cells)
    ]


def _boxes(cells: Iterable[Cell]) -> list[_Box]:
    """Cells as boxes, each of which holds all combinations of its places: few boxes in place of many cells."""
    boxes: list[_Box] = [tuple(frozenset({place}) for place in cell) for cell in sorted(cells)]
    for axis in (_QUALITY, _SIZE, _NOISE, _OPERATION):
        alike: dict[_Box, set[int]] = {}  # boxes that differ along this axis alone
        for box in boxes:
            alike.setdefault(box[:axis] + box[axis + 1 :], set()).update(box[axis])
        boxes = [(*rest[:axis], frozenset(places), *rest[axis:]) for rest, places in alike.items()]
    order = (_OPERATION, _NOISE, _SIZE, _QUALITY)
    return sorted(boxes, key=lambda box: [sorted(box[axis]) for axis in order])


def _describe_box(box: _Box, taxonomy: Taxonomy) -> str:
    looks = [
        _listed(box[_NOISE], _noise_names(taxonomy), " or ", ""),
        _listed(box[_OPERATION], taxonomy.operations or ("",), " or ", ""),
        _listed(box[_SIZE], _size_names(taxonomy), " or ", "any size"),
    ]
    quality = _listed(box[_QUALITY], _quality_names(), ", ", "any file")
    return f"{', '.join(look for look in looks if look)}: {quality}"


def _listed(places: Collection[int], names: Sequence[str], joint: str, every: str) -> str:
    return every if len(places) >= len(names) else joint.join(names[place] for place in sorted(places))


def _size_names(taxonomy: Taxonomy) -> list[str]:
    edges = taxonomy.size
    if not edges:
        return ["any size"]
    between = [f"{low} to {high - 1} px" for low, high in itertools.pairwise(edges)]
    return [f"under {edges[0]} px", *between, f"{edges[-1]} px and more"]


def _quality_names() -> list[str]:
    lows, highs = (1, *JPEG_EDGES), (*(edge - 1 for edge in JPEG_EDGES), 100)
    return [*(f"JPEG {low}-{high}" for low, high in zip(lows, highs, strict=True)), "no JPEG"]


def _noise_names(taxonomy: Taxonomy) -> Sequence[str]:
    return _NOISE_NAMES if taxonomy.noise else ("any",)
