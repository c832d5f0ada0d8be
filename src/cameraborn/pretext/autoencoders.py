"""Training autoencoders on photographs, one after the other: what `cameraborn train` does with `kind = "autoencoders"`.

Each autoencoder reproduces photographs (absolute difference of pixels and of their gradients). Most then also deceive a
discriminator (hinge loss; and match its maps), so that what they lack is made up rather than smoothed over. A run
leaves `NAME.safetensors` for each; one that was interrupted goes on with the first autoencoder that is missing.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import safetensors
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.data.manifest import read_manifest
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.networks.autoencoder import Autoencoder, Discriminator, Upsampling
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.dataset import PictureCache, random_patches
from cameraborn.pretext.recipe import AugmentSection, DataSection, read_as
from cameraborn.pretext.run_folder import claim, write_tensors
from cameraborn.pretext.selection import check_files
from cameraborn.pretext.train import PRECISIONS, Progress

_GRADIENTS, _DECEIT, _MAPS = 0.5, 0.1, 0.5  # weights of the losses beside the pixels'
_DISCRIMINATOR_FROM, _DECEIT_FROM = 0.2, 0.25  # shares of the run: the discriminator is a little ahead


class AutoencoderSection(BaseModel):
    """One autoencoder; see `networks.autoencoder.Autoencoder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    upsampling: Upsampling
    factor: Literal[2, 4, 8]
    latent: int = Field(ge=1)
    width: int = Field(default=24, ge=1)
    texture: bool = False
    discriminator: bool = (
        True  # without one what is lacking is smoothed over, as in restored and enlarged faces
    )


class PaintSection(BaseModel):
    """How each autoencoder learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=1)
    pictures: int = Field(default=24, ge=1)  # a batch, a patch of each
    learning_rate: float = Field(default=2e-3, gt=0)
    warmup: int = Field(default=50, ge=0)  # steps
    noise: float = Field(default=0.1, ge=0)  # on the latents
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)


class AutoencodersRecipe(BaseModel):
    """Everything that decides the training of autoencoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["autoencoders"]
    data: DataSection
    autoencoders: Annotated[tuple[AutoencoderSection, ...], Field(min_length=1)]
    augment: AugmentSection = AugmentSection(scale_probability=0.6, scale_min=0.36)
    optimise: PaintSection

    @model_validator(mode="after")
    def _names_apart(self) -> AutoencodersRecipe:
        names = [autoencoder.name for autoencoder in self.autoencoders]
        if len(set(names)) < len(names):
            raise ValueError(f"autoencoders: {names} are not all different: give each its own name")
        return self

    @property
    def steps(self) -> int:
        """Of all autoencoders together."""
        return self.optimise.steps * len(self.autoencoders)


def read_autoencoders_recipe(path: Path) -> AutoencodersRecipe:
    """Read and validate a TOML recipe. Raises RecipeError if it is wrong; the message names the field."""
    return read_as(path, AutoencodersRecipe)


def train_autoencoders(
    recipe: AutoencodersRecipe, folder: Path, report: Callable[[Progress], None] = lambda _: None
) -> dict[str, float]:
    """Train what is missing in `folder`; return each new autoencoder's mean absolute difference in grey levels.

    Raises:
        RecipeError: the folder belongs to another recipe, the disk is full, or a loss is no number any more.
        ManifestError: the manifest has no photograph of the split, or pictures are missing.
        PictureError: a picture cannot be read.
    """
    rows = [
        row
        for row in read_manifest(recipe.data.manifest)
        if row.split == recipe.data.train_split
        and row.label == "photo"
        and not row.manipulation
        and (not recipe.data.kinds or row.kind in recipe.data.kinds)
        and (recipe.data.allow_research_only or not row.research_only)
    ]
    if not rows:
        raise ManifestError(
            f"{recipe.data.manifest}: no photograph in split '{recipe.data.train_split}': "
            "mend the recipe's split and kinds"
        )
    check_files(recipe.data.manifest, rows)
    claim(folder, recipe)
    torch.set_num_threads(recipe.optimise.threads)
    torch.use_deterministic_algorithms(mode=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks for on CUDA
    pictures, started = PictureCache(rows, recipe.data.cache_mb), time.monotonic()
    figures: dict[str, float] = {}
    paths = [row.path for row in rows]
    missing = [p for p in recipe.autoencoders if not (folder / f"{p.name}.safetensors").exists()]
    total = recipe.optimise.steps * len(missing)
    for number, section in enumerate(missing):

        def tell(step: int, loss: float, number: int = number) -> None:
            done = number * recipe.optimise.steps + step
            left = (time.monotonic() - started) / done * (total - done)
            report(Progress(recipe.steps - total + done, recipe.steps, loss, left, figures))

        autoencoder, difference = _train_one(recipe, section, pictures, paths, folder, tell)
        figures[f"{section.name}/difference"] = difference
        write_tensors(
            autoencoder.state_dict(),
            folder / f"{section.name}.safetensors",
            {"autoencoder": section.model_dump_json()},
        )
    return figures


def read_autoencoders(folder: Path) -> dict[str, Autoencoder]:
    """The autoencoders of a run by name, ready to paint.

    Raises:
        RecipeError: there is none, or a file is damaged.
    """
    autoencoders = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                section = AutoencoderSection.model_validate(json.loads(file.metadata()["autoencoder"]))
            autoencoder = _build(section)
            autoencoder.load_state_dict(load_file(path))
        except (
            safetensors.SafetensorError,
            ValidationError,
            KeyError,
            TypeError,
            ValueError,
            RuntimeError,
        ) as error:
            raise RecipeError(
                f"{path}: no autoencoder, or damaged ({str(error).splitlines()[0]}): train it again"
            ) from error
        autoencoders[section.name] = autoencoder.eval()
    if not autoencoders:
        raise RecipeError(f'{folder}: no autoencoder in it: train a recipe with kind = "autoencoders" first')
    return autoencoders


def _build(section: AutoencoderSection) -> Autoencoder:
    return Autoencoder(**section.model_dump(exclude={"name", "discriminator"}))


def _train_one(
    recipe: AutoencodersRecipe,
    section: AutoencoderSection,
    pictures: PictureCache,
    paths: Sequence[str],
    folder: Path,
    tell: Callable[[int, float], None],
) -> tuple[Autoencoder, float]:
    settings = recipe.optimise
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = PRECISIONS[settings.precision]
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    autoencoder = _build(section).to(device)
    discriminator = Discriminator().to(device)
    paint = torch.optim.AdamW(autoencoder.parameters(), settings.learning_rate, betas=(0.5, 0.99))
    judge = torch.optim.AdamW(discriminator.parameters(), settings.learning_rate / 2, betas=(0.0, 0.99))
    difference = math.nan
    for step in range(settings.steps):
        share = step / settings.steps
        for group in paint.param_groups:
            group["lr"] = (
                settings.learning_rate * min(1.0, (step + 1) / (settings.warmup + 1)) * (1 - share) ** 0.5
            )
        real = _batch(pictures, len(paths), settings.pictures, recipe.augment, rng).to(device)
        with torch.autocast(device.type, precision, enabled=precision is not None):
            reconstructed = autoencoder(real, settings.noise).float()
            loss = pixels = F.l1_loss(reconstructed, real)
            loss = loss + _GRADIENTS * (
                F.l1_loss(*_steps(reconstructed, real, 3)) + F.l1_loss(*_steps(reconstructed, real, 2))
            )
            if section.discriminator and share > _DECEIT_FROM:
                judged, maps = discriminator(reconstructed)
                with torch.no_grad():
                    _, wanted = discriminator(real)
                matched = torch.stack(
                    [F.l1_loss(a.float(), b.float()) for a, b in zip(maps, wanted, strict=True)]
                )
                loss = loss - _DECEIT * judged.float().mean() + _MAPS * matched.mean()
        _step(paint, loss)
        if section.discriminator and share > _DISCRIMINATOR_FROM:
            with torch.autocast(device.type, precision, enabled=precision is not None):
                true, false = discriminator(real)[0].float(), discriminator(reconstructed.detach())[0].float()
            _step(judge, F.relu(1 - true).mean() + F.relu(1 + false).mean())
        if (step + 1) % 20 == 0 or step + 1 == settings.steps:
            difference = float(pixels.detach()) * 127.5
            if not math.isfinite(difference):
                raise RecipeError(
                    f"{folder}: autoencoder {section.name} is lost at step {step + 1}: lower learning_rate, "
                    "in another folder"
                )
        tell(step + 1, difference)
    return autoencoder, difference


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimiser.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 5.0)
    optimiser.step()


def _steps(one: Tensor, other: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels of both along an axis."""
    return one.diff(dim=axis), other.diff(dim=axis)


def _batch(
    pictures: PictureCache, count: int, size: int, augment: AugmentSection, rng: np.random.Generator
) -> Tensor:
    """A patch each of random photographs that are large enough, in -1..1: [size 3 64 64]."""
    patches: list[np.ndarray] = []
    while len(patches) < size:
        pixels = pictures[int(rng.integers(count))]
        if min(pixels.shape[:2]) >= PATCH_SIZE:
            patches.append(random_patches(pixels, 1, augment, rng)[0])
    batch = torch.from_numpy(np.stack(patches)).float().sub(127.5).div(127.5)
    return batch.contiguous(memory_format=torch.channels_last)
