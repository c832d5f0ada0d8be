"""Rows to faces: a crop around each, sometimes manipulated, as the network sees it.

AIGFD-EXIF (arXiv 2501.02207, section III): half the faces are manipulated in one of four ways; a manipulated face takes
part in the ranking with the tags of its photograph. Every row has the box of its face (`pretext.face_rows`). Where no
landmarks are found, nothing is manipulated and nothing is said of manipulation: such a row teaches its tags alone. Rows
that were manipulated on disk stay as they are.

Shapes: S side of the network's input; targets have columns as `kinds.columns_of` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cameraborn.data.manifest import Row
from cameraborn.degrade.random import random_recompression
from cameraborn.errors import ManifestError
from cameraborn.files import Pixels
from cameraborn.photo.crops import face_window
from cameraborn.photo.decode import open_upright
from cameraborn.photo.face_points import points_at
from cameraborn.photo.faces import FaceFinder
from cameraborn.photo.patches import square_resize
from cameraborn.pretext.dataset import targets_of
from cameraborn.pretext.face_rows import FaceOfRows, faces_among
from cameraborn.pretext.kinds import Task, columns_of
from cameraborn.pretext.recipe import FaceSection
from cameraborn.pseudo.manipulate import Kind, ManipulationOptions, draw_kind, interpolated, manipulate
from cameraborn.train.pictures import MemoryBudget, PictureCache, single_threaded

Landmarks = NDArray[np.float32]  # [68 2], x and y in pixels of the crop
# Inputs [B ...], targets [B columns], what each is called [B].
ValidationBatch = tuple[Tensor, Tensor, list[str]]
_TOGETHER = 64  # pictures in a batch of validation


class FaceCrops:
    """Crops of faces and their landmarks, kept in memory up to a budget; the rest is made each time it is asked for.

    Landmarks come from the manifest's row where it has them, else they are found once and remembered. A crop larger
    than the network's side is shrunk to it at once, with antialiasing: the network would see no more of it, and
    manipulating it would take thirty times as long.

    Args:
        jitter: crops have the margin that `moved` needs, and the pixels that the smallest window needs.

    Raises:
        ManifestError: a row has no box: a whole picture is no face.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        faces: FaceSection,
        *,
        landmarks: bool,
        budget: MemoryBudget,
        jitter: float = 0.0,
    ) -> None:
        self._rows, self._faces, self._landmarks = rows, faces, landmarks
        self._scale = faces.crop_scale * (1 + 2 * jitter)
        self._side = math.ceil(faces.size * (1 + 2 * jitter) / (1 - jitter))
        self._finder: FaceFinder | None = None
        self._found: dict[int, Landmarks | None] = {}
        self._crops = PictureCache(len(rows), self._read, budget)
        self._finder = None  # each worker makes its own: a running network should not be forked

    def __getitem__(self, index: int) -> tuple[Pixels, Landmarks | None]:
        """The crop [H W 3], and the landmarks in it, None if there is no face or none was asked for."""
        return self._crops[index], self._found.get(index)

    def _read(self, index: int) -> Pixels:
        row, faces = self._rows[index], self._faces
        if row.box is None:
            raise ManifestError(f"{row.path}: the row has no box of a face: make the manifest with --faces")
        image = open_upright(Path(row.path))
        x0, y0, x1, y1 = face_window(*image.size, row.box, self._scale, faces.crop)
        crop = image.crop((x0, y0, x1, y1))
        if faces.antialias and min(crop.size) > self._side:
            crop = crop.resize((self._side, self._side), Image.Resampling.BILINEAR)
        if self._landmarks and index not in self._found:
            self._finder = self._finder or FaceFinder()
            found = row.landmarks or points_at(self._finder, np.asarray(image), row.box)
            scale = np.array([crop.width / (x1 - x0), crop.height / (y1 - y0)], np.float32)
            corner = np.array([x0, y0], np.float32)
            self._found[index] = None if found is None else (np.array(found, np.float32) - corner) * scale
        return np.asarray(crop)


def moved(
    crop: Pixels, landmarks: Landmarks | None, jitter: float, rng: np.random.Generator
) -> tuple[Pixels, Landmarks | None]:
    """A window of a crop that has a margin of `2 * jitter`, so that no face is twice the same and learnt by heart.

    Its side is that without the margin, 1 - jitter to 1 + jitter times; its middle is off by `jitter / 2` of that at
    most, along each axis.

    Args:
        crop: [H W 3].
        landmarks: in it, None if there are none.

    Returns:
        The window [h w 3], and the landmarks in it.
    """
    sides = np.array(crop.shape[1::-1]) / (1 + 2 * jitter)  # across, down
    size = np.maximum(1, np.round(sides * rng.uniform(1 - jitter, 1 + jitter))).astype(int)
    free = np.array(crop.shape[1::-1]) - size
    corner = np.round(free / 2 + sides * rng.uniform(-jitter / 2, jitter / 2, 2)).astype(int)
    x, y = np.clip(corner, 0, free)
    window = np.ascontiguousarray(crop[y : y + size[1], x : x + size[0]])
    return window, None if landmarks is None else landmarks - np.array([x, y], np.float32)


class _Faces:
    """The faces of rows: from a crop to what the network sees and what is to be said of it.

    Attributes:
        jittered: whether crops are changed as `crop_jitter` of the recipe says.
    """

    jittered = False

    def __init__(
        self,
        rows: Sequence[Row],
        tasks: Sequence[Task],
        *,
        faces: FaceSection,
        seed: int,
        budget: MemoryBudget,
    ) -> None:
        self.rows, self.faces, self.seed = rows, faces, seed
        columns = columns_of(tasks)
        self.columns = [(columns[task.name], task) for task in tasks if task.of_faces]
        self.manipulates = bool(self.columns)
        self.jitter = faces.crop_jitter if self.jittered else 0.0
        self.crops = FaceCrops(rows, faces, landmarks=self.manipulates, budget=budget, jitter=self.jitter)
        self.targets = targets_of(rows, tasks)
        self.options = ManipulationOptions(
            side=faces.manipulation_side,
            match_resampling=faces.match_resampling,
            eyes=faces.eyes,
            upside_down=faces.upside_down,
        )

    def make(
        self, crop: Pixels, landmarks: Landmarks | None, known: Tensor, kind: Kind, rng: np.random.Generator
    ) -> tuple[Pixels, Tensor]:
        """The crop in that manipulation [H W 3], and its targets [columns].

        If the landmarks do not show what is to be manipulated, the crop is the original that it is.
        """
        if not self.manipulates:
            return crop, known
        done = (
            manipulate(crop, landmarks, kind, rng, self.options) if kind and landmarks is not None else None
        )
        did = None if landmarks is None else "" if done is None else kind
        if done is None:
            done = manipulate(crop, None, "", rng, self.options)
            assert done is not None, "an original is always there"
        return done, self.labelled(known, did)

    def labelled(self, known: Tensor, did: str | None) -> Tensor:
        """The targets [columns], with what there is to say of the manipulation that was done; None: nothing."""
        targets = known.clone()
        for columns, task in self.columns:
            targets[columns] = torch.tensor(task.target({}, did))
        return targets

    def tensor(self, pixels: Pixels) -> Tensor:
        """Pixels [H W 3] as the network's input [3 S S]."""
        side, antialias = self.faces.size, self.faces.antialias
        square = square_resize(pixels, side) if antialias else interpolated(pixels, side, side)
        return torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))


class FaceDataset(_Faces, Dataset[tuple[Tensor, Tensor]]):
    """A face of each photograph: (crop uint8 [3 S S], targets float [columns], nan if missing).

    A face with variants on disk is shown as it is there, or as one of them: nothing else is done to it, or how it was
    stored would tell what is manipulated.
    """

    jittered = True

    @cached_property
    def shown(self) -> list[FaceOfRows]:
        """The faces among the rows, each with its variants."""
        return faces_among(self.rows)

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The sample of (epoch, index)."""
        epoch, index = key
        faces, rng = self.faces, np.random.default_rng([self.seed, epoch, index])
        face = self.shown[index]
        known = self.targets[face.place]
        kind = draw_kind(rng, faces.manipulations) if self.manipulates else ""
        on_disk = self.rows[face.place].manipulation
        if face.variants or on_disk:
            place = face.variants.get(kind, face.place)
            pixels, _ = self._crop(place, rng)
            targets = self.labelled(known, self.rows[place].manipulation)
        else:
            crop, landmarks = self._crop(face.place, rng)
            pixels, targets = self.make(crop, landmarks, known, kind, rng)
        if rng.random() < faces.postprocess_probability:
            # Half the network's side is left at least: less is no face that anybody would judge.
            pixels, _ = random_recompression(pixels, rng, smallest_side=faces.size // 2)
        if faces.flip and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return self.tensor(pixels), targets

    def _crop(self, place: int, rng: np.random.Generator) -> tuple[Pixels, Landmarks | None]:
        """The crop of a row, which is a little another each time if the recipe says so."""
        crop, landmarks = self.crops[place]
        if not self.jitter:
            return crop, landmarks
        window, landmarks = moved(crop, landmarks, self.jitter, rng)
        side = self.faces.size
        if not self.faces.antialias or min(window.shape[:2]) <= side:
            return window, landmarks
        scale = np.array([side / window.shape[1], side / window.shape[0]], np.float32)
        return square_resize(window, side), None if landmarks is None else landmarks * scale


class FaceValidation(_Faces, Dataset[ValidationBatch]):
    """Each photograph untouched, and in each manipulation, the same at every validation.

    Untouched faces are called by their row's kind, manipulated ones by their manipulation; these have no tags, so that
    rankings are measured on untouched faces alone.
    """

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ValidationBatch:
        crop, landmarks = self.crops[index]
        versions: list[tuple[str, Kind, Tensor]] = [(self.rows[index].kind or "all", "", self.targets[index])]
        if self.manipulates and landmarks is not None:
            tagless = torch.full_like(self.targets[index], math.nan)
            versions += [(kind, kind, tagless) for kind in self.faces.manipulations]
        inputs, targets, names = [], [], []
        for number, (name, kind, known) in enumerate(versions):
            rng = np.random.default_rng([self.seed, index, number])
            pixels, target = self.make(crop, landmarks, known, kind, rng)
            if kind and not bool((target > 0).any()):
                continue  # the landmarks do not show this feature
            inputs.append(self.tensor(pixels))
            targets.append(target)
            names.append(name)
        return torch.stack(inputs), torch.stack(targets), names

    def batches(self, workers: int) -> DataLoader[ValidationBatch]:
        """All photographs, a few at a time."""
        return DataLoader(
            self,
            batch_size=_TOGETHER,
            num_workers=workers,
            collate_fn=_one_after_another,
            worker_init_fn=single_threaded,
        )


def _one_after_another(parts: Iterable[ValidationBatch]) -> ValidationBatch:
    inputs, targets, names = zip(*parts, strict=True)
    return torch.cat(inputs), torch.cat(targets), [name for part in names for name in part]
