"""Draws of the bootstrap: how often each picture of a class is in each of B resampled test sets.

Pictures that share a group (photographer, prompt) are drawn together, because they are not independent. The draws of a
class depend on nothing but the seed, its name and its groups; so two detectors on the same pictures are compared on the
same draws, and a class keeps its draws whatever else is in the test set.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Array

Weights = NDArray[np.int64]
BLOCK = 50  # draws that one random generator makes
_CELLS = 4_000_000  # largest matrix of weights in memory at a time


def drawn_by(groups: Sequence[str]) -> NDArray[np.int64]:
    """The unit that each picture is drawn with, 0..G-1: its group, or itself where it has none.

    Where everything is of one group, pictures are drawn one by one: a single unit would have no spread at all.
    """
    names = [group or f"\0{index}" for index, group in enumerate(groups)]
    units = {name: index for index, name in enumerate(dict.fromkeys(names))}
    if len(units) == 1:
        return np.arange(len(groups))
    return np.array([units[name] for name in names], np.int64)


def weights(units: NDArray[np.int64], name: str, *, seed: int, draws: int, first: int = 0) -> Weights:
    """How often each picture is in each draw: [draws N]. Draws are numbered; `first` says where to begin.

    Args:
        units: what each picture is drawn with [N], from `drawn_by`.
        name: name of the class of pictures, which decides its draws together with the seed.
        seed: random seed of the whole bootstrap.
        draws: how many.
        first: the number of the first draw, a multiple of `BLOCK`.
    """
    count = int(units.max()) + 1
    chance = np.full(count, 1 / count)
    blocks = [
        np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "replace")), number]).multinomial(
            count, chance, size=BLOCK
        )
        for number in range(first // BLOCK, math.ceil((first + draws) / BLOCK))
    ]
    return np.concatenate(blocks)[:draws, units]


def in_chunks(figure: Callable[[int, int], Array], *, draws: int, pictures: int) -> Array:
    """All draws of a figure, computed a bounded number at a time: figure(first, draws) -> [draws ...]."""
    step = max(1, _CELLS // max(pictures, 1) // BLOCK) * BLOCK
    return np.concatenate([figure(first, min(step, draws - first)) for first in range(0, draws, step)])


def interval(drawn: Array, *, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile interval of a figure's draws; NaN draws (an empty class) are left out."""
    valid = drawn[np.isfinite(drawn)]
    if not len(valid):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(valid, [tail, 1 - tail])
    return float(low), float(high)
