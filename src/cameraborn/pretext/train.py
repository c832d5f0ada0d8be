"""Training, top to bottom: a recipe in, a checkpoint out; resumed to the bit after any interruption.

One process, several on a machine, or several machines run the same recipe and make the same batches:

    cameraborn train RECIPE
    torchrun --nproc-per-node 8 -m cameraborn train RECIPE
    torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m cameraborn train RECIPE

Each process takes an equal part of every batch, and pairs span the whole batch. The run's folder and the pictures must
be on disks that all machines share; the first process alone writes. `run_folder` says what a run leaves there, besides
TensorBoard's events and, at the end, `network.safetensors`.

Shapes: B pictures in a batch, T tasks.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from cameraborn.data.manifest import Row
from cameraborn.errors import CamerabornError, RecipeError
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.dataset import EpochSampler, single_threaded
from cameraborn.pretext.kinds import columns_of
from cameraborn.pretext.optimise import average, learning_rate, make_optimiser
from cameraborn.pretext.prompts import load_text_tower
from cameraborn.pretext.recipe import OptimiseSection, PretextSection, Recipe
from cameraborn.pretext.run_folder import Log, State, claim, write_tensors
from cameraborn.pretext.selection import check_enough, check_files, select_rows
from cameraborn.pretext.tasks import TASKS, Task
from cameraborn.pretext.validate import Validator
from cameraborn.pretext.weighting import BilevelWeights, split_levels
from cameraborn.train.processes import Processes, join
from cameraborn.train.weights import load_init

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
Batch = tuple[Tensor, Tensor]  # inputs [B ...], targets [B columns]
Forward = Callable[[Tensor], dict[str, Tensor]]
_READY = 4  # batches that a worker keeps ready


@dataclass(frozen=True)
class Progress:
    """What a caller may show while training runs; loss and validation are the last ones measured."""

    step: int
    steps: int
    loss: float
    seconds_left: float
    validation: dict[str, float]


def train(
    recipe: Recipe, folder: Path, report: Callable[[Progress], None] = lambda _: None
) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`; return the last validation figures (of the first process).

    Raises:
        RecipeError: the folder belongs to another recipe, the disk is full, or the loss is no number any more.
        ManifestError: the manifest has no rows to train on or to validate on, or pictures are missing.
        PictureError: a picture cannot be read.
    """
    with join() as processes:
        return _train(recipe, folder, report, processes)


def _train(
    recipe: Recipe, folder: Path, report: Callable[[Progress], None], processes: Processes
) -> dict[str, float]:
    settings, device, world = recipe.optimise, processes.device, processes.world
    _configure(settings, processes)
    train_rows, val_rows = select_rows(recipe)
    photographs = len(train_rows)
    if processes.first:
        check_files(recipe.data.manifest, [*train_rows, *val_rows])
        claim(folder, recipe)
    processes.wait()

    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    # Of the losses; equal and fixed (Eq. 6) unless the recipe says otherwise.
    weights: Mapping[str, float | Tensor] = recipe.pretext.tasks
    weighting, upper_rows = None, train_rows
    if recipe.bilevel is not None:
        weighting = BilevelWeights(
            recipe.pretext.tasks,
            recipe.bilevel.primary,
            learning_rate=recipe.bilevel.learning_rate,
            constraint=recipe.bilevel.constraint,
        )
        train_rows, upper_rows = split_levels(train_rows, recipe.bilevel.upper_share, seed=settings.seed)
        check_enough(recipe, train_rows, upper_rows, world)
    architecture = ARCHITECTURES[recipe.network.type]
    network = build_network(recipe)
    if recipe.init is not None:
        load_init(network, recipe.init)
    if recipe.prompts is not None and recipe.prompts.weights is not None:
        load_text_tower(network.heads.text, recipe.prompts.weights)
    network = network.to(device, memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).requires_grad_(False)
    if world > 1 and device.type == "cuda":
        # Statistics of the whole batch too.
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    precision = PRECISIONS[settings.precision]
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    state = State(network, averaged, make_optimiser(network, settings), scaler, weighting)
    first_step = state.load(folder / "checkpoint.safetensors")
    if not processes.agree(first_step):
        raise RecipeError(
            f"{folder}: the processes see different checkpoints: put it on a disk that all machines share"
        )
    model = network if world == 1 else DistributedDataParallel(network)
    forward = torch.compile(model) if settings.compile else model

    steps, steps_an_epoch = settings.steps_for(photographs), settings.steps_an_epoch(photographs)
    validation = architecture.validation(val_rows, tasks, recipe) if processes.first else []
    validate = Validator(validation, tasks, device, precision)
    figures: dict[str, float] = {}
    started, last_loss = time.monotonic(), math.nan
    waited, logged = 0.0, started  # for data, since the last line of the log

    def losses_of(forward: Forward, batch: Batch, precision: torch.dtype | None) -> dict[str, Tensor]:
        inputs, targets = batch
        with torch.autocast(device.type, precision, enabled=precision is not None):
            outputs = forward(_to(device, inputs))
        outputs = {name: processes.gather(output) for name, output in outputs.items()}
        targets = processes.gather(targets.to(device, non_blocking=True))
        return task_losses(outputs, targets, tasks, recipe.pretext)

    def full_losses(forward: Forward, batch: Batch) -> dict[str, Tensor]:
        return {name: whole_gradient(loss, world) for name, loss in losses_of(forward, batch, None).items()}

    with Log(folder, first_step) if processes.first else nullcontext() as log:
        batches = _batches(train_rows, recipe, processes, settings.seed, first_step, steps)
        upper = (
            _batches(upper_rows, recipe, processes, settings.seed + 1, first_step, steps)
            if weighting
            else None
        )
        for step in range(first_step, steps):
            rate = learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            state.optimiser.zero_grad(set_to_none=True)
            parts: list[dict[str, Tensor]] = []
            for part in range(settings.accumulate):
                # Dropout too must not know where a run was resumed; each process and part has its own.
                torch.manual_seed(settings.seed + step + (processes.rank * settings.accumulate + part << 32))
                asked = time.monotonic()
                batch, above = _next(batches), _next(upper) if upper is not None else None
                waited += time.monotonic() - asked
                if weighting is not None and above is not None:
                    decay = settings.weight_decay
                    weighting.update(network, full_losses, batch, above, alpha=rate, weight_decay=decay)
                    weights = weighting.values()
                waits = world > 1 and part < settings.accumulate - 1
                with model.no_sync() if waits else nullcontext():  # gradients are exchanged once a step
                    losses = losses_of(forward, batch, precision)
                    loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
                    # The processes' mean of `world` times the gradient by one's own part is the whole gradient.
                    scaler.scale(loss * world / settings.accumulate).backward()  # type: ignore[no-untyped-call]
                parts.append({"loss": loss.detach(), **{f"loss/{k}": v.detach() for k, v in losses.items()}})
            if settings.clip_norm is not None:
                scaler.unscale_(state.optimiser)
                nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            scaler.step(state.optimiser)
            scaler.update()
            average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            if log is None:
                continue
            elapsed = time.monotonic() - started
            if done % recipe.log.validate_every == 0 or done == steps:
                figures = validate(averaged)
                log.write(done, {f"val/{name}": value for name, value in figures.items()})
            if done % recipe.log.log_every == 0 or done == steps:
                means = {name: float(sum(part[name] for part in parts)) / len(parts) for name in parts[0]}
                last_loss = _finite(means["loss"], done, folder)
                learnt = {f"weight/{name}": float(w) for name, w in weights.items()} if weighting else {}
                now = time.monotonic()
                log.write(done, {**means, **learnt, "lr": rate, "data_wait_share": waited / (now - logged)})
                waited, logged = 0.0, now
            if done % recipe.log.checkpoint_every == 0 or done == steps:
                state.save(folder / "checkpoint.safetensors", done)
            left = elapsed / (done - first_step) * (steps - done)
            report(Progress(done, steps, last_loss, left, figures))
    if not processes.first:
        return {}
    write_tensors(averaged.state_dict(), folder / "network.safetensors", {"step": str(steps)})
    return figures or validate(averaged)


def task_losses(
    outputs: dict[str, Tensor], targets: Tensor, tasks: Sequence[Task], pretext: PretextSection
) -> dict[str, Tensor]:
    """Each task's loss on a batch; targets [B columns] as `columns_of` the tasks says, nan where missing."""
    columns = columns_of(tasks)
    return {
        task.name: task.loss(outputs[task.name].float(), targets[:, columns[task.name]], pretext)
        for task in tasks
    }


def _configure(settings: OptimiseSection, processes: Processes) -> None:
    if settings.pictures % processes.world:
        raise RecipeError(
            f"optimise.pictures = {settings.pictures} cannot be divided between {processes.world} processes: "
            "change either"
        )
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.benchmark = not settings.deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks for on CUDA


def _batches(
    rows: Sequence[Row], recipe: Recipe, processes: Processes, seed: int, first_step: int, steps: int
) -> Iterator[Batch]:
    """The run's batches from a step on; of fewer rows than a batch has, each takes all that can be divided equally."""
    settings = recipe.optimise
    sampler = EpochSampler(
        len(rows),
        min(settings.pictures, len(rows) // processes.world * processes.world),
        batches=steps * settings.accumulate,
        first=first_step * settings.accumulate,
        seed=seed,
        rank=processes.rank,
        world=processes.world,
    )
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    loader = DataLoader(
        ARCHITECTURES[recipe.network.type].training(rows, tasks, recipe),
        batch_sampler=sampler,
        num_workers=settings.workers,
        prefetch_factor=_READY if settings.workers else None,
        pin_memory=processes.device.type == "cuda",
        worker_init_fn=single_threaded,
    )
    return iter(loader)


def whole_gradient(loss: Tensor, world: int) -> Tensor:
    """The same loss with `world` times the gradient by one's own part: the processes' mean is the whole gradient."""
    return world * loss - (world - 1) * loss.detach()


def _next(batches: Iterator[Batch]) -> Batch:
    try:
        return next(batches)
    except CamerabornError as error:
        # From a worker comes its whole traceback as text; the last line is the error, behind its class.
        _, worker, text = str(error).strip().rpartition("\n")
        raise type(error)(text.partition(": ")[2] if worker else text) from error


def _to(device: torch.device, inputs: Tensor) -> Tensor:
    """Bytes travel, a quarter of what floats would weigh."""
    inputs = inputs.to(device, non_blocking=True)
    layout = torch.channels_last if inputs.ndim == 4 else torch.contiguous_format
    return inputs.to(torch.float32, memory_format=layout)


def _finite(loss: float, step: int, folder: Path) -> float:
    if not math.isfinite(loss):
        raise RecipeError(
            f"{folder}: the loss is {loss} at step {step}: lower learning_rate, or train in bfloat16 or float32, "
            "in another folder"
        )
    return loss
