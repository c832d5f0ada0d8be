"""Labelled rows to samples: random patches of pictures that may have been post-processed, seeded for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.binary.recipe import BinaryRecipe, PostprocessingSection
from cameraborn.data.manifest import Row
from cameraborn.data.select import check_groups_apart, evenly, select_each
from cameraborn.degrade.history import blurred_and_stored
from cameraborn.errors import ManifestError
from cameraborn.files import Pixels
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.train.pictures import MemoryBudget, whole_pictures
from cameraborn.train.recipe import DataSection

_FEWEST_OF_A_LABEL = 2


class LabelledPatches(Dataset[tuple[Tensor, Tensor]]):
    """Random patches of each picture: (patches uint8 [P 3 64 64], label 0 photograph or 1 generated)."""

    def __init__(self, rows: Sequence[Row], recipe: BinaryRecipe, budget: MemoryBudget) -> None:
        self.pictures = whole_pictures(rows, budget)
        self.labels = labels_of(rows)
        self.settings, self.augment = recipe.optimise, recipe.augment

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The sample of (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng([self.settings.seed, epoch, index])
        pixels = large_enough(postprocessed(self.pictures[index], self.augment, rng))
        return torch.from_numpy(crops(pixels, self.settings.patches, rng)), self.labels[index]


def labels_of(rows: Sequence[Row]) -> Tensor:
    """1 for generated, 0 for photographs: int64 [rows]."""
    return torch.tensor([int(row.label == "generated") for row in rows])


def generators_of(rows: Sequence[Row]) -> list[str]:
    """What made each row; empty for photographs."""
    return [row.generator if row.label == "generated" else "" for row in rows]


def postprocessed(pixels: Pixels, augment: PostprocessingSection, rng: np.random.Generator) -> Pixels:
    """Perhaps stretched to a small square, perhaps blurred, perhaps recompressed, in this order: [H W 3]."""
    if rng.random() < augment.resize_probability:
        side = int(rng.integers(augment.resize_side[0], augment.resize_side[1] + 1))
        pixels = stretched(pixels, side)
    return blurred_and_stored(
        pixels,
        rng,
        augment.blur_probability,
        (0.0, augment.blur_sigma),
        augment.jpeg_probability,
        augment.jpeg_quality,
    )


def large_enough(pixels: Pixels) -> Pixels:
    """A picture with a side under a patch becomes one patch, stretched as SDAIE's authors do; others stay."""
    return stretched(pixels, PATCH_SIZE) if min(pixels.shape[:2]) < PATCH_SIZE else pixels


def stretched(pixels: Pixels, side: int) -> Pixels:
    """To a square [side side 3], bilinear, antialiased."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def crops(pixels: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """`count` random patches [count 3 64 64]."""
    H, W, _ = pixels.shape
    ys = rng.integers(H - PATCH_SIZE + 1, size=count)
    xs = rng.integers(W - PATCH_SIZE + 1, size=count)
    return np.stack(
        [
            pixels[y : y + PATCH_SIZE, x : x + PATCH_SIZE].transpose(2, 0, 1)
            for y, x in zip(ys, xs, strict=True)
        ]
    )


def labelled_rows(data: DataSection, pictures_a_step: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows to train on and to validate on, of both labels.

    Args:
        data: which rows are meant.
        pictures_a_step: pictures of all batches of a step; the training rows must fill one.

    Raises:
        ManifestError: one of the two is too small or has one label only, or a group is in both.
    """
    train_rows, val_rows = select_each(data.manifest, data.train_selection(), data.val_selection())
    for split, rows in ((data.train_split, train_rows), (data.val_split, val_rows)):
        for label in ("photo", "generated"):
            if sum(row.label == label for row in rows) < _FEWEST_OF_A_LABEL:
                raise ManifestError(
                    f"{data.manifest}: fewer than {_FEWEST_OF_A_LABEL} usable rows labelled '{label}' in split "
                    f"'{split}': import some, or fix the recipe's splits and kinds"
                )
    if len(train_rows) < pictures_a_step:
        raise ManifestError(
            f"{data.manifest}: {len(train_rows)} usable rows in split '{data.train_split}', {pictures_a_step} are "
            "needed for a step: import more, or lower optimise.batch_size"
        )
    check_groups_apart(data.manifest, train_rows, val_rows)
    return train_rows, evenly(val_rows, data.val_limit)
