"""Pictures on their way into training: kept in memory within one budget, cut into patches, shuffled into batches.

The sample drawn for (seed, epoch, index) is always the same, whichever worker makes it and wherever a run was resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler

from cameraborn.data.manifest import Row
from cameraborn.degrade.draw import log_uniform
from cameraborn.degrade.named import Encoding, recompressed
from cameraborn.degrade.random import INTERPOLATING, draw_encoding
from cameraborn.errors import CamerabornError
from cameraborn.files import Pixels
from cameraborn.photo.decode import open_upright
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.train.processes import Processes
from cameraborn.train.recipe import AugmentSection, OptimiseSection

Batch = Any  # what a dataset's samples are collated to
_MARGIN = 16  # pixels around a patch, so that its place on JPEG's 8x8 grid is random
_AT_ONCE = 16  # pictures that are read at a time while a cache is filled
_READY = 4  # batches that a worker keeps ready


class MemoryBudget:
    """The bytes that all caches of one training process may take together."""

    def __init__(self, megabytes: int) -> None:
        self.left = megabytes * 2**20

    def take(self, size: int) -> bool:
        """Take that many bytes; False, and nothing is left for anybody, if there are not so many."""
        enough = size <= self.left
        self.left = self.left - size if enough else 0
        return enough


class InMemory(Protocol):
    """What says how much memory it takes, as arrays do."""

    @property
    def nbytes(self) -> int:
        """Its bytes."""
        ...


P = TypeVar("P", bound=InMemory)


class PictureCache(Generic[P]):
    """Pictures kept in memory while the budget lasts; the rest is read each time it is asked for.

    Args:
        count: number of pictures.
        read: gives the picture of an index: [H W 3], or an object that holds it.
        budget: memory to take from.
    """

    def __init__(self, count: int, read: Callable[[int], P], budget: MemoryBudget) -> None:
        self._read, self._kept = read, dict[int, P]()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, count, _AT_ONCE):
                if not budget.left:
                    return
                indices = range(start, min(start + _AT_ONCE, count))
                for index, pixels in zip(indices, pool.map(read, indices), strict=True):
                    if not budget.take(pixels.nbytes):
                        return
                    self._kept[index] = pixels

    def __getitem__(self, index: int) -> P:
        kept = self._kept.get(index)
        return self._read(index) if kept is None else kept


def whole_pictures(rows: Sequence[Row], budget: MemoryBudget) -> PictureCache[Pixels]:
    """The decoded pictures of rows, upright."""
    read = partial(_read, [row.path for row in rows])  # unlike a closure, it can be sent to a worker
    return PictureCache(len(rows), read, budget)


def _read(paths: Sequence[str], index: int) -> Pixels:
    return np.asarray(open_upright(Path(paths[index])))


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


def batches(
    dataset: Dataset[Any],
    length: int,
    settings: OptimiseSection,
    processes: Processes,
    steps: range,
    *,
    seed_offset: int = 0,
) -> Iterator[Batch]:
    """This process's parts of the batches of some steps.

    Where there are fewer samples than a batch has, each batch takes all that can be divided equally. The workers are
    started here, not at the first batch: starting them draws from torch's random numbers.

    Args:
        dataset: gives the sample of (epoch, index).
        length: number of samples.
        settings: the recipe's.
        processes: that share each batch.
        steps: steps of the run, from the one to begin with to its end.
        seed_offset: added to the recipe's seed, where a step takes batches of two data sets.
    """
    sampler = EpochSampler(
        length,
        min(settings.batch_size, length // processes.world * processes.world),
        batches=steps.stop * settings.grad_accum_steps,
        first=steps.start * settings.grad_accum_steps,
        seed=settings.seed + seed_offset,
        rank=processes.rank,
        world=processes.world,
    )
    return load(dataset, settings, processes, batch_sampler=sampler)


def load(
    dataset: Dataset[Any],
    settings: OptimiseSection,
    processes: Processes,
    **order: Any,  # noqa: ANN401 (arguments of DataLoader)
) -> Iterator[Batch]:
    """What a data set gives, made by the recipe's workers; `order` tells the `DataLoader` in which order."""
    loader = DataLoader(
        dataset,
        **order,
        num_workers=settings.workers,
        prefetch_factor=_READY if settings.workers else None,
        pin_memory=processes.device.type == "cuda",
        worker_init_fn=single_threaded,
    )
    return _in_one_line(iter(loader))


def _in_one_line(batches: Iterator[Batch]) -> Iterator[Batch]:
    try:
        yield from batches
    except CamerabornError as error:
        # From a worker comes its whole traceback as text; the last line is the error, behind its class.
        _, worker, text = str(error.args[0]).strip().rpartition("\n")
        raise type(error)(text.partition(": ")[2] if worker else text) from error


def single_threaded(worker: int) -> None:
    """For the loader's `worker_init_fn`: there are as many workers as cores, and each gets along with one."""
    cv2.setNumThreads(0)


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
