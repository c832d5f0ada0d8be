"""What pretext training lowers: the losses of all tasks, weighted as the recipe says or as is learnt beside.

Shapes: B pictures in a batch; targets have columns as `kinds.columns_of` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.data.manifest import Row
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.face_rows import with_variants
from cameraborn.pretext.kinds import columns_of
from cameraborn.pretext.prompts import OURS, check_taught, load_text_tower
from cameraborn.pretext.recipe import PretextSection, Recipe
from cameraborn.pretext.selection import check_levels, select_rows
from cameraborn.pretext.tasks import Task
from cameraborn.pretext.upper import UPPER, Labelled, column_of_made
from cameraborn.pretext.validate import Validator
from cameraborn.pretext.weighting import BilevelWeights, split_levels
from cameraborn.train.loop import Forward, Objective, forward_pass
from cameraborn.train.optimise import PRECISIONS, momentum_of
from cameraborn.train.pictures import MemoryBudget, batches
from cameraborn.train.processes import Processes
from cameraborn.train.weights import load_init

Batch = tuple[Tensor, Tensor]  # inputs [B ...], targets [B columns]
Levels = tuple[Batch, Batch | None]  # to train on, and to weigh the tasks by


class PretextObjective(Objective):
    """The tasks of a recipe, on the photographs of its manifest."""

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        settings = recipe.optimise
        self.recipe, self.processes = recipe, processes
        self.tasks = recipe.pretext.chosen
        self.architecture = ARCHITECTURES[recipe.network.input_kind]
        self.budget = MemoryBudget(recipe.data.cache_mb)
        self.rows, self.variants, self.val_rows, notices = select_rows(
            recipe.data, self.tasks, settings.pictures_a_step, faces=recipe.network.sees_faces
        )
        self.notices = [*notices, *_notices(recipe)]
        self.weights_from = () if recipe.init is None else (recipe.init,)
        self.lower: Sequence[Row] = self.rows
        self.upper: Sequence[Row] = ()
        self.weighting, self.upper_objective = None, None
        if recipe.bilevel is not None:
            primary = recipe.bilevel.primary
            self.upper_objective = UPPER.get(primary)
            self.weighting = BilevelWeights(
                recipe.pretext.tasks,
                None if self.upper_objective else primary,
                learning_rate=recipe.bilevel.learning_rate,
                constraint=recipe.bilevel.constraint,
            )
            self.checkpointed = {"weighting": self.weighting}
            self.lower, self.upper = split_levels(self.rows, recipe.bilevel.upper_share, seed=settings.seed)
            check_levels(
                recipe.data.manifest, self.lower, self.upper, settings.pictures_a_step, processes.world
            )

    @property
    def rows_an_epoch(self) -> int:
        """Those of the lower level, where the recipe has two."""
        return len(self.lower)

    def build(self) -> nn.Module:
        """The network of the recipe, with the weights that it starts from."""
        recipe = self.recipe
        network = build_network(recipe)
        if recipe.init is not None:
            if recipe.prompts is not None:
                check_taught(recipe.prompts, recipe.init, recipe.pretext.levels)
            load_init(network, recipe.init)
        if recipe.prompts is not None and recipe.prompts.weights is not None:
            load_text_tower(network.heads.text, recipe.prompts.weights)
        if recipe.prompts is not None and recipe.prompts.freeze:
            network.heads.text.requires_grad_(False)
            network.heads.text.logit_scale.requires_grad_(True)
        return network  # type: ignore[no-any-return]

    def batches(self, steps: range) -> Iterator[Levels]:
        """Batches of both levels; without bi-level weighting there is one."""
        lower = self._batches(self.lower, steps)
        if self.weighting is None:
            return zip(lower, itertools.repeat(None), strict=False)
        return zip(lower, self._batches(self.upper, steps, seed_offset=1), strict=True)

    def losses(self, forward: Forward, batch: Levels, share: float) -> dict[str, Tensor]:
        """Each task's, over the whole batch."""
        return self._losses(forward, batch[0])

    def weights(self) -> Mapping[str, float | Tensor]:
        """Equal and fixed in the paper (Eq. 6); the recipe's, or those learnt."""
        return self.recipe.pretext.tasks if self.weighting is None else self.weighting.values()

    def before_losses(
        self, network: nn.Module, batch: Levels, optimiser: torch.optim.Optimizer, rate: float
    ) -> None:
        """Move the tasks' weights, if they are learnt."""
        lower, upper = batch
        if self.weighting is None or upper is None:
            return
        decay = self.recipe.optimise.weight_decay
        self.weighting.update(
            network,
            self._full_losses,
            lower,
            upper,
            alpha=rate,
            weight_decay=decay,
            velocity=momentum_of(network, optimiser),
            objective=self._upper_loss if self.upper_objective else None,
        )

    def logged(self) -> dict[str, float]:
        """The tasks' weights, if they are learnt."""
        return {} if self.weighting is None else {f"weight/{k}": float(w) for k, w in self.weights().items()}

    def validator(self) -> Callable[[Any], dict[str, float]]:
        """Figures of each task, see `pretext.validate`."""
        shown = self.architecture.validation(self.val_rows, self.tasks, self.recipe, self.budget)
        precision = PRECISIONS[self.recipe.optimise.precision]
        return Validator(shown, self.tasks, self.processes.device, precision)

    def _batches(self, rows: Sequence[Row], steps: range, seed_offset: int = 0) -> Iterator[Batch]:
        settings = self.recipe.optimise
        shown = with_variants(rows, [*self.rows, *self.variants]) if self.variants else rows
        dataset = self.architecture.training(shown, self.tasks, self.recipe, self.budget)
        return batches(dataset, len(rows), settings, self.processes, steps, seed_offset=seed_offset)

    def _losses(self, forward: Forward, batch: Batch) -> dict[str, Tensor]:
        inputs, targets = batch
        outputs = {name: self.processes.gather(output) for name, output in forward(inputs).items()}
        targets = self.processes.gather(targets.to(self.processes.device, non_blocking=True))
        return task_losses(outputs, targets, self.tasks, self.recipe.pretext)

    def _full_losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """In full precision; the processes' mean of the gradients is the whole gradient."""
        forward = forward_pass(network, self.processes.device, None)
        world = self.processes.world
        return {name: whole_gradient(loss, world) for name, loss in self._losses(forward, batch).items()}

    def _upper_loss(self, network: nn.Module, lower: Batch, upper: Batch) -> Tensor:
        """The upper level's objective in place of a task's loss; in full precision as the losses are."""
        assert self.upper_objective is not None
        loss = self.upper_objective(self._shown(network, lower), self._shown(network, upper))
        return whole_gradient(loss, self.processes.world)

    def _shown(self, network: nn.Module, batch: Batch) -> Labelled:
        inputs, targets = batch
        forward = forward_pass(self._features_of(network), self.processes.device, None)
        made = targets[:, column_of_made(self.tasks)].to(self.processes.device)
        return Labelled(self.processes.gather(forward(inputs)), self.processes.gather(made))

    def _features_of(self, network: nn.Module) -> Forward:
        """Inputs to features [B D] as a detector has them: means over patches; with prompts of unit length."""
        encoder = cast("nn.Module", network.encoder)

        def features(inputs: Tensor) -> Tensor:
            if self.recipe.network.input_kind == "patches":
                B, P = inputs.shape[:2]
                found = encoder(inputs.flatten(0, 1)).view(B, P, -1).mean(1)
            else:
                found = encoder(inputs)
            return found if self.recipe.prompts is None else F.normalize(found, dim=1)

        return features


def _notices(recipe: Recipe) -> Iterator[str]:
    prompts = recipe.prompts
    if prompts is not None and prompts.weights is not None and prompts.sentences is None:
        yield f"{prompts.weights}: {OURS}"


def task_losses(
    outputs: dict[str, Tensor], targets: Tensor, tasks: Sequence[Task], pretext: PretextSection
) -> dict[str, Tensor]:
    """Each task's loss on a batch; targets [B columns] as `columns_of` the tasks says, nan where missing."""
    columns = columns_of(tasks)
    return {
        task.name: task.loss(outputs[task.name].float(), targets[:, columns[task.name]], pretext.pair_loss)
        for task in tasks
    }


def whole_gradient(loss: Tensor, world: int) -> Tensor:
    """The same loss with `world` times the gradient by one's own part: the processes' mean is the whole gradient."""
    return world * loss - (world - 1) * loss.detach()
