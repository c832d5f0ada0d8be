"""Training, top to bottom: a recipe in, a checkpoint out; resumed to the bit after any interruption.

A run folder holds `recipe.json` (what was asked), `log.jsonl` (a line a logged step), TensorBoard events,
`checkpoint.safetensors` (network, averaged network, optimiser moments, step) and, at the end, `network.safetensors`.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from cameraborn.errors import ManifestError, RecipeError
from cameraborn.networks.patchnet import PatchNet, PatchRanker
from cameraborn.photo.manifest import Row, read_manifest
from cameraborn.photo.patches import PATCH_SIZE, grid_patches
from cameraborn.pretext.dataset import EpochSampler, PatchDataset, PictureCache, targets_of
from cameraborn.pretext.losses import pair_accuracy, pairwise_fidelity
from cameraborn.pretext.recipe import OptimiseSection, PretextSection, Recipe
from cameraborn.pretext.tasks import TASKS, Task

VALIDATION_PATCHES = 16  # of each picture, on a grid


@dataclass(frozen=True)
class Progress:
    """What a caller may show while training runs."""

    step: int
    steps: int
    loss: float
    seconds_left: float
    validation: dict[str, float]


def train(
    recipe: Recipe, folder: Path, report: Callable[[Progress], None] = lambda _: None
) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`; return the last validation figures.

    Raises:
        RecipeError: the folder belongs to another recipe.
        ManifestError: the manifest has no rows to train on or to validate on.
    """
    settings = recipe.optimise
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks for on CUDA
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _claim(folder, recipe)

    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    train_rows, val_rows = select_rows(recipe)
    network = build_network(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimiser = _optimiser(network, settings)
    first_step = _resume(folder / "checkpoint.safetensors", network, averaged, optimiser)

    dataset = PatchDataset(
        train_rows,
        tasks,
        patches=settings.patches,
        augment=recipe.augment,
        seed=settings.seed,
        cache_mb=recipe.data.cache_mb,
    )
    sampler = EpochSampler(
        len(train_rows), settings.pictures, steps=settings.steps, first_step=first_step, seed=settings.seed
    )
    loader = DataLoader(
        dataset, batch_sampler=sampler, num_workers=settings.workers, pin_memory=device.type == "cuda"
    )
    validate = Validator(val_rows, tasks, recipe, device)
    figures: dict[str, float] = {}
    started, waited = time.monotonic(), 0.0

    with _Log(folder, first_step) as log:
        batches = iter(loader)
        for step in range(first_step, settings.steps):
            torch.manual_seed(settings.seed + step)  # dropout too must not know where a run was resumed
            asked = time.monotonic()
            patches, targets = next(batches)
            waited += time.monotonic() - asked
            rate = learning_rate(step, settings)
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                outputs = network(patches.to(device, non_blocking=True).float())
            losses = task_losses(outputs, targets.to(device), tasks, recipe.pretext)
            loss = torch.stack([recipe.pretext.tasks[name] * value for name, value in losses.items()]).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            _average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            elapsed = time.monotonic() - started
            if done % recipe.log.validate_every == 0 or done == settings.steps:
                figures = validate(averaged)
                log.write(done, {f"val/{name}": value for name, value in figures.items()})
            if done % recipe.log.log_every == 0 or done == settings.steps:
                fields = {f"loss/{name}": float(value.detach()) for name, value in losses.items()}
                log.write(
                    done,
                    {"loss": float(loss.detach()), **fields, "lr": rate, "data_wait_share": waited / elapsed},
                )
            if done % recipe.log.checkpoint_every == 0 or done == settings.steps:
                _save(folder / "checkpoint.safetensors", done, network, averaged, optimiser)
            left = elapsed / (done - first_step) * (settings.steps - done)
            report(Progress(done, settings.steps, float(loss.detach()), left, figures))
    _write_tensors(averaged.state_dict(), folder / "network.safetensors", {"step": str(settings.steps)})
    return figures or validate(averaged)


def select_rows(recipe: Recipe) -> tuple[list[Row], list[Row]]:
    """The rows to train on and to validate on: photographs large enough, permitted, with at least one tag.

    Raises:
        ManifestError: one of the two is too small, or a group is in both.
    """
    data = recipe.data
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    chosen: dict[str, list[Row]] = {data.train_split: [], data.val_split: []}
    for row in read_manifest(data.manifest):
        wanted = row.split in chosen and row.label == "photo" and (not data.kinds or row.kind in data.kinds)
        # Rows for research may be measured on; weights to give away must not learn from them.
        permitted = row.split == data.val_split or data.allow_research_only or not row.research_only
        if wanted and permitted and any(math.isfinite(task.target(row.exif)) for task in tasks):
            chosen[row.split].append(row)
    train_rows, val_rows = chosen[data.train_split], chosen[data.val_split]
    for split, rows, least in (
        (data.train_split, train_rows, recipe.optimise.pictures),
        (data.val_split, val_rows, 2),
    ):
        if len(rows) < least:
            raise ManifestError(
                f"{data.manifest}: {len(rows)} usable photographs in split '{split}', {least} are needed: "
                "import more, or mend the recipe's splits and kinds"
            )
    shared = {row.group for row in train_rows} & {row.group for row in val_rows} - {""}
    if shared:
        raise ManifestError(
            f"{data.manifest}: group '{min(shared)}' is in both splits: run 'cameraborn data split' again"
        )
    return train_rows, val_rows


def build_network(recipe: Recipe) -> PatchRanker:
    """The network a recipe describes, freshly initialised."""
    section = recipe.network
    encoder = PatchNet(
        widths=section.widths, blocks=section.blocks, features=section.features, dropout=section.dropout
    )
    return PatchRanker(encoder, {name: TASKS[name].outputs for name in recipe.pretext.tasks})


def learning_rate(step: int, settings: OptimiseSection) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def task_losses(
    outputs: dict[str, Tensor], targets: Tensor, tasks: Sequence[Task], pretext: PretextSection
) -> dict[str, Tensor]:
    """Each task's loss on a batch; targets [B T] in the order of `tasks`, nan where missing."""
    losses = {}
    for column, task in enumerate(tasks):
        target, output = targets[:, column], outputs[task.name].float()
        if task.kind == "rank":
            losses[task.name] = pairwise_fidelity(
                output[:, 0], target, link_scale=pretext.link_scale, tie=pretext.tie
            )
        else:
            known = torch.isfinite(target)
            losses[task.name] = (
                F.cross_entropy(output[known], target[known].long())
                if bool(known.any())
                else output.sum() * 0.0
            )
    return losses


class Validator:
    """Pair accuracy of each ranked tag and accuracy of each class, for each kind of picture, on fixed patches."""

    def __init__(
        self, rows: Sequence[Row], tasks: Sequence[Task], recipe: Recipe, device: torch.device
    ) -> None:
        large = PictureCache(rows, recipe.data.cache_mb)
        keep = [i for i in range(len(rows)) if min(large[i].shape[:2]) >= PATCH_SIZE]
        self.patches = [torch.from_numpy(grid_patches(large[i], VALIDATION_PATCHES)) for i in keep]
        self.rows = [rows[i] for i in keep]
        self.targets = targets_of(self.rows, tasks)
        self.tasks, self.device, self.precision = tasks, device, recipe.optimise.precision

    @torch.no_grad()
    def __call__(self, network: PatchRanker) -> dict[str, float]:
        """Figures named `kind/task`."""
        network.eval()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            outputs = [network(patches[None].to(self.device).float()) for patches in self.patches]
        network.train()
        figures = {}
        for kind in sorted({row.kind for row in self.rows}):
            of_kind = torch.tensor([row.kind == kind for row in self.rows])
            for column, task in enumerate(self.tasks):
                output = torch.cat([o[task.name] for o in outputs]).float().cpu()[of_kind]
                target = self.targets[of_kind, column]
                figures[f"{kind or 'all'}/{task.name}"] = (
                    pair_accuracy(output[:, 0], target) if task.kind == "rank" else _accuracy(output, target)
                )
        return figures


def _accuracy(output: Tensor, target: Tensor) -> float:
    known = torch.isfinite(target)
    return float((output[known].argmax(1) == target[known].long()).float().mean())


def _optimiser(network: nn.Module, settings: OptimiseSection) -> torch.optim.AdamW:
    """AdamW; biases and norms are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    ours, theirs = averaged.state_dict(), network.state_dict()
    for name, value in ours.items():
        if value.is_floating_point():
            value.lerp_(theirs[name], 1 - decay)
        else:
            value.copy_(theirs[name])


def _claim(folder: Path, recipe: Recipe) -> None:
    """Make the run's folder, or see that the one there belongs to this very recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recipe.json"
    if not file.exists():
        _write_text(file, recipe.model_dump_json(indent=1))
        return
    try:
        held = Recipe.model_validate_json(file.read_bytes())  # a field it does not know has its default
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"])
        raise RecipeError(f"{file}: damaged or of another release ({reason}): give another folder") from error
    if held != recipe:
        raise RecipeError(f"{folder}: holds a run of another recipe: give another folder, or delete this one")


def _named_moments(
    network: nn.Module, optimiser: torch.optim.Optimizer
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    for name, parameter in network.named_parameters():
        yield name, optimiser.state[parameter]


def _save(
    path: Path, step: int, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in averaged.state_dict().items()}
    for name, moments in _named_moments(network, optimiser):
        tensors |= {f"optimiser.{name}.{moment}": value for moment, value in moments.items()}
    _write_tensors(tensors, path, {"step": str(step)})


def _resume(path: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Load the checkpoint if there is one; return the step to go on from."""
    if not path.exists():
        return 0
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        network.load_state_dict(_under(tensors, "network."))
        averaged.load_state_dict(_under(tensors, "averaged."))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(
            f"{path}: damaged checkpoint ({reason}): delete it to start the run again"
        ) from error
    for name, parameter in network.named_parameters():
        # On the parameter's device and in its memory format, as the optimiser itself would have made them.
        optimiser.state[parameter] = {
            moment: torch.empty_like(parameter).copy_(value) if value.ndim else value
            for moment, value in _under(tensors, f"optimiser.{name}.").items()
        }
    return step


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    part = path.with_name(path.name + ".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=metadata)
    part.replace(path)


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


class _Log:
    """`log.jsonl` and TensorBoard; lines after the step that a run resumes from are dropped first."""

    def __init__(self, folder: Path, first_step: int) -> None:
        path = folder / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= first_step]
        _write_text(path, "".join(line + "\n" for line in kept))
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(folder / "tensorboard", purge_step=first_step + 1)

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, figures: dict[str, float]) -> None:
        # A tag that no validation photograph has gives no figure; NaN would not be JSON.
        figures = {name: round(value, 6) for name, value in figures.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
