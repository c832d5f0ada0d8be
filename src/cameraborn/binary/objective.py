"""What a binary detector's training lowers: cross-entropy, and the distance to the frozen pretext network.

Shapes: B pictures, P patches a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.binary.dataset import (
    LabelledPatches,
    generators_of,
    labelled_rows,
    labels_of,
    large_enough,
)
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.binary.regularised import RegularisedClassifier
from cameraborn.data.manifest import Row
from cameraborn.photo.patches import grid_patches
from cameraborn.train.loop import Forward, Objective
from cameraborn.train.optimise import PRECISIONS
from cameraborn.train.pictures import MemoryBudget, batches, whole_pictures
from cameraborn.train.processes import Processes
from cameraborn.train.weights import load_init

VALIDATION_PATCHES = 16  # patches of each picture, on a grid
Batch = tuple[Tensor, Tensor]  # patches [B P 3 64 64], labels [B]


class BinaryObjective(Objective):
    """SDAIE's loss (arXiv 2512.05651): cross-entropy plus alpha times the distance of the inner stages."""

    def __init__(self, recipe: BinaryRecipe, processes: Processes) -> None:
        self.recipe, self.processes = recipe, processes
        self.budget = MemoryBudget(recipe.data.cache_mb)
        self.rows, self.val_rows = labelled_rows(recipe.data, recipe.optimise.pictures_a_step)
        self.weights_from = (recipe.weights,)

    def build(self) -> nn.Module:
        """The classifier, its frozen encoder loaded; a run leaves both encoders and the head."""
        return build_classifier(self.recipe)

    def batches(self, steps: range) -> Iterator[Batch]:
        """Random patches of pictures, and their labels."""
        dataset = LabelledPatches(self.rows, self.recipe, self.budget)
        return batches(dataset, len(self.rows), self.recipe.optimise, self.processes, steps)

    def losses(self, forward: Forward, batch: Batch, share: float) -> dict[str, Tensor]:
        """Both losses of the whole batch."""
        patches, labels = batch
        logits, distance = forward(patches)
        logits, labels = self.processes.gather(logits), self.processes.gather(labels.to(logits.device))
        return {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "distance": self.processes.mean(distance),
        }

    def weights(self) -> Mapping[str, float | Tensor]:
        """As the recipe says."""
        return {"cross_entropy": 1.0, "distance": self.recipe.alpha}

    def validator(self) -> Callable[[Any], dict[str, float]]:
        """Figures of held-out rows."""
        precision = PRECISIONS[self.recipe.optimise.precision]
        return BinaryValidator(self.val_rows, self.budget, self.processes.device, precision)


def build_classifier(recipe: BinaryRecipe) -> RegularisedClassifier:
    """The classifier of a recipe before training: the frozen encoder loaded, the other random or loaded too.

    Raises:
        RecipeError: the weights cannot be read, or are of another network.
    """
    frozen, encoder = recipe.network.encoder(), recipe.network.encoder()
    load_init(nn.ModuleDict({"encoder": frozen}), recipe.weights)
    if recipe.start == "weights":
        encoder.load_state_dict(frozen.state_dict())
    return RegularisedClassifier(frozen, encoder)


def figures_of(scores: Tensor, labels: Tensor, generators: Sequence[str]) -> dict[str, float]:
    """AUC and accuracy of log odds [rows], labels 0 and 1 [rows], and, of several generators, the AUC of each.

    `generators` names what made each row; empty for photographs.
    """
    figures = {
        "auc": float(roc_auc_score(labels, scores)),
        "accuracy": float(((scores > 0).long() == labels).float().mean()),
    }
    names = sorted(set(generators) - {""})
    for generator in names if len(names) > 1 else []:
        of_it = torch.tensor([name in ("", generator) for name in generators])
        figures[f"{generator}/auc"] = float(roc_auc_score(labels[of_it], scores[of_it]))
    return figures


class BinaryValidator:
    """AUC and accuracy on fixed patches: of all rows, and of each generator against all photographs."""

    def __init__(
        self, rows: Sequence[Row], budget: MemoryBudget, device: torch.device, precision: torch.dtype | None
    ) -> None:
        self.pictures, self.labels = whole_pictures(rows, budget), labels_of(rows)
        self.generators = generators_of(rows)
        self.device, self.precision = device, precision

    @torch.no_grad()
    def scores(self, network: RegularisedClassifier) -> Tensor:
        """The log odds of "generated" of each row: [rows]."""
        network.eval()
        scores = torch.tensor([self._score(network, index) for index in range(len(self.labels))])
        network.train()
        return scores

    def __call__(self, network: RegularisedClassifier) -> dict[str, float]:
        """Figures by name; the positive class is generated."""
        return figures_of(self.scores(network), self.labels, self.generators)

    def _score(self, network: RegularisedClassifier, index: int) -> float:
        patches = torch.from_numpy(grid_patches(large_enough(self.pictures[index]), limit=VALIDATION_PATCHES))
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
            return float(network.score(patches[None].to(self.device).float()))
