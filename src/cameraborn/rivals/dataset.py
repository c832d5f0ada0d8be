"""Rows to what a rival is trained on: pictures that may have been post-processed, as the rival preprocesses them.

A row becomes one or several pictures: of a self-blended objective the photograph and its fake. The random numbers of a
sample depend on (seed, epoch, index) alone.

Shapes: V pictures of a sample; C H W what a rival preprocesses or prepares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.binary.dataset import labelled_rows, labels_of
from cameraborn.data.manifest import Row
from cameraborn.data.select import check_groups_apart, evenly, select_each
from cameraborn.degrade.history import blurred_and_stored
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.files import Pixels
from cameraborn.photo.decode import open_picture
from cameraborn.rivals.inputs import by_opencv
from cameraborn.rivals.published import Published, without_memory
from cameraborn.rivals.recipe import AugmentSection, RivalRecipe
from cameraborn.rivals.self_blended import recompressed_alike, self_blended
from cameraborn.train.pictures import MemoryBudget, whole_pictures

Sample = tuple[Tensor, Tensor, Tensor]  # pictures [V C H W], labels [V], (epoch, index)


def rows_of(recipe: RivalRecipe) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows to train on and to validate on, as the objective needs them.

    Raises:
        ManifestError: there are too few, or a group is in both.
    """
    data, step = recipe.data, recipe.optimise.pictures_a_step
    if recipe.objective in ("binary", "distilled"):
        return labelled_rows(data, step)
    photographs = {"label": "photo", "manipulations": ("",)}
    chosen = select_each(
        data.manifest, data.train_selection(**photographs), data.val_selection(**photographs)
    )
    what = "photographs"
    if recipe.objective == "self-blended":
        chosen = tuple([row for row in rows if row.landmarks] for rows in chosen)
        what = "photographs with landmarks"
    train_rows, val_rows = chosen
    for split, rows, needed in ((data.train_split, train_rows, step), (data.val_split, val_rows, 2)):
        if len(rows) < needed:
            raise ManifestError(
                f"{data.manifest}: {len(rows)} {what} in split '{split}', {needed} are needed: import more, or lower "
                "optimise.batch_size"
            )
    check_groups_apart(data.manifest, train_rows, val_rows)
    return train_rows, evenly(val_rows, data.val_limit)


class RivalPictures(Dataset[Sample]):
    """The sample of (epoch, index)."""

    def __init__(
        self,
        rows: Sequence[Row],
        recipe: RivalRecipe,
        budget: MemoryBudget,
        *,
        augmented: bool = True,
    ) -> None:
        self.rows, self.labels, self.pictures = rows, labels_of(rows), whole_pictures(rows, budget)
        self.recipe = recipe
        self.augment = recipe.augment if augmented else AugmentSection(crop=recipe.augment.crop)

    @property
    def published(self) -> Published:
        """What preprocesses; each worker makes its own."""
        return without_memory(self.recipe.rival)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Its pictures, cut and mirrored too unless the rival has to prepare them first."""
        rng = np.random.default_rng([self.recipe.optimise.seed, *key])
        pictures, labels = self._pictures(key[1], rng)
        seen = [
            self.published.preprocess(open_picture(postprocessed(one, self.augment, rng))) for one in pictures
        ]
        if not self.published.prepares:
            seen = [cut(one, self.augment, rng, self.rows[key[1]].path) for one in seen]
        return torch.stack(seen), labels, torch.tensor(key)

    def _pictures(self, index: int, rng: np.random.Generator) -> tuple[list[Pixels], Tensor]:
        pixels = self.pictures[index]
        if self.recipe.objective != "self-blended":
            return [pixels], self.labels[index : index + 1]
        photograph, fake, _ = self_blended(pixels, np.asarray(self.rows[index].landmarks), rng)
        return list(recompressed_alike(photograph, fake, rng)), torch.tensor([0, 1])


def postprocessed(pixels: Pixels, augment: AugmentSection, rng: np.random.Generator) -> Pixels:
    """Perhaps shrunk to a square, blurred, recompressed, cut, and mirrored, in this order: [H W 3].

    A picture smaller than the cut stays as it is along that side.
    """
    if augment.shrink is not None:
        side = int(rng.integers(augment.shrink[0], augment.shrink[1] + 1))
        pixels = by_opencv(pixels, side, side)
    pixels = blurred_and_stored(
        pixels,
        rng,
        augment.blur_probability,
        augment.blur_sigma,
        augment.jpeg_probability,
        augment.jpeg_quality,
    )
    if (crop := augment.crop_picture) is not None:
        y, x = (int(rng.integers(max(size - crop, 0) + 1)) for size in pixels.shape[:2])
        pixels = pixels[y : y + crop, x : x + crop]
    if augment.flip_picture and rng.random() < augment.flip_picture:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def cut(seen: Tensor, augment: AugmentSection, rng: np.random.Generator, path: str) -> Tensor:
    """A random crop of what a network sees [C H W], perhaps mirrored.

    Raises:
        RecipeError: it is smaller than the crop, or no picture; `path` names the file in the message.
    """
    if augment.crop is None and not augment.flip:
        return seen
    if seen.ndim != 3 or min(seen.shape[1:]) < (augment.crop or 0):
        raise RecipeError(
            f"{path}: the network sees {list(seen.shape)} of it, which cannot be cut to augment.crop = {augment.crop} "
            "or mirrored: change [augment]"
        )
    if augment.crop is not None:
        y, x = (int(rng.integers(size - augment.crop + 1)) for size in seen.shape[1:])
        seen = seen[:, y : y + augment.crop, x : x + augment.crop]
    return seen.flip(-1) if rng.random() < augment.flip else seen
