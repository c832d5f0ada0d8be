"""Rows to samples: patches of photographs and what their EXIF says, seeded for each sample.

A missing tag is nan, never invented. Shapes: B pictures, P patches a picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.tasks import Task
from cameraborn.train.pictures import MemoryBudget, random_patches, whole_pictures


class PatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random augmented patches of each photograph: (patches uint8 [P 3 64 64], targets [columns], nan if missing)."""

    def __init__(
        self, rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
    ) -> None:
        self.paths = [row.path for row in rows]
        self.pictures = whole_pictures(rows, budget)
        self.targets = targets_of(rows, tasks)
        self.settings, self.augment = recipe.optimise, recipe.augment

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The sample of (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng([self.settings.seed, epoch, index])
        pixels = self.pictures[index]
        if min(pixels.shape[:2]) < PATCH_SIZE:
            raise ManifestError(
                f"{self.paths[index]}: {pixels.shape[1]}x{pixels.shape[0]} pixels are too few for a patch of "
                f"{PATCH_SIZE}: take the row out of the training split"
            )
        patches = random_patches(pixels, self.settings.patches, self.augment, rng)
        return torch.from_numpy(patches), self.targets[index]


def targets_of(rows: Sequence[Row], tasks: Sequence[Task]) -> Tensor:
    """What each row says of each task: float [rows columns], nan where it says nothing, as of tasks of faces."""
    said = [[x for task in tasks for x in task.of_row(row)] for row in rows]
    return torch.tensor(said, dtype=torch.float64)
