"""Training a detector of known generators on large patches of faces: its rows, batches and loss for the one loop.

An encoder of patches, most often begun with ImageNet's weights, and one linear head: the logit of "generated". Loss:
cross-entropy with smoothed labels. `binary.sampling` says what a batch holds; `binary.overlap` how who is shown is kept
from telling the classes. Its weights are computed once and stored in the run's folder.

Shapes: N patches of s pixels a side in a batch, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.binary.dataset import generators_of, labels_of
from cameraborn.binary.face_rows import FaceRows, face_rows
from cameraborn.binary.faces import Face, faces_of
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.binary.objective import figures_of
from cameraborn.binary.overlap import RECORD, OverlapWeights, features_of_blurred, overlap_weights
from cameraborn.binary.sampling import Batch, FaceBatches, Sampler, base_weights, batches_of
from cameraborn.data.manifest import Row, group_of
from cameraborn.degrade.history import SIDE
from cameraborn.errors import RecipeError
from cameraborn.files import Array, Pixels
from cameraborn.networks.efficientnet_lite import EfficientNetLite, with_silent_residual
from cameraborn.photo.crops import square_crop
from cameraborn.photo.patches import grid_patches, shrink_to, square_resize
from cameraborn.train.export import CROP_SCALE
from cameraborn.train.loop import Forward, Objective
from cameraborn.train.optimise import PRECISIONS
from cameraborn.train.pictures import MemoryBudget, PictureCache
from cameraborn.train.processes import Processes
from cameraborn.train.recipe import OptimiseSection
from cameraborn.train.run_folder import write_text
from cameraborn.train.weights import fill, import_checkpoint

PATCH = 128  # pixels; side of the patches that validation and the exported detector look at
VALIDATION_PATCHES = 4  # of each face, on a grid


class GeneratorsNetwork(nn.Module):
    """An encoder of patches, and the logit of "generated"."""

    def __init__(self, recipe: GeneratorsRecipe) -> None:
        super().__init__()
        self.encoder = recipe.network.encoder()
        self.dropout = nn.Dropout(recipe.dropout)
        self.head = nn.Linear(recipe.network.features, 1)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N 3 s s], float in 0..255, to logits [N]."""
        logits: Tensor = self.head(self.dropout(self.encoder(patches)))[:, 0]
        return logits


def begun(recipe: GeneratorsRecipe) -> GeneratorsNetwork:
    """The network as training starts with it; published weights leave the channels of the residual silent.

    Raises:
        RecipeError: the recipe's weights cannot be read, or are of another network.
    """
    network = GeneratorsNetwork(recipe)
    if recipe.init is None:
        return network
    tensors = import_checkpoint(recipe.init).tensors
    encoder = network.encoder
    if isinstance(encoder, EfficientNetLite) and encoder.residual:
        tensors = with_silent_residual(tensors, "encoder.")
    fill(network, tensors, recipe.init)
    return network


class GeneratorsObjective(Objective):
    """The photographs, reconstructed pairs and generated faces of a recipe's manifests."""

    def __init__(self, recipe: GeneratorsRecipe, processes: Processes, *, folder: Path) -> None:
        self.recipe, self.processes, self.folder = recipe, processes, folder
        self.budget = MemoryBudget(recipe.data.cache_mb)
        self.split, self.val_split = face_rows(recipe)
        self.rows, self.val_rows = self.split.all, self.val_split.all
        self.weights_from = () if recipe.init is None else (recipe.init,)

    def build(self) -> nn.Module:
        """The encoder, loaded, and a fresh head."""
        return begun(self.recipe)

    def learning_rate(
        self, step: int, settings: OptimiseSection, *, steps: int, steps_an_epoch: int
    ) -> float | None:
        """The schedule's, which in the end declines to nothing."""
        rate = super().learning_rate(step, settings, steps=steps, steps_an_epoch=steps_an_epoch)
        decline = self.recipe.decline * steps
        return rate if rate is None or not decline else rate * min(1.0, (steps - step) / decline)

    def batches(self, steps: range) -> Iterator[Batch]:
        """Patches of one side a batch, and their labels."""
        faces = faces_of(self.rows, self.budget)
        sampler = Sampler(self.split, faces, self.recipe, self._overlap(faces))
        return batches_of(FaceBatches(sampler, self.recipe, self.processes), self.processes, steps)

    def losses(self, forward: Forward, batch: Batch, share: float) -> dict[str, Tensor]:
        """Cross-entropy of the whole batch."""
        patches, labels = batch
        logits = forward(patches)
        logits, labels = self.processes.gather(logits), self.processes.gather(labels.to(logits.device))
        return {"cross_entropy": smoothed_cross_entropy(logits.float(), labels, self.recipe.label_smoothing)}

    def weights(self) -> Mapping[str, float | Tensor]:
        """There is one."""
        return {"cross_entropy": 1.0}

    def validator(self) -> Callable[[Any], dict[str, float]]:
        """Figures of held-out rows."""
        precision = PRECISIONS[self.recipe.optimise.precision]
        return FaceValidator(self.val_split, self.budget, self.processes.device, precision)

    def _overlap(self, faces: PictureCache[Face]) -> Array:
        """The weights of photographs and fakes, in their order; 0 of what shows no face."""
        rows = [*self.split.photographs, *self.split.fakes]
        numbers = [number for number, row in enumerate(rows) if row.box is not None]
        weights = np.zeros(len(rows))
        if self.recipe.overlap is None:
            weights[numbers] = 1.0
            return weights
        file = self.folder / RECORD
        if self.processes.is_main and not file.exists():
            measured = measured_overlap(self.recipe, rows, numbers, faces, self.processes.device)
            write_text(file, measured.model_dump_json(indent=1))
        self.processes.barrier()
        stored = OverlapWeights.read(file)
        if list(stored.sha256) != [rows[number].sha256 for number in numbers]:
            raise RecipeError(
                f"{file}: holds the weights of other faces: delete the run's folder and train again"
            )
        weights[numbers] = stored.weights
        return weights


def measured_overlap(
    recipe: GeneratorsRecipe,
    rows: Sequence[Row],
    numbers: Sequence[int],
    faces: PictureCache[Face],
    device: torch.device,
) -> OverlapWeights:
    """The overlap weights of the faces with these numbers, by the encoder that training starts from."""
    assert recipe.overlap is not None
    chosen = [rows[number] for number in numbers]
    encoder = begun(recipe).encoder.to(device)
    fakes = labels_of(chosen).numpy().astype(bool)
    names = [f"{row.label} {row.generator if row.label == 'generated' else group_of(row)}" for row in chosen]
    return overlap_weights(
        features_of_blurred(encoder, faces, numbers, recipe.overlap.side),
        fakes,
        base_weights(names),
        [row.sha256 for row in chosen],
        recipe.overlap.covariates,
    )


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Of logits [N] and labels [N], 0 or 1, which are drawn to the middle: 0 counts as smoothing / 2."""
    return F.binary_cross_entropy_with_logits(logits, labels * (1 - smoothing) + smoothing / 2)


class FaceValidator:
    """AUC and accuracy on patches cut as the detector does, and the share of reconstructions above their originals."""

    def __init__(
        self, rows: FaceRows, budget: MemoryBudget, device: torch.device, precision: torch.dtype | None
    ) -> None:
        self.rows = [row for row in [*rows.photographs, *rows.fakes] if row.box is not None]
        self.paired = [row for pair in rows.pairs for row in pair]
        self.faces = faces_of([*self.rows, *self.paired], budget)
        self.device, self.precision = device, precision

    @torch.no_grad()
    def __call__(self, network: GeneratorsNetwork) -> dict[str, float]:
        """Figures by name; the positive class is generated."""
        network.eval()
        numbers = range(len(self.rows) + len(self.paired))
        scores = torch.tensor([self._score(network, number) for number in numbers])
        network.train()
        of_rows, of_pairs = scores[: len(self.rows)], scores[len(self.rows) :]
        figures = figures_of(of_rows, labels_of(self.rows), generators_of(self.rows))
        if self.paired:
            figures["reconstructed/above"] = float((of_pairs[1::2] > of_pairs[::2]).float().mean())
        return figures

    def _score(self, network: GeneratorsNetwork, number: int) -> float:
        patches = torch.from_numpy(detector_patches(self.faces[number])).to(self.device)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
            return float(network(patches.float()).float().mean())


def detector_patches(face: Face) -> Pixels:
    """What the exported detector sees of a face: at most `VALIDATION_PATCHES` patches [n 3 PATCH PATCH]."""
    H, W, _ = face.pixels.shape
    whole = (0.0, 0.0, float(W), float(H))
    crop = shrink_to(square_crop(face.pixels, face.box or whole, CROP_SCALE), SIDE)
    if crop.shape[0] < PATCH:  # too small for the detector, but not for validation
        crop = square_resize(crop, PATCH)
    return grid_patches(crop, PATCH, limit=VALIDATION_PATCHES)
