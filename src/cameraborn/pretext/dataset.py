"""Rows to batches: patches of photographs and what their EXIF says, seeded for each sample.

The sample drawn for (seed, epoch, index) is always the same, whichever worker makes it and wherever a run was resumed.
A missing tag is nan, never invented. Shapes: B pictures, P patches a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from cameraborn.data.manifest import Row
from cameraborn.degrade.named import Encoding, recompressed
from cameraborn.degrade.random import INTERPOLATING, draw_encoding, log_uniform
from cameraborn.errors import ManifestError
from cameraborn.files import Pixels
from cameraborn.photo.decode import open_upright
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.recipe import AugmentSection
from cameraborn.pretext.tasks import Task

_MARGIN = 16  # pixels around a patch, so that its place on JPEG's 8x8 grid is random


class PictureCache:
    """Decoded pictures, kept in memory up to a budget; the rest is decoded each time it is asked for."""

    def __init__(self, rows: Sequence[Row], budget_mb: int) -> None:
        self._paths = [row.path for row in rows]
        self._kept: dict[int, Pixels] = {}
        left = budget_mb * 2**20
        for index, path in enumerate(self._paths):
            pixels = np.asarray(open_upright(Path(path)))
            left -= pixels.nbytes
            if left < 0:
                break
            self._kept[index] = pixels

    def __getitem__(self, index: int) -> Pixels:
        kept = self._kept.get(index)
        return kept if kept is not None else np.asarray(open_upright(Path(self._paths[index])))


class PatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random augmented patches of each photograph: (patches uint8 [P 3 64 64], targets float [T], nan if missing)."""

    def __init__(
        self,
        rows: Sequence[Row],
        tasks: Sequence[Task],
        *,
        patches: int,
        augment: AugmentSection,
        seed: int,
        cache_mb: int,
    ) -> None:
        self.paths = [row.path for row in rows]
        self.pictures = PictureCache(rows, cache_mb)
        self.targets = targets_of(rows, tasks)
        self.patches = patches
        self.augment = augment
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The sample of (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng([self.seed, epoch, index])
        pixels = self.pictures[index]
        if min(pixels.shape[:2]) < PATCH_SIZE:
            raise ManifestError(
                f"{self.paths[index]}: {pixels.shape[1]}x{pixels.shape[0]} pixels are too few for a patch of "
                f"{PATCH_SIZE}: take the row out of the training split"
            )
        patches = random_patches(pixels, self.patches, self.augment, rng)
        return torch.from_numpy(patches), self.targets[index]


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) from `first` on: each epoch is a seeded shuffle, its last short batch dropped.

    Of several processes each takes its own, equal part of every batch, in the order of their ranks.
    """

    def __init__(
        self, length: int, batch: int, *, batches: int, first: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.length, self.batch, self.batches, self.first, self.seed = length, batch, batches, first, seed
        share = batch // world
        self.own = slice(rank * share, (rank + 1) * share)

    def __len__(self) -> int:
        return self.batches - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = self.length // self.batch
        shuffled, order = -1, np.empty(0, np.int64)
        for number in range(self.first, self.batches):
            epoch, place = divmod(number, per_epoch)
            if epoch != shuffled:
                shuffled, order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.length)
            whole = order[place * self.batch : (place + 1) * self.batch]
            yield [(epoch, int(i)) for i in whole[self.own]]


def single_threaded(worker: int) -> None:
    """For the loader's `worker_init_fn`: there are as many workers as cores, and each gets along with one."""
    cv2.setNumThreads(0)


def targets_of(rows: Sequence[Row], tasks: Sequence[Task]) -> Tensor:
    """What each row says of each task: float [rows T], nan where it says nothing, as of tasks of faces."""

    def target(row: Row, task: Task) -> float:
        told_by_row = task.artificial and not task.of_faces
        return task.label(row.manipulation) if told_by_row else task.target(row.exif)

    return torch.tensor([[target(row, task) for task in tasks] for row in rows], dtype=torch.float64)


def random_patches(pixels: Pixels, count: int, augment: AugmentSection, rng: np.random.Generator) -> Pixels:
    """`count` random patches [count 3 64 64] of a picture that may first have been shrunk and recompressed.

    What happened to the picture happened to all its patches; each is then turned and mirrored at random.
    """
    H, W, _ = pixels.shape
    if min(H, W) < PATCH_SIZE:
        raise ValueError(f"a picture of {W}x{H} is too small for a patch of {PATCH_SIZE}")
    factor = 1.0
    if rng.random() < augment.scale_probability:
        factor = max(log_uniform(rng, augment.scale_min, 1.0), PATCH_SIZE / min(H, W))
    encoding = draw_encoding(
        rng,
        jpeg=augment.jpeg_probability,
        jpeg_quality=augment.jpeg_quality,
        webp=augment.webp_probability,
        webp_quality=augment.webp_quality,
    )
    filter = INTERPOLATING[rng.integers(len(INTERPOLATING))]
    gains = np.exp(rng.uniform(-1.0, 1.0, 3) * np.log(augment.gain))
    grey = rng.random() < augment.grey_probability
    out = np.empty((count, 3, PATCH_SIZE, PATCH_SIZE), np.uint8)
    for n in range(count):
        patch = _one_patch(pixels, factor, filter, encoding, rng)
        if grey:
            patch = np.asarray(Image.fromarray(patch).convert("L").convert("RGB"))
        if augment.gain > 1:
            patch = (patch * gains + 0.5).clip(0, 255).astype(np.uint8)
        patch = np.rot90(patch, int(rng.integers(4)))
        out[n] = (patch[:, ::-1] if rng.random() < 0.5 else patch).transpose(2, 0, 1)
    return out


def _one_patch(
    pixels: Pixels,
    factor: float,
    filter: Image.Resampling,
    encoding: tuple[Encoding, int] | None,
    rng: np.random.Generator,
) -> Pixels:
    """One patch [64 64 3]. Only a window somewhat larger than the patch is shrunk and recompressed: it is cheaper."""
    H, W, _ = pixels.shape
    window = min(round((PATCH_SIZE + _MARGIN) / factor), H, W)
    pixels = _random_square(pixels, window, rng)
    if factor < 1.0:
        side = max(PATCH_SIZE, round(window * factor))
        pixels = np.asarray(Image.fromarray(pixels).resize((side, side), filter))
    if encoding is not None:
        pixels = recompressed(pixels, *encoding)
    return _random_square(pixels, PATCH_SIZE, rng)


def _random_square(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    H, W, _ = pixels.shape
    y, x = rng.integers(H - side + 1), rng.integers(W - side + 1)
    return pixels[y : y + side, x : x + side]
