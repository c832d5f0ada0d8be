"""The training loop, top to bottom: a recipe and an objective in, a network out; resumed to the bit.

One process, several on a machine, or several machines run the same recipe and make the same batches:

    cameraborn train RECIPE
    torchrun --nproc-per-node 8 -m cameraborn train RECIPE
    torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m cameraborn train RECIPE

Each process takes an equal part of every batch, and losses are of the whole batch. The run's folder and the pictures
must be on disks that all machines share; the main process alone writes. `train.run_folder` says what a run leaves
there, besides TensorBoard's events and, at the end, `network.safetensors`.

The loop knows nothing of what is learnt: an `Objective` brings the rows, the network, the batches and the losses.
"""

from __future__ import annotations

import copy
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cameraborn.data.manifest import Row
from cameraborn.data.select import check_files
from cameraborn.errors import RecipeError
from cameraborn.train.optimise import PRECISIONS, average, learning_rate, make_optimiser, set_learning_rate
from cameraborn.train.pictures import Batch
from cameraborn.train.processes import Processes, process_group
from cameraborn.train.recipe import OptimiseSection, TrainingRecipe
from cameraborn.train.run_folder import Log, State, Stateful, record_of, start_or_resume, write_tensors
from cameraborn.train.shared_norm import share_batch_norm

Forward = Callable[..., Any]  # of inputs as a dataset gives them, to what the network makes of them
R = TypeVar("R", bound=TrainingRecipe)


@dataclass(frozen=True)
class Progress:
    """What a caller may show while training runs; loss and validation are the last ones measured."""

    step: int
    steps: int
    loss: float
    seconds_left: float
    validation: dict[str, float]


Report = Callable[[Progress], None]


class Objective(ABC):
    """What is trained, on which rows, towards which losses.

    Attributes:
        rows: every row that is learnt from.
        variants: rows that are shown in place of some of these.
        val_rows: rows that are validated on.
        weights_from: files of weights that training starts from, or that teach.
        checkpointed: what else training changes, by its name in a checkpoint.
        may_leave_unused: whether some steps leave parameters without a gradient.
        notices: what a user should know of the rows, a line each.
    """

    rows: Sequence[Row]
    variants: Sequence[Row] = ()
    val_rows: Sequence[Row] = ()
    weights_from: Sequence[Path] = ()
    checkpointed: Mapping[str, Stateful] = {}
    may_leave_unused = False
    notices: Sequence[str] = ()

    @property
    def rows_an_epoch(self) -> int:
        """How many of them the network is shown before it is shown one again."""
        return len(self.rows)

    @abstractmethod
    def build(self) -> nn.Module:
        """The network as training starts with it."""

    def optimiser(self, network: nn.Module, settings: OptimiseSection) -> torch.optim.Optimizer:
        """What moves the network; groups of parameters with `constant_lr` keep that rate."""
        return make_optimiser(network, settings)

    def learning_rate(
        self, step: int, settings: OptimiseSection, *, steps: int, steps_an_epoch: int
    ) -> float | None:
        """The rate of a step, the same in all processes; None ends training."""
        return learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)

    @abstractmethod
    def batches(self, steps: range) -> Iterator[Batch]:
        """This process's parts of the batches of these steps, `grad_accum_steps` each; started when called."""

    @abstractmethod
    def losses(self, forward: Forward, batch: Batch, share: float) -> dict[str, Tensor]:
        """The losses of the whole batch by name, the same in all processes (see `Processes.gather`).

        `share` is how much of the run is done, 0..1.
        """

    @abstractmethod
    def weights(self) -> Mapping[str, float | Tensor]:
        """What each loss counts in the sum that is lowered."""

    def before_losses(
        self, network: nn.Module, batch: Batch, optimiser: torch.optim.Optimizer, rate: float
    ) -> None:
        """Do what is to be done with a batch before the network learns from it at that learning rate."""
        return

    def logged(self) -> dict[str, float]:
        """More figures for the log."""
        return {}

    def validated(self, figures: dict[str, float]) -> None:
        """Take note of a validation; called in the main process."""
        return

    @abstractmethod
    def validator(self) -> Callable[[Any], dict[str, float]]:
        """What measures a network, by figure; called once, in the main process, before training."""


def train(
    objective: Callable[[R, Processes], Objective],
    recipe: R,
    folder: Path,
    report: Report = lambda _: None,
    *,
    notice: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`; return the last validation figures (of the main process).

    Args:
        objective: makes what is trained.
        recipe: what decides the run.
        folder: of the run.
        report: told after each step how far it is.
        notice: told each of the objective's notices, before training.

    Raises:
        RecipeError: the folder belongs to another recipe, the disk is full, or the loss is no number any more.
        ManifestError: the manifest has no rows to train on or to validate on, or pictures are missing.
        PictureError: a picture cannot be read.
    """
    with process_group() as processes:
        configure(recipe.optimise, processes)
        aim = objective(recipe, processes)
        start(recipe, folder, processes, [*aim.rows, *aim.variants], aim.val_rows, aim.weights_from)
        for line in aim.notices if processes.is_main else ():
            notice(line)
        network, figures = fit(aim, recipe, folder, processes, report)
        if processes.is_main:
            write_tensors(network.state_dict(), folder / "network.safetensors", {})
        return figures


def configure(settings: OptimiseSection, processes: Processes) -> None:
    """Set the seed, the threads and determinism, once a process.

    Raises:
        RecipeError: the processes cannot share a batch equally.
    """
    if settings.batch_size % processes.world:
        raise RecipeError(
            f"optimise.batch_size = {settings.batch_size} cannot be divided between {processes.world} processes: "
            "change either"
        )
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.benchmark = not settings.deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks for on CUDA


def start(
    recipe: TrainingRecipe,
    folder: Path,
    processes: Processes,
    rows: Sequence[Row],
    val_rows: Sequence[Row] = (),
    weights_from: Sequence[Path] = (),
) -> None:
    """Create the run folder, with what is learnt from, or see that the one there may be gone on with.

    Raises:
        RecipeError: it is of another recipe, or its data have changed.
        ManifestError: pictures are missing.
    """
    if processes.is_main:
        check_files(recipe.data.manifest, [*rows, *val_rows])
        start_or_resume(folder, recipe, record_of(recipe.data.manifests, rows, weights_from))
    processes.barrier()


def fit(
    objective: Objective, recipe: TrainingRecipe, folder: Path, processes: Processes, report: Report
) -> tuple[Any, dict[str, float]]:
    """Train one network, or go on with it; return its running average and the last validation figures.

    Raises:
        RecipeError: a checkpoint is damaged, the disk is full, or the loss is no number any more.
        PictureError: a picture cannot be read.
    """
    settings, device, world = recipe.optimise, processes.device, processes.world
    network = objective.build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    if world > 1:  # statistics of the whole batch too
        if device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        else:
            share_batch_norm(network)
    precision = PRECISIONS[settings.precision]
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    optimiser = objective.optimiser(network, settings)
    state = State(network, averaged, optimiser, scaler, objective.checkpointed)
    first_step = state.load(folder / "checkpoint.safetensors")
    if not processes.all_equal(first_step):
        raise RecipeError(
            f"{folder}: the processes see different checkpoints: put it on a disk that all machines share"
        )
    model = network
    if world > 1:
        model = DistributedDataParallel(network, find_unused_parameters=objective.may_leave_unused)
    forward = forward_pass(torch.compile(model) if settings.compile else model, device, precision)

    rows = objective.rows_an_epoch
    steps, steps_an_epoch = settings.steps_for(rows), settings.steps_an_epoch(rows)
    batches = objective.batches(range(first_step, steps))
    validate = objective.validator() if processes.is_main else lambda network: {}
    figures: dict[str, float] = {}
    started, last_loss = time.monotonic(), math.nan
    waited, logged = 0.0, started  # for data, since the last line of the log

    with Log(folder, first_step) if processes.is_main else nullcontext() as log:
        for step in range(first_step, steps):
            rate = objective.learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)
            if rate is None:
                break
            set_learning_rate(optimiser, rate)
            optimiser.zero_grad(set_to_none=True)
            parts: list[dict[str, Tensor]] = []
            for part in range(settings.grad_accum_steps):
                # Dropout too must not know where a run was resumed; each process and part has its own.
                torch.manual_seed(
                    settings.seed + step + (processes.rank * settings.grad_accum_steps + part << 32)
                )
                asked = time.monotonic()
                batch = next(batches)
                waited += time.monotonic() - asked
                objective.before_losses(network, batch, optimiser, rate)
                more_to_come = world > 1 and part < settings.grad_accum_steps - 1
                with (
                    model.no_sync() if more_to_come else nullcontext()
                ):  # gradients are exchanged once a step
                    losses = objective.losses(forward, batch, step / steps)
                    weights = objective.weights()
                    loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
                    # The processes' mean of `world` times the gradient by one's own part is the whole gradient.
                    scaler.scale(loss * world / settings.grad_accum_steps).backward()  # type: ignore[no-untyped-call]
                parts.append({"loss": loss.detach(), **{f"loss/{k}": v.detach() for k, v in losses.items()}})
            if settings.grad_clip is not None:
                scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(network.parameters(), settings.grad_clip)
            scaler.step(optimiser)
            scaler.update()
            average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            if log is None:
                continue
            elapsed = time.monotonic() - started
            if done % (recipe.log.validate_every or steps_an_epoch) == 0 or done == steps:
                figures = validate(averaged)
                objective.validated(figures)
                log.write(done, {f"val/{name}": value for name, value in figures.items()})
            if done % recipe.log.log_every == 0 or done == steps:
                means = {name: float(sum(part[name] for part in parts)) / len(parts) for name in parts[0]}
                last_loss = _finite(means["loss"], done, folder)
                now = time.monotonic()
                timing = {"lr": rate, "data_wait_share": waited / (now - logged)}
                log.write(done, {**means, **objective.logged(), **timing})
                waited, logged = 0.0, now
            if done % recipe.log.checkpoint_every == 0 or done == steps:
                state.save(folder / "checkpoint.safetensors", done)
            left = elapsed / (done - first_step) * (steps - done)
            report(Progress(done, steps, last_loss, left, figures))
    return averaged, figures or validate(averaged)


def forward_pass(model: Forward, device: torch.device, precision: torch.dtype | None) -> Forward:
    """The model on inputs [B ...] as a dataset gives them: bytes travel, a quarter of what floats would weigh."""

    def forward(inputs: Tensor, *more: object) -> Any:  # noqa: ANN401 (what the model gives)
        inputs = inputs.to(device, non_blocking=True)
        layout = torch.channels_last if inputs.ndim == 4 else torch.contiguous_format
        inputs = inputs.to(torch.float32, memory_format=layout)
        with torch.autocast(device.type, precision, enabled=precision is not None):
            return model(inputs, *more)

    return forward


def _finite(loss: float, step: int, folder: Path) -> float:
    if not math.isfinite(loss):
        raise RecipeError(
            f"{folder}: the loss is {loss} at step {step}: lower learning_rate, or train in bfloat16 or float32, "
            "in another folder"
        )
    return loss
