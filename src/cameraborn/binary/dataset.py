"""Labelled rows to batches: random patches of pictures that may have been delivered, seeded for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.binary.recipe import PostprocessingSection
from cameraborn.data.manifest import Row, read_manifest
from cameraborn.degrade.named import recompressed
from cameraborn.degrade.random import draw_encoding
from cameraborn.errors import ManifestError
from cameraborn.files import Pixels
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.dataset import PictureCache
from cameraborn.pretext.recipe import DataSection

LEAST_OF_A_LABEL = 2


class LabelledPatches(Dataset[tuple[Tensor, Tensor]]):
    """Random patches of each picture: (patches uint8 [P 3 64 64], label 0 photograph or 1 generated)."""

    def __init__(
        self, rows: Sequence[Row], *, patches: int, augment: PostprocessingSection, seed: int, cache_mb: int
    ) -> None:
        self.pictures = PictureCache(rows, cache_mb)
        self.labels = labels_of(rows)
        self.patches, self.augment, self.seed = patches, augment, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The sample of (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng([self.seed, epoch, index])
        pixels = large_enough(delivered(self.pictures[index], self.augment, rng))
        return torch.from_numpy(crops(pixels, self.patches, rng)), self.labels[index]


def labels_of(rows: Sequence[Row]) -> Tensor:
    """1 for generated, 0 for photographs: int64 [rows]."""
    return torch.tensor([int(row.label == "generated") for row in rows])


def delivered(pixels: Pixels, augment: PostprocessingSection, rng: np.random.Generator) -> Pixels:
    """Perhaps stretched to a small square, perhaps blurred, perhaps recompressed, in this order: [H W 3]."""
    if rng.random() < augment.resize_probability:
        side = int(rng.integers(augment.resize_side[0], augment.resize_side[1] + 1))
        pixels = stretched(pixels, side)
    if rng.random() < augment.blur_probability:
        sigma = rng.uniform(0.0, augment.blur_sigma)
        pixels = gaussian_filter(pixels, sigma=(sigma, sigma, 0.0))
    encoding = draw_encoding(rng, jpeg=augment.jpeg_probability, jpeg_quality=augment.jpeg_quality)
    return pixels if encoding is None else recompressed(pixels, *encoding)


def large_enough(pixels: Pixels) -> Pixels:
    """A picture with a side under a patch becomes one patch, stretched as SDAIE's authors do; others stay."""
    return stretched(pixels, PATCH_SIZE) if min(pixels.shape[:2]) < PATCH_SIZE else pixels


def stretched(pixels: Pixels, side: int) -> Pixels:
    """To a square [side side 3], bilinear, antialiased."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def crops(pixels: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """`count` random patches [count 3 64 64]."""
    H, W, _ = pixels.shape
    ys = rng.integers(H - PATCH_SIZE + 1, size=count)
    xs = rng.integers(W - PATCH_SIZE + 1, size=count)
    return np.stack(
        [
            pixels[y : y + PATCH_SIZE, x : x + PATCH_SIZE].transpose(2, 0, 1)
            for y, x in zip(ys, xs, strict=True)
        ]
    )


def labelled_rows(data: DataSection, pictures: int) -> tuple[list[Row], list[Row]]:
    """The rows to train on and to validate on, of both labels.

    Args:
        data: which rows are meant.
        pictures: in a batch; the training rows must fill one.

    Raises:
        ManifestError: one of the two is too small or has one label only, or a group is in both.
    """
    chosen: dict[str, list[Row]] = {data.train_split: [], data.val_split: []}
    for row in read_manifest(data.manifest):
        wanted = row.split in chosen and (not data.kinds or row.kind in data.kinds)
        permitted = row.split == data.val_split or data.allow_research_only or not row.research_only
        if wanted and permitted:
            chosen[row.split].append(row)
    for split, rows in chosen.items():
        for label in ("photo", "generated"):
            if sum(row.label == label for row in rows) < LEAST_OF_A_LABEL:
                raise ManifestError(
                    f"{data.manifest}: fewer than {LEAST_OF_A_LABEL} usable rows labelled '{label}' in split "
                    f"'{split}': import some, or mend the recipe's splits and kinds"
                )
    train_rows, val_rows = chosen[data.train_split], chosen[data.val_split]
    if len(train_rows) < pictures:
        raise ManifestError(
            f"{data.manifest}: {len(train_rows)} usable rows in split '{data.train_split}', {pictures} are needed for "
            "a batch: import more, or lower optimise.pictures"
        )
    shared = {row.group for row in train_rows} & {row.group for row in val_rows} - {""}
    if shared:
        raise ManifestError(
            f"{data.manifest}: group '{min(shared)}' is in both splits: run 'cameraborn data split' again"
        )
    if data.val_limit is not None and len(val_rows) > data.val_limit:
        val_rows = [val_rows[i * len(val_rows) // data.val_limit] for i in range(data.val_limit)]
    return train_rows, val_rows
