"""What a network of each kind of input is shown, in training and in validation; and the network of a recipe.

Shapes: B pictures in a batch; what follows is the network's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError
from cameraborn.networks.clip import PromptRanker
from cameraborn.networks.section import InputKind
from cameraborn.photo.patches import PATCH_SIZE, grid_patches
from cameraborn.pretext.dataset import PatchDataset, targets_of
from cameraborn.pretext.face_dataset import FaceDataset, FaceValidation, ValidationBatch
from cameraborn.pretext.prompts import prompt_heads
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.tasks import Task
from cameraborn.train.pictures import MemoryBudget, whole_pictures

VALIDATION_PATCHES = 16  # of each picture, on a grid


@dataclass(frozen=True)
class Architecture:
    """What networks of one kind of input are shown.

    Attributes:
        training: samples by (epoch, index): (input uint8, targets [columns]).
        validation: batches to measure on; they may be iterated many times.
        side: of the encoder's input, pixels.
    """

    training: Callable[[Sequence[Row], Sequence[Task], Recipe, MemoryBudget], Dataset[tuple[Tensor, Tensor]]]
    validation: Callable[[Sequence[Row], Sequence[Task], Recipe, MemoryBudget], Iterable[ValidationBatch]]
    side: Callable[[Recipe], int]


def build_network(recipe: Recipe) -> Any:  # noqa: ANN401 (a module with an `encoder`, of the recipe's type)
    """The network a recipe describes, freshly initialised; see `networks.section.NetworkSection.ranker`."""
    if recipe.prompts is not None:
        encoder = recipe.network.encoder()
        return PromptRanker(
            encoder,
            prompt_heads(
                recipe.prompts, recipe.pretext.tasks, recipe.network.features, levels=recipe.pretext.levels
            ),
        )
    return recipe.network.ranker({task.name: task.outputs for task in recipe.pretext.chosen})


def _patch_validation(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> Iterable[ValidationBatch]:
    """Patches on a grid, a picture a batch, because small pictures give fewer."""
    large, targets = whole_pictures(rows, budget), targets_of(rows, tasks)
    batches = []
    for index, row in enumerate(rows):
        pixels = large[index]
        if min(pixels.shape[:2]) >= PATCH_SIZE:
            patches = torch.from_numpy(grid_patches(pixels, limit=VALIDATION_PATCHES))
            batches.append(
                (patches[None], targets[index : index + 1], [row.manipulation or row.kind or "all"])
            )
    if not batches:
        raise ManifestError(
            f"{recipe.data.manifest}: no picture of split '{recipe.data.val_split}' has {PATCH_SIZE} pixels on both "
            "sides, which a patch needs: import larger ones"
        )
    return batches


def _face_training(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> FaceDataset:
    return FaceDataset(rows, tasks, faces=recipe.faces, seed=recipe.optimise.seed, budget=budget)


def _face_validation(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> Iterable[ValidationBatch]:
    shown = FaceValidation(rows, tasks, faces=recipe.faces, seed=recipe.optimise.seed, budget=budget)
    return shown.batches(recipe.optimise.workers)


_PATCHES = Architecture(PatchDataset, _patch_validation, lambda recipe: PATCH_SIZE)
_FACES = Architecture(_face_training, _face_validation, lambda recipe: recipe.faces.size)
ARCHITECTURES: dict[InputKind, Architecture] = {"patches": _PATCHES, "patch-set": _PATCHES, "crop": _FACES}
