"""Which pictures a training batch holds: photographs, pairs of a photograph and its redrawing, and fakes.

Faces are drawn so that no large source or generator dominates and blurred faces do not tell the classes
(propensity.py).
The same draw of the lottery goes over both pictures of a pair.
Photographs of `split.py` are never trained on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cache import Cache, Pixels, Row
from numpy.typing import NDArray

from cameraborn.binary.delivery import Lottery, deliver, face_square, hybrid, patch, without_detail
from cameraborn.binary.edits import brought_to_sharpness, stored
from cameraborn.data.cues import sharpness

MATCHED_PAIRS = 0.6  # share of redrawings that are made as sharp as their photograph
NATIVE = 0.15  # of photographs: crops that show anything


@dataclass(frozen=True)
class Composition:
    """Pictures of each kind in a batch."""

    photographs: int = 10
    pairs: int = 6
    fakes: int = 10
    blank: int = 0  # photographs and fakes in turn, without the detail that could tell them apart


class Sampler:
    """Draws batches of patches [B side side 3], labels [B]."""

    def __init__(
        self,
        work: Path,
        *,
        leave_out: Collection[str] = (),
        everything: bool = False,
        lottery: dict[str, float] | None = None,
        shuffle: float = 0.0,
        hybrid: float = 0.0,
    ) -> None:
        self.cache = Cache(work / "cache")
        self.held_out = frozenset(json.loads((work / "held_out.json").read_text()))
        self.work, self.everything = work, everything
        self.lottery, self.shuffle, self.hybrid = Lottery(**(lottery or {})), shuffle, hybrid
        self.base, self.overlap = np.load(work / "propensity.npy").astype(float)
        self.photographs: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.fakes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, row in enumerate(self.cache.rows):
            if not row["trains"]:
                continue
            if row["label"] == "generated":
                if row["family"] not in leave_out:
                    self.fakes[row["family"]][row["generator"]].append(number)
            elif self.may_train(number):
                name = "native" if row["box"] is None else row["set"]
                self.photographs[name][row["group"]].append(number)
        self.faces = [
            n for name, of in self.photographs.items() if name != "native" for ids in of.values() for n in ids
        ]
        self.generated = [n for of in self.fakes.values() for ids in of.values() for n in ids]
        self.faces_shares, self.generated_shares = (
            w / w.sum() for w in ((self.base * self.overlap)[ids] for ids in (self.faces, self.generated))
        )
        formats = [self.cache.rows[n]["format"] for n in self.generated]
        self.webp = float(self.generated_shares[[format == "webp" for format in formats]].sum())
        self.pairs: dict[str, list[Row]] = {}
        self.refresh()

    def may_train(self, number: int) -> bool:
        """Whether a photograph is not held out."""
        return self.everything or number not in self.held_out

    def refresh(self) -> None:
        """Read which pairs there are by now."""
        self.pairs = defaultdict(list)
        index = self.work / "redrawn" / "index.jsonl"
        for line in index.read_text().splitlines() if index.exists() else ():
            entry = json.loads(line)
            if self.may_train(entry["photograph"]):
                self.pairs[entry["painter"]].append(entry)
        self.redrawn = (
            np.memmap(self.work / "redrawn" / "pixels.bin", dtype=np.uint8, mode="r") if self.pairs else None
        )

    def pair(self, entry: Row) -> tuple[Pixels, Pixels]:
        """A photograph and its redrawing."""
        assert self.redrawn is not None
        side, size = entry["side"], entry["side"] ** 2 * 3
        flat = self.redrawn[entry["at"] : entry["at"] + 2 * size]
        both = np.asarray(flat).reshape(2, side, side, 3)
        return both[0], both[1]

    def face(self, number: int, rng: np.random.Generator) -> Pixels:
        """A delivered picture of one row; photographs are stored as WebP as often as the fakes' files are."""
        row = self.cache.rows[number]
        square = face_square(self.cache.pixels(number), row["box"], rng)
        if row["label"] == "photo" and rng.random() < self.webp:
            square = stored(square, rng, "webp")
        return deliver(square, rng, self.lottery)

    def draw_photograph(self, rng: np.random.Generator) -> int:
        """The number of a row."""
        if rng.random() < NATIVE:
            return _of_groups(self.photographs["native"], rng)
        return int(rng.choice(self.faces, p=self.faces_shares))

    def draw_fake(self, rng: np.random.Generator) -> int:
        """The number of a row."""
        return int(rng.choice(self.generated, p=self.generated_shares))

    def draw_pair(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A photograph and its redrawing, delivered alike."""
        names = sorted(self.pairs)
        entries = self.pairs[names[rng.integers(len(names))]]
        seed = int(rng.integers(2**31))
        original, redrawn = self.pair(entries[rng.integers(len(entries))])
        if rng.random() < MATCHED_PAIRS:
            redrawn = brought_to_sharpness(redrawn, sharpness(original))
        # painters leave nothing of the photograph's own compression, which is no sign of a generator
        if rng.random() < self.webp:
            original, redrawn = (stored(x, np.random.default_rng(seed), "webp") for x in (original, redrawn))
        elif rng.random() < 0.8:
            redrawn = stored(redrawn, rng, "jpg")
        one, other = (deliver(x, np.random.default_rng(seed), self.lottery) for x in (original, redrawn))
        return one, other

    def batch(
        self, composition: Composition, side: int, rng: np.random.Generator, patches: int = 1
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """`patches` of each picture, and labels; 1 is generated, .5 could be either."""
        pictures: list[Pixels] = []
        labels: list[float] = []

        def add(picture: Pixels, label: float, seed: int) -> None:
            draws = np.random.default_rng(seed)
            for _ in range(patches):
                pictures.append(patch(picture, side, draws, self.shuffle))
                labels.append(label)

        for _ in range(composition.photographs):
            add(self.face(self.draw_photograph(rng), rng), 0, int(rng.integers(2**31)))
        for _ in range(composition.fakes):
            add(self.face(self.draw_fake(rng), rng), 1, int(rng.integers(2**31)))
        for turn in range(composition.blank):
            number = self.draw_fake(rng) if turn % 2 else self.draw_photograph(rng)
            add(without_detail(self.face(number, rng), rng), 0.5, int(rng.integers(2**31)))
        for _ in range(composition.pairs):
            seed = int(rng.integers(2**31))
            for label, picture in enumerate(self.draw_pair(rng)):
                add(picture, label, seed)
        stacked = np.stack(pictures)
        for one in np.flatnonzero((rng.random(len(labels)) < self.hybrid) & (np.array(labels) != 0.5)):
            stacked[one] = hybrid(pictures[one], pictures[rng.integers(len(pictures))], rng)
        return stacked, np.array(labels, np.float32)


def sharpness_of(pictures: Sequence[Pixels] | NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each picture."""
    return np.array([sharpness(np.ascontiguousarray(picture)) for picture in pictures])


def _pick(weights: Sequence[float], rng: np.random.Generator) -> int:
    shares = np.asarray(weights, float)
    return int(rng.choice(len(shares), p=shares / shares.sum()))


def _of_groups(groups: dict[str, list[int]], rng: np.random.Generator) -> int:
    names = list(groups)
    chosen = groups[names[_pick([len(groups[name]) ** 0.5 for name in names], rng)]]
    return chosen[rng.integers(len(chosen))]
