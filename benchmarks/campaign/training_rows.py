"""What the campaign trains on, as `cameraborn.binary.sampling` wants it: rows of the cache, and reconstructed pairs.

Photographs of `split.py` are never trained on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cache import Cache, Pixels, Row
from numpy.typing import NDArray

from cameraborn.binary.face_rows import FaceRows
from cameraborn.binary.faces import Face
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.binary.sampling import Sampler
from cameraborn.data import manifest

UNKNOWN = "0" * 64  # no file is looked up by its hash here


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Numbers of the cache's rows, and what is known of each reconstructed pair; the faces of both, by place.

    Attributes:
        photographs, fakes: numbers in the cache.
        pairs: entries of `WORK/redrawn/index.jsonl`.
    """

    work: Path
    cache: Cache
    photographs: list[int]
    fakes: list[int]
    pairs: list[Row]

    @classmethod
    def read(cls, work: Path, *, leave_out: Collection[str] = (), everything: bool = False) -> TrainingRows:
        """Without the families that are left out; `everything`: with validation's photographs."""
        cache = Cache(work / "cache")
        held_out = frozenset() if everything else frozenset(json.loads((work / "held_out.json").read_text()))
        rows = [(number, row) for number, row in enumerate(cache.rows) if row["trains"]]
        return cls(
            work,
            cache,
            [n for n, row in rows if row["label"] == "photo" and n not in held_out],
            [n for n, row in rows if row["label"] == "generated" and row["family"] not in leave_out],
            [entry for entry in entries_of(work) if entry["photograph"] not in held_out],
        )

    def without(self, of: Callable[[Row], bool]) -> tuple[TrainingRows, set[str]]:
        """Without photographs, and what was reconstructed of them; and the sources of these."""
        out = {number for number in self.photographs if of(self.cache.rows[number])}
        return replace(
            self,
            photographs=[number for number in self.photographs if number not in out],
            pairs=[entry for entry in self.pairs if entry["photograph"] not in out],
        ), {self.cache.rows[number]["group"] for number in out}

    def sampler(self, recipe: GeneratorsRecipe) -> Sampler:
        """Draws batches as the recipe says, weighted by `propensity.npy`."""
        weights = np.load(self.work / "propensity.npy")[1].astype(float)
        return Sampler(self._face_rows(), self, recipe, weights[[*self.photographs, *self.fakes]])

    def __getitem__(self, place: int) -> Face:
        """The face of a photograph, of a fake, or of a pair, in this order."""
        numbers = [*self.photographs, *self.fakes]
        if place < len(numbers):
            row = self.cache.rows[numbers[place]]
            return Face(self.cache.pixels(numbers[place]), row["box"] and tuple(row["box"]))
        pair, which = divmod(place - len(numbers), 2)
        return Face(pixels_of(self.work, self.pairs[pair])[which], None)

    def _face_rows(self) -> FaceRows:
        return FaceRows(
            photographs=tuple(_row(self.cache.rows[number]) for number in self.photographs),
            fakes=tuple(_row(self.cache.rows[number]) for number in self.fakes),
            pairs=tuple(
                (_row(self.cache.rows[entry["photograph"]]), _row({"label": "photo"} | entry))
                for entry in self.pairs
            ),
        )


def entries_of(work: Path) -> list[Row]:
    """The reconstructed pairs that there are by now."""
    index = work / "redrawn" / "index.jsonl"
    return [json.loads(line) for line in index.read_text().splitlines()] if index.exists() else []


def pixels_of(work: Path, entry: Row) -> Pixels:
    """A photograph and its reconstruction [2 S S 3]."""
    side = entry["side"]
    file = np.memmap(work / "redrawn" / "pixels.bin", dtype=np.uint8, mode="r")
    both: NDArray[np.uint8] = np.asarray(file[entry["at"] : entry["at"] + 2 * side * side * 3])
    return both.reshape(2, side, side, 3)


def _row(row: Row) -> manifest.Row:
    return manifest.Row(
        path=row["path"],
        sha256=UNKNOWN,
        label=row["label"],
        generator=row.get("painter") or row.get("generator") or "",
        group=row.get("group") or "",
        box=row.get("box"),
    )
