"""Training autoencoders on photographs, one after the other: what `cameraborn train` does with `kind = "autoencoders"`.

Each autoencoder reproduces photographs (absolute difference of pixels and of their gradients). Most then also deceive a
discriminator (hinge loss; and match its maps), so that what they lack is made up rather than smoothed over. A run
leaves `NAME.safetensors` for each, and its log and checkpoint in the folder `NAME`; one that was interrupted goes on
where it was.

Shapes: B pictures in a batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors
import torch
from pydantic import Field, model_validator
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.data import Dataset

from cameraborn.data.manifest import Row
from cameraborn.data.select import select
from cameraborn.errors import ManifestError, RecipeError, first_line
from cameraborn.files import Pixels
from cameraborn.networks.autoencoder import Autoencoder, Discriminator, Upsampling
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.photo.sniff import refuse_special
from cameraborn.train import loop
from cameraborn.train.optimise import make_optimiser
from cameraborn.train.pictures import MemoryBudget, PictureCache, batches, random_patches, whole_pictures
from cameraborn.train.processes import Processes, process_group
from cameraborn.train.recipe import AugmentSection, OptimiseSection, Section, TrainingRecipe
from cameraborn.train.run_folder import write_tensors

WEIGHTS: Mapping[str, float] = {
    "pixels": 1.0,
    "gradients": 0.5,
    "adversarial": 0.1,
    "feature_matching": 0.5,
    "discriminator": 1.0,  # lowered by the discriminator alone
}
_DISCRIMINATOR_FROM, _ADVERSARIAL_FROM = 0.2, 0.25  # shares of the run: the discriminator is a little ahead
_VALIDATED, _NO_EPOCH = 64, 2**31 - 1  # photographs that are validated on, and the epoch of their patches
_HALF = 127.5  # grey levels: pixels in 0..255 lie within this of the middle


class AutoencoderSection(Section):
    """One autoencoder; see `networks.autoencoder.Autoencoder`."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    upsampling: Upsampling
    factor: Literal[2, 4, 8]
    latent: int = Field(ge=1)
    width: int = Field(default=24, ge=1)
    texture: bool = False
    # Without one what is lacking is smoothed over, as in restored and enlarged faces.
    discriminator: bool = True


class AutoencoderOptimiseSection(OptimiseSection):
    """How each autoencoder learns: the defaults of this kind of recipe."""

    batch_size: int = Field(default=24, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)  # the discriminator has half of it, all along
    betas: tuple[float, float] = (0.5, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    decay_all: bool = True
    warmup: int = Field(default=50, ge=0)
    schedule: Literal["cosine", "root", "constant"] = "root"
    ema: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.1, ge=0)  # strength of the noise on the latents


class AutoencodersRecipe(TrainingRecipe):
    """Everything that decides the training of autoencoders."""

    kind: Literal["autoencoders"]
    autoencoders: Annotated[tuple[AutoencoderSection, ...], Field(min_length=1)]
    augment: AugmentSection = AugmentSection(scale_probability=0.6, scale_min=0.36)
    optimise: AutoencoderOptimiseSection

    @model_validator(mode="after")
    def _names_apart(self) -> AutoencodersRecipe:
        names = [autoencoder.name for autoencoder in self.autoencoders]
        if len(set(names)) < len(names):
            raise ValueError(f"autoencoders: {names} are not all different: give each its own name")
        return self


def train_autoencoders(
    recipe: AutoencodersRecipe, folder: Path, report: loop.Report = lambda _: None
) -> dict[str, float]:
    """Train what is missing in `folder`; return each new autoencoder's mean absolute difference in grey levels.

    Raises:
        RecipeError: the folder belongs to another recipe, the disk is full, or a loss is no number any more.
        ManifestError: the manifest has no photograph of the split, or pictures are missing.
        PictureError: a picture cannot be read.
    """
    figures: dict[str, float] = {}
    with process_group() as processes:
        loop.configure(recipe.optimise, processes)
        rows = _photographs(recipe, processes.world)
        loop.start(recipe, folder, processes, rows)
        pictures = whole_pictures(rows, MemoryBudget(recipe.data.cache_mb))
        missing = [p for p in recipe.autoencoders if not (folder / f"{p.name}.safetensors").exists()]
        started, trained = time.monotonic(), 0

        def tell(number: int, progress: loop.Progress) -> None:
            nonlocal trained
            trained += 1
            before = (len(recipe.autoencoders) - len(missing) + number) * progress.steps
            step, steps = before + progress.step, len(recipe.autoencoders) * progress.steps
            left = (time.monotonic() - started) / trained * (steps - step)
            validation = figures | progress.validation
            report(replace(progress, step=step, steps=steps, seconds_left=left, validation=validation))

        for number, section in enumerate(missing):
            objective = ReconstructionObjective(recipe, section, rows, pictures, processes)
            network, measured = loop.fit(
                objective, recipe, folder / section.name, processes, partial(tell, number)
            )
            figures |= measured
            if processes.is_main:
                write_tensors(
                    network.autoencoder.state_dict(),
                    folder / f"{section.name}.safetensors",
                    {"autoencoder": section.model_dump_json()},
                )
    return figures


def _photographs(recipe: AutoencodersRecipe, fewest: int) -> list[Row]:
    data = recipe.data
    rows = list(select(data.manifest, data.train_selection(label="photo", manipulations=("",))))
    if len(rows) < fewest:
        raise ManifestError(
            f"{data.manifest}: {len(rows) or 'no'} photograph in split '{data.train_split}', {fewest} needed: "
            "fix the recipe's split and kinds"
        )
    return rows


class AdversarialAutoencoder(nn.Module):
    """An autoencoder and, if the section has one, the discriminator that teaches it, each moved by its own losses."""

    def __init__(self, section: AutoencoderSection, noise: float) -> None:
        super().__init__()
        self.autoencoder = _build(section)
        self.discriminator = Discriminator() if section.discriminator else None
        self.noise = noise

    def forward(self, pictures: Tensor, discriminate: bool, adversarial: bool) -> dict[str, Tensor]:
        """The losses of pictures [B 3 64 64], in 0..255, by name: scalars, of which one is the discriminator's."""
        real = (pictures - _HALF) / _HALF
        reconstructed = self.autoencoder(real, self.noise).float()
        losses = {
            "pixels": F.l1_loss(reconstructed, real),
            "gradients": F.l1_loss(reconstructed.diff(dim=3), real.diff(dim=3))
            + F.l1_loss(reconstructed.diff(dim=2), real.diff(dim=2)),
        }
        if self.discriminator is None or not discriminate:
            return losses
        true, wanted = self.discriminator(real)
        false, _ = self.discriminator(reconstructed.detach())
        losses["discriminator"] = F.relu(1 - true.float()).mean() + F.relu(1 + false.float()).mean()
        if adversarial:
            # The discriminator as it is, so that these losses move the autoencoder alone.
            fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
            score, maps = functional_call(self.discriminator, fixed, reconstructed)
            losses["adversarial"] = -score.float().mean()
            matched = [F.l1_loss(a.float(), b.detach().float()) for a, b in zip(maps, wanted, strict=True)]
            losses["feature_matching"] = torch.stack(matched).mean()
        return losses


class ReconstructionObjective(loop.Objective):
    """One autoencoder of a recipe, on the photographs of its manifest."""

    may_leave_unused = True  # the discriminator comes later

    def __init__(
        self,
        recipe: AutoencodersRecipe,
        section: AutoencoderSection,
        rows: Sequence[Row],
        pictures: PictureCache[Pixels],
        processes: Processes,
    ) -> None:
        self.recipe, self.section, self.rows, self.processes = recipe, section, rows, processes
        self.dataset = PhotographPatches(pictures, len(rows), recipe.augment, recipe.optimise.seed)

    def build(self) -> nn.Module:
        """The autoencoder and its discriminator, freshly initialised, the same whichever came before."""
        torch.manual_seed(self.recipe.optimise.seed)
        return AdversarialAutoencoder(self.section, self.recipe.optimise.noise)

    def optimiser(self, network: Any, settings: OptimiseSection) -> torch.optim.Optimizer:  # noqa: ANN401
        """One for both: no loss moves both, so the discriminator is a group of parameters with its own rate."""
        optimiser = make_optimiser(network.autoencoder, settings)
        if network.discriminator is not None:
            rate = settings.learning_rate / 2
            optimiser.add_param_group(
                {
                    "params": network.discriminator.parameters(),
                    "lr": rate,
                    "constant_lr": rate,
                    "betas": (0.0, 0.99),
                    "weight_decay": settings.weight_decay,
                }
            )
        return optimiser

    def batches(self, steps: range) -> Iterator[Tensor]:
        """A patch each of photographs: uint8 [B 3 64 64]."""
        return batches(self.dataset, len(self.rows), self.recipe.optimise, self.processes, steps)

    def losses(self, forward: loop.Forward, batch: Tensor, share: float) -> dict[str, Tensor]:
        """The autoencoder's and, from some share of the run on, the discriminator's."""
        of_part = forward(batch, share > _DISCRIMINATOR_FROM, share > _ADVERSARIAL_FROM)
        return {name: self.processes.mean(value) for name, value in of_part.items()}

    def weights(self) -> Mapping[str, float]:
        """The same for all."""
        return WEIGHTS

    def validator(self) -> Callable[[Any], dict[str, float]]:
        """The mean absolute difference of reconstructions, in grey levels, on patches of training photographs."""
        count = min(len(self.rows), _VALIDATED)
        patches = torch.stack([self.dataset[_NO_EPOCH, index] for index in range(count)])
        return Difference(self.section.name, patches, self.processes.device)


class Difference:
    """The mean absolute difference of reconstructions of fixed patches [B 3 64 64], in grey levels."""

    def __init__(self, name: str, patches: Tensor, device: torch.device) -> None:
        self.name, self.patches, self.device = name, patches, device

    @torch.no_grad()
    def __call__(self, network: AdversarialAutoencoder) -> dict[str, float]:
        """The figure, under the autoencoder's name."""
        torch.manual_seed(0)  # of the texture
        real = (self.patches.to(self.device).float() - _HALF) / _HALF
        difference = F.l1_loss(network.autoencoder.eval()(real), real) * _HALF
        network.train()
        return {f"{self.name}/difference": float(difference)}


class PhotographPatches(Dataset[Tensor]):
    """A random patch uint8 [3 64 64] of each photograph; of another one where it is too small."""

    def __init__(
        self, pictures: PictureCache[Pixels], count: int, augment: AugmentSection, seed: int
    ) -> None:
        self.pictures, self.count, self.augment, self.seed = pictures, count, augment, seed

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        """The sample of (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng([self.seed, epoch, index])
        pixels = self.pictures[index]
        while min(pixels.shape[:2]) < PATCH_SIZE:
            pixels = self.pictures[int(rng.integers(self.count))]
        return torch.from_numpy(random_patches(pixels, 1, self.augment, rng)[0])


def read_autoencoders(folder: Path) -> dict[str, Autoencoder]:
    """The autoencoders of a run by name, ready to reconstruct.

    Raises:
        RecipeError: there is none, or a file is damaged or no regular file.
    """
    autoencoders = {}
    finished = (path for path in sorted(folder.glob("*.safetensors")) if "." not in path.stem)
    for path in finished:
        refuse_special(path, RecipeError)
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                section = AutoencoderSection.model_validate(json.loads(file.metadata()["autoencoder"]))
            autoencoder = _build(section)
            autoencoder.load_state_dict(load_file(path))
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RecipeError(
                f"{path}: not an autoencoder, or damaged ({first_line(error)}): train it again"
            ) from error
        autoencoders[section.name] = autoencoder.eval()
    if not autoencoders:
        raise RecipeError(f'{folder}: no autoencoder in it: train a recipe with kind = "autoencoders" first')
    return autoencoders


def _build(section: AutoencoderSection) -> Autoencoder:
    return Autoencoder(**section.model_dump(exclude={"name", "discriminator"}))
