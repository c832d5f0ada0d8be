"""Faces as training draws them: what frozen networks, and the pruning and teaching of CLIP's tower, look at."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from cache import Pixels
from clip_slim import laid
from evaluate import LOTTERY
from numpy.random import Generator
from torch import Tensor
from training_rows import TrainingRows

from cameraborn.binary.sampling import Sampler
from train import recipe_of

PAIRS = 0.25  # share of draws that are a photograph and its reconstruction
CUT = 0.7  # of a face's side, that a part of it has at least


def sampler_of(rows: TrainingRows) -> Sampler:
    """Draws with histories as light as the evaluation's, and tiles in their places."""
    history = {"strength": LOTTERY.strength, "native": 0.5, "light": LOTTERY.light, "shuffle": 0.0}
    return rows.sampler(recipe_of(batch=(8, 8, 8), **history))


def pictures(work: Path, rng: Generator) -> Iterator[Pixels]:
    """Squares of faces [S S 3] without end: photographs, fakes and reconstructions, each after a random history."""
    drawing = sampler_of(TrainingRows.read(work))
    numbers = [
        number
        for draws in (drawing.photographs, drawing.fakes)
        for number, part in zip(draws.numbers.tolist(), draws.shares.tolist(), strict=True)
        if part
    ]
    while True:
        if rng.random() < PAIRS:
            yield from drawing.pair(rng)
        else:
            yield drawing.processed(int(rng.choice(numbers)), rng)


def changed(picture: Pixels, rng: Generator) -> Pixels:
    """The picture or a part of it, as it is or mirrored: what else a face could be."""
    side = len(picture)
    if rng.random() < 0.5:
        cut = int(rng.integers(int(CUT * side), side + 1))
        y, x = rng.integers(0, side - cut + 1, 2)
        picture = picture[y : y + cut, x : x + cut]
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def batch(drawn: Iterator[Pixels], count: int) -> Tensor:
    """So many pictures as the tower takes them, [count 3 S S] in 0..255."""
    return torch.from_numpy(np.stack([laid(picture) for picture in islice(drawn, count)])).float()
