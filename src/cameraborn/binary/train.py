"""Training a binary detector, top to bottom; resumed to the bit after any interruption.

`pretext.run_folder` says what a run leaves in its folder, besides TensorBoard's events and, at the end,
`network.safetensors` with the frozen encoder, the trained one and the head.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cameraborn.binary.dataset import LabelledPatches, labelled_rows, labels_of, large_enough
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.binary.regularised import PatchEncoder, RegularisedClassifier, regularised_loss
from cameraborn.data.manifest import Row
from cameraborn.errors import RecipeError
from cameraborn.networks.patchnet import PatchNet
from cameraborn.networks.sdaie import SdaieNet
from cameraborn.photo.patches import grid_patches
from cameraborn.pretext.dataset import EpochSampler, PictureCache
from cameraborn.pretext.optimise import average, learning_rate, make_optimiser
from cameraborn.pretext.run_folder import Log, State, claim, write_tensors
from cameraborn.pretext.train import PRECISIONS, Progress
from cameraborn.train.weights import load_init

VALIDATION_PATCHES = 16  # of each picture, on a grid


def train_binary(
    recipe: BinaryRecipe, folder: Path, report: Callable[[Progress], None] = lambda _: None
) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`; return the last validation figures.

    Raises:
        RecipeError: the folder belongs to another recipe, the pretext weights do not fit, or the loss is no number.
        ManifestError: the manifest lacks rows of both labels to train on or to validate on.
        PictureError: a picture cannot be read.
    """
    settings = recipe.optimise
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks for on CUDA
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_rows, val_rows = labelled_rows(recipe.data, settings.pictures)
    claim(folder, recipe)

    network = build_classifier(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    precision = PRECISIONS[settings.precision]
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    state = State(network, averaged, make_optimiser(network, settings), scaler)
    first_step = state.load(folder / "checkpoint.safetensors")

    steps, steps_an_epoch = settings.steps_for(len(train_rows)), settings.steps_an_epoch(len(train_rows))
    dataset = LabelledPatches(
        train_rows,
        patches=settings.patches,
        augment=recipe.augment,
        seed=settings.seed,
        cache_mb=recipe.data.cache_mb,
    )
    sampler = EpochSampler(
        len(train_rows), settings.pictures, batches=steps, first=first_step, seed=settings.seed
    )
    loader = DataLoader(
        dataset, batch_sampler=sampler, num_workers=settings.workers, pin_memory=device.type == "cuda"
    )
    validate = BinaryValidator(val_rows, recipe.data.cache_mb, device, precision)
    figures: dict[str, float] = {}
    started, last_loss = time.monotonic(), math.nan

    with Log(folder, first_step) as log:
        batches = iter(loader)
        for step in range(first_step, steps):
            torch.manual_seed(settings.seed + step)  # dropout too must not know where a run was resumed
            patches, labels = next(batches)
            rate = learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, precision, enabled=precision is not None):
                logits, distance = network.with_distance(patches.to(device, non_blocking=True).float())
            loss = regularised_loss(logits, distance, labels.to(device), alpha=recipe.alpha)
            state.optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if settings.clip_norm is not None:
                scaler.unscale_(state.optimiser)
                nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            scaler.step(state.optimiser)
            scaler.update()
            average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))

            done = step + 1
            if done % recipe.log.validate_every == 0 or done == steps:
                figures = validate(averaged)
                log.write(done, {f"val/{name}": value for name, value in figures.items()})
            if done % recipe.log.log_every == 0 or done == steps:
                last_loss = float(loss.detach())
                if not math.isfinite(last_loss):
                    raise RecipeError(
                        f"{folder}: the loss is {last_loss} at step {done}: lower learning_rate, in another folder"
                    )
                log.write(done, {"loss": last_loss, "distance": float(distance.detach()), "lr": rate})
            if done % recipe.log.checkpoint_every == 0 or done == steps:
                state.save(folder / "checkpoint.safetensors", done)
            left = (time.monotonic() - started) / (done - first_step) * (steps - done)
            report(Progress(done, steps, last_loss, left, figures))
    write_tensors(averaged.state_dict(), folder / "network.safetensors", {"step": str(steps)})
    return figures or validate(averaged)


def build_classifier(recipe: BinaryRecipe) -> RegularisedClassifier:
    """The classifier of a recipe before training: the frozen encoder loaded, the other random or loaded too.

    Raises:
        RecipeError: the weights cannot be read, or are of another network.
    """
    frozen, encoder = build_encoder(recipe), build_encoder(recipe)
    load_init(nn.ModuleDict({"encoder": frozen}), recipe.weights)
    if recipe.start == "weights":
        encoder.load_state_dict(frozen.state_dict())
    return RegularisedClassifier(frozen, encoder)


def build_encoder(recipe: BinaryRecipe) -> PatchEncoder:
    """An encoder of the recipe's architecture, freshly initialised."""
    size = recipe.network.encoder_sizes()
    return SdaieNet(**size) if recipe.network.type == "sdaie" else PatchNet(**size)


class BinaryValidator:
    """AUC and accuracy on fixed patches: of all rows, and of each generator against all photographs."""

    def __init__(
        self, rows: Sequence[Row], cache_mb: int, device: torch.device, precision: torch.dtype | None
    ) -> None:
        self.pictures, self.labels = PictureCache(rows, cache_mb), labels_of(rows)
        self.generators = [row.generator if row.label == "generated" else "" for row in rows]
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
        scores = self.scores(network)
        said = (scores > 0).long()
        figures = {
            "auc": float(roc_auc_score(self.labels, scores)),
            "accuracy": float((said == self.labels).float().mean()),
        }
        generators = sorted(set(self.generators) - {""})
        for generator in generators if len(generators) > 1 else []:
            of_it = torch.tensor([name in ("", generator) for name in self.generators])
            figures[f"{generator}/auc"] = float(roc_auc_score(self.labels[of_it], scores[of_it]))
        return figures

    def _score(self, network: RegularisedClassifier, index: int) -> float:
        patches = torch.from_numpy(grid_patches(large_enough(self.pictures[index]), VALIDATION_PATCHES))
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
            return float(network.score(patches[None].to(self.device).float()))
