"""Co-occurrences of residuals and a linear classifier on them: the cheap member of the ensemble.

As in steganalysis (SPAM, Pevny et al. 2010; SRM, Fridrich and Kodovsky 2012): first to third differences of luma and
chroma, divided by a step, rounded, cut to -2..2; how often three neighbours along and across take each of the 125
values, horizontally and vertically together, signs and directions taken together. Square roots of the shares.

    python benchmarks/campaign/cooccurrence.py --work WORK --draws 3      leave-one-family-out, in minutes
"""

from __future__ import annotations

import argparse
import json
from functools import cache as cached
from pathlib import Path

import cv2
import numpy as np
from cache import Pixels
from numpy.typing import NDArray

from cameraborn.degrade.history import SIDE

STEPS = (1.0, 3.0)
REACH = 2048  # of third differences of 0..255
HALF = 128  # the smaller of the two sides that are looked at
Features = NDArray[np.float32]


@cached
def _classes() -> tuple[NDArray[np.intp], int]:
    """Which of the 125 values are the same but for sign and direction: [125], and how many classes."""
    names: dict[tuple[int, ...], int] = {}
    result = np.zeros(125, np.intp)
    for code in range(125):
        a, b, c = code // 25 - 2, code // 5 % 5 - 2, code % 5 - 2
        least = min((a, b, c), (c, b, a), (-a, -b, -c), (-c, -b, -a))
        result[code] = names.setdefault(least, len(names))
    return result, len(names)


@cached
def _symbols(order: int, step: float) -> NDArray[np.uint8]:
    """The symbol 0..4 of a difference of whole numbers, at the place of the difference plus `REACH`."""
    differences = np.arange(-REACH, REACH + 1)
    return (np.clip(np.rint(differences / (step * order)), -2, 2) + 2).astype(np.uint8)


def _counts(s: NDArray[np.uint8], along: bool) -> NDArray[np.float64]:
    """Shares of the classes of three neighbours of symbols [H W]."""
    code = s[:, :-2] * 25 + s[:, 1:-1] * 5 + s[:, 2:] if along else s[:-2] * 25 + s[1:-1] * 5 + s[2:]
    classes, number = _classes()
    found = cv2.calcHist([np.ascontiguousarray(code)], [0], None, [125], [0, 125]).ravel()
    return np.bincount(classes, found, number)


def _of_plane(plane: NDArray[np.int16]) -> list[NDArray[np.float64]]:
    parts = []
    for order in (1, 2, 3):
        residuals = [np.diff(view, order, axis=1) + REACH for view in (plane, np.ascontiguousarray(plane.T))]
        for step in STEPS:
            along = across = 0.0
            for residual in residuals:
                symbols = _symbols(order, step)[residual]
                along, across = along + _counts(symbols, True), across + _counts(symbols, False)
            parts += [along / np.sum(along), across / np.sum(across)]
    return parts


def features(pixels: Pixels) -> Features:
    """Of a face as the detector lays it, [D]."""
    parts: list[NDArray[np.float64]] = []
    for side in (None, HALF):
        x = pixels
        if side is not None and x.shape[0] > side:
            x = cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA)
        planes = cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2YCrCb).astype(np.int16)
        luma = _of_plane(planes[:, :, 0])
        red, blue = _of_plane(planes[:, :, 1]), _of_plane(planes[:, :, 2])
        parts += luma + [(one + other) / 2 for one, other in zip(red, blue, strict=True)]
    return np.sqrt(np.concatenate(parts)).astype(np.float32)


class Linear:
    """Ridge regression on labels of standardised features, the two classes weighted alike."""

    def __init__(
        self, x: Features, y: NDArray[np.float32], weights: NDArray[np.float64], ridge: float
    ) -> None:
        self.mean, self.spread = x.mean(0), x.std(0) + 1e-6
        z = np.concatenate([(x - self.mean) / self.spread, np.ones((len(x), 1), np.float32)], axis=1).astype(
            np.float64
        )
        penalty = ridge * weights.sum() * np.eye(z.shape[1])
        penalty[-1, -1] = 0
        self.w = np.linalg.solve(z.T @ (z * weights[:, None]) + penalty, z.T @ (weights * (2 * y - 1)))

    def __call__(self, x: Features) -> NDArray[np.float64]:
        """Scores [N]; high is generated."""
        result: NDArray[np.float64] = ((x - self.mean) / self.spread) @ self.w[:-1] + self.w[-1]
        return result


def gathered(work: Path, draws: int, pairs: int, seed: int, light: float) -> dict[str, NDArray[np.generic]]:
    """Features of `draws` deliveries of every training picture and of `pairs` pairs, with what they are."""
    from training_rows import TrainingRows

    from train import recipe_of

    trained = TrainingRows.read(work)
    sampler = trained.sampler(recipe_of(batch=(1, 1, 1), light=light))
    numbers = [*trained.photographs, *trained.fakes]
    rows = [trained.cache.rows[number] for number in numbers]
    overlap = np.load(work / "propensity.npy")[1][numbers]
    found: list[Features] = []
    notes: list[tuple[int, str, str, float]] = []
    rng = np.random.default_rng(seed)
    natives = sampler.native.numbers
    for _ in range(draws):
        some_natives = rng.choice(natives, len(natives) // 5, replace=False)
        for n in [*sampler.fakes.numbers, *sampler.photographs.numbers, *some_natives]:
            found.append(features(sampler.processed(int(n), rng)))
            row = rows[n]
            notes.append(
                (
                    int(row["label"] == "generated"),
                    row["family"] or "photo",
                    row["generator"] or row["group"],
                    float(overlap[n]) or 0.3,
                )
            )
    for _ in range(pairs):
        for label, picture in enumerate(sampler.pair(rng)):
            found.append(features(picture))
            notes.append((label, "redrawn" if label else "pair", "pair", 0.3))
    return {
        "x": np.stack(found),
        "y": np.array([n[0] for n in notes], np.float32),
        "family": np.array([n[1] for n in notes]),
        "group": np.array([n[2] for n in notes]),
        "overlap": np.array([n[3] for n in notes]),
    }


def weights_of(
    family: NDArray[np.generic], group: NDArray[np.generic], shares: dict[str, float]
) -> NDArray[np.float64]:
    """Half photographs; within a kind the square root of a source's or generator's number."""
    w = np.zeros(len(family))
    kinds: dict[str, float] = {}
    for f in np.unique(family):
        at = family == f
        _, where, counts = np.unique(group[at], return_inverse=True, return_counts=True)
        w[at] = counts[where] ** -0.5
        kind = str(f) if f in ("photo", "pair", "redrawn") else "fakes"
        # a family counts with the square root of its number
        w[at] *= np.sqrt(at.sum()) / w[at].sum()
        kinds[kind] = kinds.get(kind, 0.0) + w[at].sum()
    for f in np.unique(family):
        kind = str(f) if f in ("photo", "pair", "redrawn") else "fakes"
        w[family == f] *= shares[kind] / kinds[kind]
    return w


def main() -> None:
    """Leave one family out at a time."""
    from evaluate import DEGRADATIONS, FAMILIES, Evaluation, short, shrunk, summary

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--light", type=float, default=1.0, help="share of deliveries without edits")
    parser.add_argument("--ridge", type=float, default=1e-3)
    parser.add_argument("--name", default="cooc")
    options = parser.parse_args()
    folder = options.work / "cooccurrence"
    folder.mkdir(exist_ok=True)
    evaluation = Evaluation(options.work)
    numbers = [n for n, e in enumerate(evaluation.entries) if e["delivery"] not in DEGRADATIONS]
    if not (folder / "evaluation.npy").exists():
        np.save(
            folder / "evaluation.npy",
            np.stack([features(shrunk(evaluation.pixels(n), SIDE)) for n in numbers]),
        )
    held = np.load(folder / "evaluation.npy")
    file = folder / f"{options.name}.npz"
    if not file.exists():
        np.savez(file, **gathered(options.work, options.draws, options.pairs, 3, options.light))
    data = dict(np.load(file))
    shares = {"photo": 0.35, "pair": 0.15, "redrawn": 0.15, "fakes": 0.35}
    unseen: dict[str, float] = {}
    for family in (*FAMILIES, None):
        keep = data["family"] != (family or "")
        w = weights_of(data["family"][keep], data["group"][keep], shares) * data["overlap"][keep]
        scores = Linear(data["x"][keep], data["y"][keep], w, options.ridge)(held)
        result = summary(evaluation, numbers, scores, [family] if family else [])
        if family:
            unseen[family] = result[f"lottery_{family}"]
            figures = {
                key: value for key, value in result.items() if f"_{family}" in key and "seen" not in key
            }
            print(family, json.dumps(figures), flush=True)
        else:
            print(short(result))
    print("mean left out", round(float(np.mean(list(unseen.values()))), 3))


if __name__ == "__main__":
    main()
