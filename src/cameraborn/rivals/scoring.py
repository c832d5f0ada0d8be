"""A rival or an encoder by its name and weights, and its numbers for pictures.

Shapes: N pictures, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cameraborn.errors import RecipeError
from cameraborn.files import Array
from cameraborn.photo.decode import Picture
from cameraborn.rivals.published import ENCODERS, RIVALS, Encoder, Published, Rival
from cameraborn.rivals.weights import load_weights

P = TypeVar("P", bound=Published)

BATCH = 16  # pictures at once


def open_rival(name: str, weights: Iterable[Path] = ()) -> Rival:
    """A rival ready to score.

    Args:
        name: one of `RIVALS`.
        weights: files of `cameraborn import-checkpoint` or of a training, one or more for all its parts.

    Raises:
        RecipeError: no such rival, a file that does not fit, or a part without weights; the message is one line.
    """
    return _ready(RIVALS[name](), weights)


def open_encoder(name: str, weights: Iterable[Path] = ()) -> Encoder:
    """An encoder ready to compute features; as `open_rival`."""
    return _ready(ENCODERS[name](), weights)


def one_thread_a_picture() -> None:
    """Let torch use one thread, where pictures are worked on side by side."""
    torch.set_num_threads(1)


def compute(published: Published, pictures: Sequence[Picture], *, batch: int = BATCH) -> Array:
    """Scores [N] or features [N D] of pictures, in their order; those of one input size go together.

    Raises:
        RecipeError: a part has no weights.
    """
    published.eval()
    inputs = [published.preprocess(picture) for picture in pictures]
    by_size: dict[torch.Size, list[int]] = {}
    for place, one in enumerate(inputs):
        by_size.setdefault(one.shape, []).append(place)
    rows: list[Tensor | None] = [None] * len(inputs)
    with torch.no_grad():
        for places in by_size.values():
            for first in range(0, len(places), batch):
                chosen = places[first : first + batch]
                for place, row in zip(
                    chosen, published(torch.stack([inputs[p] for p in chosen])), strict=True
                ):
                    rows[place] = row
    return np.stack([row.double().numpy() for row in rows if row is not None]) if rows else np.zeros(0)


def _ready(published: P, weights: Iterable[Path]) -> P:
    load_weights(published, weights)
    if line := published.missing():
        raise RecipeError(line)
    published.eval()
    return published
