"""What a rival's training lowers: its own loss, on one of three kinds of pictures, through the one training loop.

The rival's frozen parts (a diffusion model, CLIP) are no part of the network that the loop trains, so no checkpoint
holds them. What they make of a picture is computed once where nothing at random comes before them, and memory allows.

Shapes: B pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cameraborn.binary.dataset import generators_of, labels_of
from cameraborn.binary.objective import figures_of
from cameraborn.errors import RecipeError
from cameraborn.rivals.dataset import RivalPictures, cut, rows_of
from cameraborn.rivals.published import RIVALS, Published, Rival, make
from cameraborn.rivals.recipe import RivalRecipe
from cameraborn.rivals.start import start_from
from cameraborn.rivals.weights import load_weights
from cameraborn.train.loop import Forward, Objective
from cameraborn.train.optimise import learning_rate
from cameraborn.train.pictures import MemoryBudget, batches
from cameraborn.train.processes import Processes
from cameraborn.train.recipe import OptimiseSection

Batch = tuple[Tensor, Tensor, Tensor]  # pictures [B V C H W], labels [B V], (epoch, index) [B 2]


class Trained(nn.Module):
    """The trained parts of a rival, which alone are its parameters; called, it gives the loss."""

    def __init__(self, published: Published, teacher: Rival | None = None) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {name: published.get_submodule(name) for name in published.trained_parts()}
        )
        # In tuples, so that what is frozen is not registered here.
        self._whole, self._teacher = (published,), (teacher,)

    @property
    def published(self) -> Published:
        """The whole of it, which holds the same parts."""
        return self._whole[0]

    def train(self, mode: bool = True) -> Trained:
        """Set the trained parts; the others never train."""
        super().train(mode)
        self.published.training = mode
        return self

    def forward(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """What `prepare` gave [B ...] and labels [B] to the loss."""
        (teacher,) = self._teacher
        if teacher is not None and isinstance(self.published, Rival):
            return self.published.distillation_loss(teacher, prepared)
        return self.published.loss(prepared, generated)


class Plateau:
    """How often validation has not grown better for so long: what the learning rate falls by.

    Args:
        patience: validations without a better one.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience, self.best, self.waited, self.falls = patience, -float("inf"), 0, 0

    def add(self, figure: float) -> None:
        """Take note of a validation; higher is better."""
        self.waited = 0 if figure > self.best else self.waited + 1
        self.best = max(self.best, figure)
        if self.patience is not None and self.waited >= self.patience:
            self.waited, self.falls = 0, self.falls + 1

    def state_dict(self) -> dict[str, Tensor]:
        """Its three numbers."""
        return {"numbers": torch.tensor([self.best, self.waited, self.falls], dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        best, waited, falls = state["numbers"].tolist()
        self.best, self.waited, self.falls = best, int(waited), int(falls)


class Prepared:
    """What a rival's frozen parts make of pictures, remembered by the picture's number while the budget lasts."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget, self._known = budget, dict[int, Tensor]()

    def __call__(self, published: Published, pictures: Tensor, numbers: Sequence[int]) -> Tensor:
        """Preprocessed pictures [B 3 H W] to [B ...] on the same device; only what is not known is computed."""
        missing = [place for place, number in enumerate(numbers) if number not in self._known]
        if not missing:
            return torch.stack([self._known[number] for number in numbers]).to(pictures.device)
        with torch.no_grad():
            computed = dict(zip(missing, published.prepare(pictures[missing]), strict=True))
        for place, row in computed.items():
            if self._budget.take(row.nbytes):
                self._known[numbers[place]] = row.cpu()
        rows = (
            computed[place] if place in computed else self._known[number].to(pictures.device)
            for place, number in enumerate(numbers)
        )
        return torch.stack(list(rows))


class RivalObjective(Objective):
    """A rival's own loss.

    Raises:
        RecipeError: nothing of the rival is trained, or weights of its frozen parts are missing.
        ManifestError: too few rows.
    """

    def __init__(self, recipe: RivalRecipe, processes: Processes) -> None:
        self.recipe, self.processes = recipe, processes
        self.published = make(recipe.rival)
        if self.published.prepares and recipe.objective == "self-blended":
            raise RecipeError(
                f'{recipe.rival}: cannot learn from self-blended pictures: choose objective = "binary"'
            )
        if not self.published.trained_parts():
            raise RecipeError(
                f"{recipe.rival}: nothing of it is trained: give it weights, and name it in a benchmark"
            )
        load_weights(self.published, recipe.weights)
        if recipe.start is not None:
            start_from(self.published, recipe.start)
        self.published.start_training()
        self.published.eval()  # what is not trained stays so
        self.budget = MemoryBudget(recipe.data.cache_mb)
        self.rows, self.val_rows = rows_of(recipe)
        self.teacher = None if recipe.teacher is None else teacher_of(self.published, recipe.teacher)
        self.weights_from = (*recipe.weights, *filter(None, [recipe.start, recipe.teacher]))
        self.plateau = Plateau(recipe.optimise.patience)
        self.checkpointed = {"plateau": self.plateau}
        self._prepared = Prepared(MemoryBudget(0) if recipe.augment.changes_pictures else self.budget)

    def build(self) -> nn.Module:
        """The trained parts; the others are put where they are needed."""
        self.published.to(self.processes.device)
        if self.teacher is not None:
            self.teacher.to(self.processes.device)
        return Trained(self.published, self.teacher).train()

    def learning_rate(
        self, step: int, settings: OptimiseSection, *, steps: int, steps_an_epoch: int
    ) -> float | None:
        """The schedule's rate, lowered as the recipe says; None where it would fall below `min_lr`."""
        ours = self.recipe.optimise
        rate = learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)
        falls = 0
        if ours.decay_every is not None:
            falls = (step if ours.steps else step // steps_an_epoch) // ours.decay_every
        elif ours.patience is not None:
            falls = int(
                self.processes.gather(torch.tensor([self.plateau.falls], device=self.processes.device))[0]
            )
        rate *= ours.decay_factor**falls
        return None if ours.patience is not None and rate < ours.min_lr else rate

    def batches(self, steps: range) -> Iterator[Batch]:
        """Pictures, their labels and their numbers."""
        dataset = RivalPictures(self.rows, self.recipe, self.budget)
        return batches(dataset, len(self.rows), self.recipe.optimise, self.processes, steps)

    def losses(self, forward: Forward, batch: Batch, share: float) -> dict[str, Tensor]:
        """The mean of the processes' losses."""
        pictures, labels, keys = batch
        pictures, labels = pictures.flatten(0, 1), labels.flatten().to(self.processes.device)
        if self.published.prepares:
            pictures = self._prepared(self.published, pictures.to(self.processes.device), keys[:, 1].tolist())
            pictures = torch.stack(
                [self._cut(one, key) for one, key in zip(pictures, keys.tolist(), strict=True)]
            )
        return {self.recipe.rival: self.processes.mean(forward(pictures, labels))}

    def _cut(self, prepared: Tensor, key: list[int]) -> Tensor:
        rng = np.random.default_rng([self.recipe.optimise.seed, *key, 1])
        return cut(prepared, self.recipe.augment, rng, self.rows[key[1]].path)

    def weights(self) -> Mapping[str, float | Tensor]:
        """One loss, which counts wholly."""
        return {self.recipe.rival: 1.0}

    def validated(self, figures: dict[str, float]) -> None:
        """Tell what patience waits for: accuracy, or the loss where there are photographs alone."""
        self.plateau.add(figures["accuracy"] if "accuracy" in figures else -figures["loss"])

    def validator(self) -> Callable[[Any], dict[str, float]]:
        """AUC and accuracy of the rows to validate on, or the loss of photographs."""
        dataset = RivalPictures(self.val_rows, self.recipe, self.budget, augmented=False)
        return Validator(dataset, self.processes.device, Prepared(self.budget))


def teacher_of(published: Published, weights: Path) -> Rival:
    """The rival that teaches another, with its weights.

    Raises:
        RecipeError: the file cannot be read, or holds other weights.
    """
    assert isinstance(published, Rival)  # as the recipe has seen
    teacher = RIVALS[published.teacher]()
    load_weights(teacher, [weights])
    return teacher.eval().requires_grad_(False)


class Validator:
    """Figures of held-out rows, as they are."""

    def __init__(self, dataset: RivalPictures, device: torch.device, prepared: Prepared) -> None:
        self.dataset, self.device, self.prepared = dataset, device, prepared
        rows = dataset.rows
        self.generators = generators_of(rows)
        self.labels = labels_of(rows)
        if dataset.recipe.objective == "self-blended":
            self.labels = torch.tensor([0, 1]).repeat(len(rows))
            self.generators = ["", "self-blended"] * len(rows)

    @torch.no_grad()
    def __call__(self, network: Trained) -> dict[str, float]:
        """Figures by name; only what has been trained is ever measured."""
        network.published.count_as_trained()
        network.eval()
        values = torch.cat([self._of_row(network, index) for index in range(len(self.dataset))])
        network.train()
        if not isinstance(network.published, Rival):
            return {"loss": float(values.mean())}
        return figures_of(values, self.labels, self.generators)

    def _of_row(self, network: Trained, index: int) -> Tensor:
        """The scores of a row's pictures, or the loss of a photograph."""
        pictures, labels, _ = self.dataset[0, index]
        pictures = pictures.to(self.device)
        published = network.published
        if not isinstance(published, Rival):
            return published.loss(pictures, labels)[None].float().cpu()
        if published.prepares:
            pictures = self.prepared(published, pictures, [index])
        return published.score(pictures).float().cpu()
