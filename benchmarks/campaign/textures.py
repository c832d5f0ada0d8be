"""A linear layer on statistics of a frozen ImageNet network: photographs against fakes and reconstructed photographs.

    python benchmarks/campaign/textures.py draw --work WORK --imagenet WEIGHTS
    python benchmarks/campaign/textures.py left-out --work WORK --run NAME --run OTHER -o textures.csv

`draw` processes every picture some times as training draws it (`TIMES`), and keeps the features of these and of the
evaluation set; what is kept is not drawn again. `left-out` fits the layer without each family of generators, and tells
what it is worth on that family, alone and added to the network of a run that left it out too; and fitted to all
families, on the development tracks. The layer is a ridge regression of the label: one equation, no steps. What tells
photographs of one source from those of another costs extra there, or it would be taken for a generator's trace.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from cache import Pixels
from combination import auc, kind_of, share, standardised, worth
from efficientnet_lite import EfficientNetStatistics
from evaluate import FAMILIES, LOTTERY, USUAL, Evaluation, patches_of, shrunk
from numpy.typing import NDArray
from scipy.linalg import solve
from training_rows import TrainingRows

from cameraborn.files import replacing
from cameraborn.train.onnx import to_onnx
from train import recipe_of

CHANNEL = "textures"
SIDE, PATCH = 256, 128  # px: as the bundle looks at a face
TIMES = {"photo": 3, "fake": 5}  # random histories of each picture
PAIRS = 3000
RIDGE = 0.3
SOURCES, FEWEST = 20.0, 9  # price of the scatter between sources, and processed pictures that make one
WEIGHTS = (0.5, 1.0, 2.0)  # in the sum with a network that was trained
Features = NDArray[np.float32]
Scores = NDArray[np.float64]


class Encoder:
    """The frozen network in ONNX Runtime on one thread, as bundles run it."""

    def __init__(self, imagenet: Path) -> None:
        net = EfficientNetStatistics()
        net.load_imagenet(torch.load(imagenet, weights_only=True, map_location="cpu"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            to_onnx(net.eval(), side=PATCH), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, picture: Pixels) -> Features:
        """The mean of the features of a face's patches, [D]."""
        patches = patches_of(shrunk(picture, SIDE), PATCH, (SIDE // PATCH) ** 2)
        (features,) = self._session.run(
            None, {"patches": np.ascontiguousarray(patches.transpose(0, 3, 1, 2))}
        )
        mean: Features = features.mean(axis=0)
        return mean


def draw(work: Path, imagenet: Path) -> None:
    """Keep the features of processed training pictures, and of the evaluation set."""
    encoder, folder = Encoder(imagenet), work / CHANNEL
    folder.mkdir(exist_ok=True)
    if not (folder / "training.npz").exists():
        kinds, families, groups, shares, features = zip(*training(work, encoder), strict=True)
        columns = {"kind": kinds, "family": families, "group": groups, "share": shares, "features": features}
        with replacing(folder / "training.npz") as part:
            np.savez(part, **{name: np.asarray(column) for name, column in columns.items()})
    if not (folder / "evaluation.npy").exists():
        evaluation = Evaluation(work)
        pictures = map(evaluation.pixels, range(len(evaluation.entries)))
        with replacing(folder / "evaluation.npy") as part:
            np.save(part, np.stack([encoder(picture) for picture in pictures]))


def training(work: Path, encoder: Encoder) -> Iterator[tuple[str, str, str, float, Features]]:
    """Kind, family, source, share and features of each processed picture."""
    rows = TrainingRows.read(work)
    history = {"strength": LOTTERY.strength, "native": 0.5, "light": LOTTERY.light, "shuffle": 0.0}
    sampler = rows.sampler(recipe_of(batch=(8, 8, 8), **history))
    numbers = [*rows.photographs, *rows.fakes]
    for kind, draws in (("photo", sampler.photographs), ("fake", sampler.fakes)):
        for number, part in zip(draws.numbers.tolist(), draws.shares.tolist(), strict=True):
            row = rows.cache.rows[numbers[number]]
            family, source = row["family"] or "", row["group"] or "" if kind == "photo" else ""
            for time in range(TIMES[kind] if part else 0):
                rng = np.random.default_rng([77, number, time])
                yield kind, family, source, part, encoder(sampler.processed(number, rng))
    for number in range(PAIRS):
        original, reconstructed = sampler.pair(np.random.default_rng([78, number]))
        yield "original", "", "", 1.0, encoder(original)
        yield "reconstructed", "", "", 1.0, encoder(reconstructed)


class Training:
    """The features that were kept."""

    def __init__(self, work: Path) -> None:
        with np.load(work / CHANNEL / "training.npz") as kept:
            self.features = kept["features"]
            self.kind, self.family = kept["kind"], kept["family"]
            self.group, self.share = kept["group"], kept["share"]

    def fit(self, left_out: str = "") -> tuple[Scores, float]:
        """Weights [D] and bias of the ridge regression of the label on the features; each kind counts alike."""
        share = np.where(self.family == left_out, 0.0, self.share) if left_out else self.share.astype(float)
        for kind in np.unique(self.kind):
            share = np.where(self.kind == kind, share / share[self.kind == kind].sum(), share)
        share = share / share.sum()
        labels = np.isin(self.kind, ("fake", "reconstructed")).astype(float)
        mean = share @ self.features
        deviation = np.sqrt(share @ (self.features - mean) ** 2) + 1e-3
        x = (self.features - mean) / deviation
        covariance = (
            (x * share[:, None]).T @ x + RIDGE * np.eye(x.shape[1]) + SOURCES * self._between_sources(x)
        )
        weights = solve(covariance, x.T @ (share * (labels - share @ labels)), assume_a="pos") / deviation
        return weights, float(-mean @ weights)

    def _between_sources(self, x: Scores) -> Scores:
        """Scatter [D D] of the sources' means around the mean of photographs; a source counts by its square root."""
        photo = self.kind == "photo"
        mean = self.share[photo] @ x[photo] / self.share[photo].sum()
        sizes = {source: (photo & (self.group == source)).sum() for source in np.unique(self.group[photo])}
        sources = [source for source, size in sizes.items() if size >= FEWEST]
        counts = np.sqrt([sizes[source] for source in sources])
        around = np.stack([x[photo & (self.group == source)].mean(axis=0) - mean for source in sources])
        scatter: Scores = (around * (counts / counts.sum())[:, None]).T @ around
        return scatter


def left_out(work: Path, runs: list[str], output: Path) -> None:
    """What the layer is worth on each family that it has not seen, alone and beside a run that left it out too."""
    evaluation, kept = Evaluation(work), Training(work)
    features = np.load(work / CHANNEL / "evaluation.npy")
    trained = {family: scores for run in runs for family, scores in scores_of(work, run, len(features))}
    command = f"python benchmarks/campaign/textures.py left-out --work WORK {' '.join(f'--run {run}' for run in runs)}"
    lines = []
    for family in FAMILIES:
        weights, bias = kept.fit(family)
        for delivery in ("lottery", "as-is"):
            here = evaluation.column("delivery") == delivery
            numbers = np.flatnonzero(here & ~np.isnan(trained[family]))
            lines += of_delivery(
                evaluation, numbers, family, features[numbers] @ weights + bias, trained[family][numbers]
            )
    weights, bias = kept.fit()
    lines += of_tracks(evaluation, features @ weights + bias)
    with output.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [*lines[0], "command"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(line | {"command": command} for line in lines)


def of_delivery(
    evaluation: Evaluation, numbers: NDArray[np.int64], family: str, textures: Scores, trained: Scores
) -> Iterator[dict[str, object]]:
    """A line of each rule, on some numbers of the evaluation set of one delivery."""
    entries = [evaluation.entries[number] for number in numbers]
    kinds = np.array([kind_of(entry) for entry in entries])
    overlap = evaluation.overlap[[int(entry["row"]) for entry in entries]]
    photo, fakes = kinds == "held-out", np.array([entry["family"] == family for entry in entries])
    one, other = standardised(trained, photo), standardised(textures, photo)
    sums = {f"generators + {weight:g} {CHANNEL}": one + weight * other for weight in WEIGHTS}
    for rule, scores in {"generators": one, CHANNEL: other, **sums}.items():
        told = {"delivery": entries[0]["delivery"], "rule": rule, "family": family}
        yield told | worth(scores, fakes, kinds, overlap)


def of_tracks(evaluation: Evaluation, scores: Scores) -> Iterator[dict[str, object]]:
    """A line of each development track, as it comes: every family has been seen."""
    column = {name: evaluation.column(name) for name in ("delivery", "set", "track", "label")}
    here = column["delivery"] == "as-is"
    usual = here & (column["label"] == "photo") & np.isin(column["set"].astype(str), USUAL)
    threshold = np.quantile(scores[usual], 0.95)
    for track in ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256"):
        of = here & (column["set"] == "dev") & (column["track"] == track)
        fakes, photos = of & (column["label"] == "generated"), of & (column["label"] == "photo")
        yield {
            "delivery": "as-is",
            "rule": CHANNEL,
            "family": track,
            "fakes": int(fakes.sum()),
            "photos": int(photos.sum()),
            "auc": auc(scores, fakes, photos),
            "flagged_at_5": share(scores[fakes] > threshold),
            "ffhq_flagged_at_5": share(scores[photos] > threshold),
        }


def scores_of(work: Path, run: str, count: int) -> Iterator[tuple[str, Scores]]:
    """The scores [count] of a run, once for each family that it left out; nan where it was not scored."""
    folder = work / "runs" / run
    scores = np.full(count, np.nan)
    with np.load(folder / "scores.npz") as held:
        scores[held["numbers"]] = held["scores"][:, 0]
    for family in json.loads((folder / "options.json").read_text())["leave_out"]:
        yield family, scores


def main() -> None:
    """Draw, or measure."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("draw", "left-out"))
    parser.add_argument("--imagenet", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("--output", "-o", type=Path)
    options = parser.parse_args()
    tasks: dict[str, Callable[[], None]] = {
        "draw": lambda: draw(options.work, options.imagenet),
        "left-out": lambda: left_out(options.work, options.run, options.output),
    }
    torch.set_num_threads(1)
    tasks[options.task]()


if __name__ == "__main__":
    main()
