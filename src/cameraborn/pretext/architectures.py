"""The registry of networks that recipes may name: how each is built, and what it is shown.

One entry is all that a new network needs, beside its section in `train.encoders`: training, validation, resuming and
export follow from it.

Shapes: B pictures in a batch; what follows is the network's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from cameraborn.data.manifest import Row
from cameraborn.networks.clip import PromptRanker
from cameraborn.networks.patchnet import PatchRanker
from cameraborn.networks.resnet import ResNetRanker
from cameraborn.networks.sdaie import SdaieRanker
from cameraborn.photo.patches import PATCH_SIZE, grid_patches
from cameraborn.pretext.dataset import PatchDataset, targets_of
from cameraborn.pretext.face_dataset import FaceDataset, FaceValidation, ValidationBatch
from cameraborn.pretext.prompts import prompt_heads
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.tasks import TASKS, Task
from cameraborn.train.encoders import build_encoder
from cameraborn.train.onnx import InputKind
from cameraborn.train.pictures import MemoryBudget, whole_pictures

VALIDATION_PATCHES = 16  # of each picture, on a grid


@dataclass(frozen=True)
class Architecture:
    """A type of network.

    Attributes:
        build: the network of a recipe, freshly initialised. It maps a batch, float in 0..255, to each task's outputs
            [B size] by the task's name; its `encoder` is what is exported, and gives features [N D].
        training: samples by (epoch, index): (input uint8, targets [T]).
        validation: batches to measure on; they may be iterated many times.
        input_kind: what the encoder takes, and the name of the ONNX graph's input: `patches` uint8 [N 3 64 64],
            `patch-set` uint8 [P 3 64 64], which are one picture's, or `crop` uint8 [N 3 S S].
        side: of that input, pixels.
    """

    build: Callable[[Recipe], nn.Module]
    training: Callable[[Sequence[Row], Sequence[Task], Recipe, MemoryBudget], Dataset[tuple[Tensor, Tensor]]]
    validation: Callable[[Sequence[Row], Sequence[Task], Recipe, MemoryBudget], Iterable[ValidationBatch]]
    input_kind: InputKind
    side: Callable[[Recipe], int]


def build_network(recipe: Recipe) -> Any:  # noqa: ANN401 (a module with an `encoder`, of the recipe's type)
    """The network a recipe describes, freshly initialised."""
    return ARCHITECTURES[recipe.network.type].build(recipe)


def _heads(recipe: Recipe) -> dict[str, int]:
    return {name: TASKS[name].outputs for name in recipe.pretext.tasks}


def _patch_network(recipe: Recipe) -> nn.Module:
    network = recipe.network
    colour = network.type == "patch" and network.colour
    return PatchRanker(build_encoder(network), _heads(recipe), colour=colour)


def _patch_training(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> PatchDataset:
    return PatchDataset(
        rows,
        tasks,
        patches=recipe.optimise.patches,
        augment=recipe.augment,
        seed=recipe.optimise.seed,
        budget=budget,
    )


def _patch_validation(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> Iterable[ValidationBatch]:
    """Patches on a grid, a picture a batch, because small pictures give fewer."""
    large, targets = whole_pictures(rows, budget), targets_of(rows, tasks)
    batches = []
    for index, row in enumerate(rows):
        pixels = large[index]
        if min(pixels.shape[:2]) >= PATCH_SIZE:
            patches = torch.from_numpy(grid_patches(pixels, VALIDATION_PATCHES))
            batches.append(
                (patches[None], targets[index : index + 1], [row.manipulation or row.kind or "all"])
            )
    return batches


def _sdaie(recipe: Recipe) -> nn.Module:
    return SdaieRanker(build_encoder(recipe.network), _heads(recipe))


def _resnet(recipe: Recipe) -> nn.Module:
    encoder = build_encoder(recipe.network)
    if recipe.prompts is not None:
        return PromptRanker(
            encoder, prompt_heads(recipe.prompts, recipe.pretext.tasks, encoder.fc.out_features)
        )
    return ResNetRanker(encoder, _heads(recipe))


def _face_training(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> FaceDataset:
    return FaceDataset(rows, tasks, faces=recipe.faces, seed=recipe.optimise.seed, budget=budget)


def _face_validation(
    rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, budget: MemoryBudget
) -> FaceValidation:
    return FaceValidation(
        rows,
        tasks,
        faces=recipe.faces,
        seed=recipe.optimise.seed,
        budget=budget,
        workers=recipe.optimise.workers,
    )


ARCHITECTURES: dict[str, Architecture] = {
    "patch": Architecture(
        _patch_network, _patch_training, _patch_validation, "patches", lambda recipe: PATCH_SIZE
    ),
    "sdaie": Architecture(_sdaie, _patch_training, _patch_validation, "patch-set", lambda recipe: PATCH_SIZE),
    "resnet50": Architecture(
        _resnet, _face_training, _face_validation, "crop", lambda recipe: recipe.faces.size
    ),
}
