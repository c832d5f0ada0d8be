"""What a batch holds: photographs, pairs of a photograph and its reconstruction, generated faces, all processed alike.

Faces are drawn so that no large source or generator dominates (`base_weights`) and so that who is shown does not tell
the classes (`binary.overlap`). Both pictures of a pair are given the same history and the same patches. Photographs
are stored as WebP as often as the fakes' files are, and most reconstructions as JPEG, since a decoder leaves nothing of
its photograph's compression: files' histories would give the classes away. Pictures without detail count as either, and
some patches' detail is laid on what others show: content is not to tell the classes.

A batch depends on the seed and its number alone, whoever makes it. N patches of a batch, s their side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from cameraborn.binary.face_rows import FaceRows
from cameraborn.binary.faces import Faces
from cameraborn.binary.generators_recipe import GeneratorsRecipe, PatchesSection
from cameraborn.binary.patches import face_square, hybrid, patch, square_of, without_detail
from cameraborn.binary.plans import Plan, Plans, covariates_of
from cameraborn.data.manifest import Row, group_of
from cameraborn.degrade.draw import Rng
from cameraborn.degrade.edits import brought_to_sharpness
from cameraborn.degrade.history import random_history, stored
from cameraborn.degrade.sharpness import sharpness
from cameraborn.errors import RecipeError
from cameraborn.files import Array, Box, Pixels
from cameraborn.train.pictures import load
from cameraborn.train.processes import Processes

PHOTOGRAPH, GENERATED, EITHER = 0.0, 1.0, 0.5  # labels
_WHOLE = (
    0.7  # share of the balanced pictures of no face that are taken whole: they are shrunk like large faces
)
_AS_JPEG = 0.8  # share of the reconstructions that are stored as JPEG, where the pair is not stored as WebP

Batch = tuple[Tensor, Tensor]  # patches uint8 [N 3 s s], labels [N]
Labelled = tuple[Pixels, float, Rng]  # a processed picture, its label, and what draws its patches


def base_weights(names: Sequence[str]) -> Array:
    """A source or a generator counts with the square root of its rows: [rows], each row's weight."""
    count = Counter(names)
    return np.array([count[name] ** -0.5 for name in names])


@dataclass(frozen=True, eq=False)
class Draw:
    """Rows that are drawn: their numbers, and the share of each."""

    numbers: NDArray[np.int64]
    shares: Array

    @classmethod
    def of(cls, numbers: Sequence[int], weights: Sequence[float] | Array) -> Draw:
        """Shares in proportion to the weights."""
        shares = np.asarray(weights, float)
        return cls(np.asarray(numbers, np.int64), shares / max(shares.sum(), np.finfo(float).tiny))

    def __call__(self, rng: Rng) -> int:
        """A row's number."""
        return int(rng.choice(self.numbers, p=self.shares))


class Sampler:
    """Draws processed pictures of each kind.

    Args:
        rows: of the training split.
        faces: of `rows.all`, by number.
        recipe: says how they are drawn and processed.
        overlap: weights of `rows.photographs` and `rows.fakes`, one after the other; those of no face do not count.
    """

    def __init__(self, rows: FaceRows, faces: Faces, recipe: GeneratorsRecipe, overlap: Array) -> None:
        self._faces, self._settings = faces, recipe.batch
        self._histories = recipe.history.histories
        photographs = list(enumerate(rows.photographs))
        boxed = [(number, row) for number, row in photographs if row.box is not None]
        native = [(number, row) for number, row in photographs if row.box is None]
        fakes = list(enumerate(rows.fakes, len(photographs)))
        self._n_photographs = len(photographs)
        self.photographs = _balanced([(n, group_of(row)) for n, row in boxed], overlap)
        self.fakes = _balanced([(n, row.generator) for n, row in fakes], overlap)
        self.native = _balanced([(n, group_of(row)) for n, row in native], np.ones(len(photographs)))
        self.webp = float(self.fakes.shares[[_is_webp(row) for _, row in fakes]].sum())
        decoders = [reconstructed.generator for _, reconstructed in rows.pairs]
        count, first = Counter(decoders), len(photographs) + len(fakes)
        self.pairs = Draw.of(
            [first + 2 * n for n in range(len(decoders))], [1 / count[name] for name in decoders]
        )
        self.plans = self._planned(first, recipe) if recipe.history.balanced else None

    def photograph(self, rng: Rng) -> Pixels:
        """A photograph after a random history."""
        if self.plans is not None:
            return self._carried_out(self.plans.of_photograph(rng), rng)
        return self.processed(self._draw_photograph(rng), rng)

    def fake(self, rng: Rng) -> Pixels:
        """A generated face after a random history."""
        if self.plans is not None:
            return self._carried_out(self.plans.of_fake(rng), rng)
        return self.processed(self.fakes(rng), rng)

    def _draw_photograph(self, rng: Rng) -> int:
        native = rng.random() < self._settings.native and len(self.native.numbers)
        return (self.native if native else self.photographs)(rng)

    def processed(self, number: int, rng: Rng) -> Pixels:
        """The picture of a row after a random history; photographs are stored as WebP as often as the fakes' files."""
        face = self._faces[number]
        square = self._stored(number, face_square(face.pixels, face.box, rng), rng)
        return random_history(square, rng, self._histories)

    def _carried_out(self, plan: Plan, rng: Rng) -> Pixels:
        face = self._faces[plan.number]
        square = face_square(face.pixels, face.box, np.random.default_rng(plan.seed), _WHOLE)
        histories = replace(self._histories, native=float(plan.native))
        return random_history(self._stored(plan.number, square, rng), rng, histories, plan.side)

    def _stored(self, number: int, square: Pixels, rng: Rng) -> Pixels:
        webp = number < self._n_photographs and rng.random() < self.webp
        return stored(square, rng, "WEBP") if webp else square

    def _planned(self, rows: int, recipe: GeneratorsRecipe) -> Plans:
        """Plans of the first so many rows, photographs and fakes, all of which are measured once."""
        sizes: list[tuple[int, int, Box | None]] = []
        covariates = []
        for number in range(rows):
            face = self._faces[number]
            sizes.append((face.pixels.shape[0], face.pixels.shape[1], face.box))
            square = face_square(face.pixels, face.box, np.random.default_rng(0))
            covariates.append(covariates_of(np.ascontiguousarray(square)))
        return Plans(
            self._draw_photograph,
            self.fakes,
            lambda number, rng: square_of(*sizes[number], rng, _WHOLE)[2],
            np.array(covariates),
            recipe.history.native,
            recipe.optimise.seed,
        )

    def pair(self, rng: Rng) -> tuple[Pixels, Pixels]:
        """A photograph and its reconstruction after the same history."""
        number = self.pairs(rng)
        both = (self._faces[number].pixels, self._faces[number + 1].pixels)
        original, reconstructed = _same_square(*both, rng)
        if rng.random() < self._settings.matched_pairs:
            reconstructed = brought_to_sharpness(reconstructed, sharpness(original))
        seed = int(rng.integers(2**31))
        if rng.random() < self.webp:
            pair = (original, reconstructed)
            original, reconstructed = (stored(x, np.random.default_rng(seed), "WEBP") for x in pair)
        elif rng.random() < _AS_JPEG:
            reconstructed = stored(reconstructed, rng, "JPEG")
        pair = (original, reconstructed)
        one, other = (random_history(x, np.random.default_rng(seed), self._histories) for x in pair)
        return one, other


class FaceBatches(Dataset[Batch]):
    """This process's part of each batch, by the batch's number.

    Raises:
        RecipeError: the processes cannot share a batch equally.
    """

    def __init__(self, sampler: Sampler, recipe: GeneratorsRecipe, processes: Processes) -> None:
        self.sampler, self.recipe = sampler, recipe
        units = recipe.optimise.batch_size // recipe.batch.unit
        if units % processes.world:
            raise RecipeError(
                f"optimise.batch_size = {recipe.optimise.batch_size} is {units} units of {recipe.batch.unit} pictures, "
                f"which cannot be divided between {processes.world} processes: change either"
            )
        share = units // processes.world
        self.units = range(processes.rank * share, (processes.rank + 1) * share)

    def __getitem__(self, number: int) -> Batch:
        """Patches of one side, and their labels."""
        seed, settings = self.recipe.optimise.seed, self.recipe.patches
        of_batch = np.random.default_rng([seed, number])
        sides = Draw.of(range(len(settings)), [one.share for one in settings])
        chosen = settings[sides(of_batch)]
        patches: list[Pixels] = []
        labels: list[float] = []
        for unit in self.units:
            draws = np.random.default_rng([seed, number, unit])
            cut, told = self._cut(draws, chosen)
            patches += self._hybrids(cut, told, draws)
            labels += told
        stacked = torch.from_numpy(np.stack(patches).transpose(0, 3, 1, 2).copy())
        return stacked, torch.tensor(labels, dtype=torch.float32)

    def _cut(self, draws: Rng, chosen: PatchesSection) -> tuple[list[Pixels], list[float]]:
        """The patches of a unit, and their labels."""
        history = self.recipe.history
        both = [
            (patch(picture, chosen.side, rng, history.shuffle, history.turned), label)
            for picture, label, rng in self._unit(draws)
            for _ in range(chosen.count)
        ]
        return [one for one, _ in both], [label for _, label in both]

    def _hybrids(self, patches: list[Pixels], labels: list[float], rng: Rng) -> list[Pixels]:
        """A share of them, labels and all, on what another of the unit shows."""
        return [
            hybrid(one, patches[rng.integers(len(patches))], rng)
            if label != EITHER and rng.random() < self.recipe.history.hybrid
            else one
            for one, label in zip(patches, labels, strict=True)
        ]

    def _unit(self, rng: Rng) -> Iterator[Labelled]:
        kinds = self.recipe.batch
        for _ in range(kinds.photographs):
            yield self.sampler.photograph(rng), PHOTOGRAPH, rng
        for _ in range(kinds.fakes):
            yield self.sampler.fake(rng), GENERATED, rng
        for _ in range(kinds.blank):
            picture = self.sampler.fake(rng) if rng.random() < 0.5 else self.sampler.photograph(rng)
            yield without_detail(picture, rng), EITHER, rng
        for _ in range(kinds.pairs):
            both, seed = self.sampler.pair(rng), int(rng.integers(2**31))
            for label, picture in zip((PHOTOGRAPH, GENERATED), both, strict=True):
                yield picture, label, np.random.default_rng(seed)


def batches_of(dataset: FaceBatches, processes: Processes, steps: range) -> Iterator[Batch]:
    """The batches of some steps; workers make whole ones."""
    settings = dataset.recipe.optimise
    numbers = range(steps.start * settings.grad_accum_steps, steps.stop * settings.grad_accum_steps)
    return load(dataset, settings, processes, batch_size=None, sampler=numbers)


def _balanced(named: Sequence[tuple[int, str]], weights: Array) -> Draw:
    numbers = [number for number, _ in named]
    return Draw.of(numbers, base_weights([name for _, name in named]) * weights[numbers] if named else [])


def _is_webp(row: Row) -> bool:
    return Path(row.path).suffix.lower() == ".webp"


def _same_square(one: Pixels, other: Pixels, rng: Rng) -> tuple[Pixels, Pixels]:
    """The same largest square of two pictures [H W 3]."""
    H, W, _ = one.shape
    side = min(H, W)
    y, x = rng.integers(H - side + 1), rng.integers(W - side + 1)
    window = (slice(y, y + side), slice(x, x + side))
    return one[window], other[window]
