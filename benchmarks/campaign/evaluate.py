"""What a network's scores are worth: a fixed set of delivered pictures, AUC by family and track, false alarms by source.

    python benchmarks/campaign/evaluate.py build --work WORK
    python benchmarks/campaign/evaluate.py score --work WORK --run NAME     # writes runs/NAME/scores.csv, prints a summary

Kinds of item: `lottery` (photographs of validation's sources and fakes, two random deliveries each), `as-is` (those,
the development tracks, further photographs), `jpeg75`, `half`, `webp80` (the tracks and validation's photographs).
`dev` is only reported: nothing may be chosen by it.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from cache import Cache, Pixels, Row
from lottery import SIDE, antialiased, deliver, face_square, sharpness
from numpy.typing import NDArray
from safetensors.torch import load_file
from sampling import validation_group
from sklearn.metrics import roc_auc_score
from torch import nn

from cameraborn.photo.degrade import degrade

DEGRADATIONS = {"jpeg75": "jpeg:75", "half": "resize:0.5:bicubic", "webp80": "webp:80"}
AT_MOST = 60  # fakes of one generator
FAMILIES = ("gan", "sd12", "sd3flux", "gpt", "score")
Scores = NDArray[np.float64]


def laid(pixels: Pixels, box: list[float] | None) -> Pixels:
    """As the detector lays a face before the network: 1.3 times its box, shrunk to `SIDE`, never enlarged."""
    square = face_square(pixels, box, None)
    return antialiased(square, SIDE) if square.shape[0] > SIDE else square


def items(cache: Cache) -> Iterator[tuple[str, int, Pixels]]:
    """Kind, row, picture."""
    of_generator: dict[str, int] = defaultdict(int)
    for number, row in enumerate(cache.rows):
        if row["box"] is None:
            continue
        pixels = cache.pixels(number)
        validation = row["label"] == "photo" and row["set"] in ("camera", "camera2", "faces2", "portraits")
        validation = validation and (validation_group(row["group"]) or not row["trains"])
        if row["set"] == "fakes":
            of_generator[row["generator"]] += 1
            if of_generator[row["generator"]] > AT_MOST:
                continue
        elif row["label"] == "photo" and row["trains"] and not validation:
            continue
        yield "as-is", number, laid(pixels, row["box"])
        if validation or row["set"] == "fakes":
            for draw in range(2):
                rng = np.random.default_rng([5, number, draw])
                yield "lottery", number, deliver(face_square(pixels, row["box"], rng), rng)
        if validation or row["set"] == "dev":
            for kind, name in DEGRADATIONS.items():
                handled = degrade(pixels, name)
                factor = handled.shape[0] / pixels.shape[0]
                yield kind, number, laid(handled, [edge * factor for edge in row["box"]])


def build(work: Path) -> None:
    """Write the set."""
    folder = work / "evaluation"
    folder.mkdir(exist_ok=True)
    cache = Cache(work / "cache")
    with (folder / "pixels.bin").open("wb") as out, (folder / "index.jsonl").open("w") as index:
        for kind, number, picture in items(cache):
            row = cache.rows[number]
            keep = ("label", "set", "kind", "style", "group", "generator", "family", "track", "trains", "path")
            entry = {key: row[key] for key in keep} | {"delivery": kind, "row": number, "at": out.tell()}
            index.write(json.dumps(entry | {"side": picture.shape[0], "sharpness": sharpness(picture)}) + "\n")
            out.write(np.ascontiguousarray(picture).tobytes())


class Evaluation:
    """The set, read."""

    def __init__(self, work: Path) -> None:
        folder = work / "evaluation"
        self.entries: list[Row] = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
        self.flat = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")

    def pixels(self, number: int) -> Pixels:
        """Picture [H H 3]."""
        entry = self.entries[number]
        side = entry["side"]
        return np.asarray(self.flat[entry["at"] : entry["at"] + side * side * 3]).reshape(side, side, 3)

    def column(self, name: str) -> NDArray[np.object_]:
        """One entry of every row."""
        return np.array([entry[name] for entry in self.entries], dtype=object)


def starts(length: int, side: int) -> list[int]:
    """Where the fewest patches that cover a length begin."""
    count = -(-length // side)
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def session(net: nn.Module, file: Path) -> onnxruntime.InferenceSession:
    """The network in ONNX Runtime on one thread: twice as fast as in torch."""
    example = torch.rand(2, 3, 224, 224) * 255
    axes = {"pixels": {0: "N", 2: "H", 3: "W"}, "logit": {0: "N"}}
    names = {"input_names": ["pixels"], "output_names": ["logit"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (example,), str(file), **names, dynamic_axes=axes, opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def scored(
    run: onnxruntime.InferenceSession, pictures: Callable[[int], Pixels], numbers: list[int], side: int, mirror: bool
) -> Scores:
    """Mean logit of the patches of each picture; `side` 0: of the whole picture at once."""
    result = []
    for number in numbers:
        x = pictures(number)
        if x.shape[0] < max(side, 64):
            x = cv2.resize(x, (max(side, 64),) * 2, interpolation=cv2.INTER_LINEAR)
        if side:
            places = starts(x.shape[0], side)
            patches = np.stack([x[a : a + side, b : b + side] for a in places for b in places])
        else:
            patches = x[None]
        if mirror:
            patches = np.concatenate([patches, patches[:, :, ::-1]])
        batch = np.ascontiguousarray(patches.transpose(0, 3, 1, 2), dtype=np.float32)
        result.append(float(run.run(None, {"pixels": batch})[0].mean()))
    return np.array(result)


def summary(evaluation: Evaluation, numbers: list[int], scores: Scores, left_out: list[str]) -> Row:
    """Figures of one set of scores [len(numbers)]."""
    column = {k: evaluation.column(k)[numbers] for k in ("delivery", "set", "label", "family", "track", "style", "group", "trains", "sharpness", "kind")}
    usual = np.isin(column["set"].astype(str), ("camera", "camera2", "faces2", "portraits"))
    result: Row = {}

    def auc(fakes: NDArray[np.bool_], photographs: NDArray[np.bool_]) -> float:
        both = fakes | photographs
        return round(float(roc_auc_score(fakes[both], scores[both])), 3) if fakes.any() and photographs.any() else float("nan")

    for delivery in ("lottery", "as-is"):
        of = column["delivery"] == delivery
        photographs = of & usual
        threshold = np.quantile(scores[photographs], 0.95)
        for family in FAMILIES:
            fakes = of & (column["family"] == family)
            seen = "" if family in left_out else "seen_"
            result[f"{delivery}_{seen}{family}"] = auc(fakes, photographs)
            result[f"{delivery}_{seen}{family}_flagged"] = round(float((scores[fakes] > threshold).mean()), 3)
        key = scores[photographs], column["sharpness"][photographs].astype(float)
        result[f"{delivery}_corr_sharpness"] = round(float(np.corrcoef(*key)[0, 1]), 3)
    unseen = [result[f"lottery_{family}"] for family in left_out]
    result["lofo"] = round(float(np.mean(unseen)), 3) if unseen else float("nan")
    for delivery in ("as-is", *DEGRADATIONS):
        of = column["delivery"] == delivery
        if not (of & usual).any() or not (of & (column["set"] == "dev")).any():
            continue
        threshold = np.quantile(scores[of & usual], 0.95)
        for track in ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256"):
            here = of & (column["track"] == track) & (column["set"] == "dev")
            fakes, photographs = here & (column["label"] == "generated"), here & (column["label"] == "photo")
            result[f"dev_{delivery}_{track}"] = auc(fakes, photographs)
            result[f"dev_{delivery}_{track}_flagged"] = round(float((scores[fakes] > threshold).mean()), 3)
            result[f"dev_{delivery}_{track}_alarms"] = round(float((scores[photographs] > threshold).mean()), 3)
        if delivery == "as-is":
            for name in ("sources", "avatars", "genuine"):
                for style in sorted({str(s) for s in column["style"][of & (column["set"] == name)]}):
                    at = of & (column["set"] == name) & (column["style"].astype(str) == style)
                    if name == "genuine":
                        at &= column["kind"] == "human-yes"
                    result[f"alarms_{name}_{style}({at.sum()})"] = round(float((scores[at] > threshold).mean()), 3)
            for name in ("camera", "camera2", "faces2", "portraits"):
                at = of & (column["set"] == name)
                result[f"alarms_{name}({at.sum()})"] = round(float((scores[at] > threshold).mean()), 3)
    return result


def main() -> None:
    """Build, or score."""
    from train import built

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("build", "score"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--quick", action="store_true", help="no degradations")
    options = parser.parse_args()
    if options.task == "build":
        build(options.work)
        return
    torch.set_num_threads(1)
    evaluation = Evaluation(options.work)
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    net = built(argparse.Namespace(**made | {"imagenet": None}))
    net.load_state_dict(load_file(folder / "average.safetensors"))
    run = session(net, folder / "average.onnx")
    numbers = [n for n, e in enumerate(evaluation.entries) if not options.quick or e["delivery"] not in DEGRADATIONS]
    scores = scored(run, evaluation.pixels, numbers, options.side, options.mirror)
    with (folder / f"scores_{options.side}.csv").open("w", newline="") as out:
        csv.writer(out).writerows([("number", "score"), *zip(numbers, scores.round(4).tolist(), strict=True)])
    result = summary(evaluation, numbers, scores, made["leave_out"])
    (folder / f"summary_{options.side}.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=None))


if __name__ == "__main__":
    main()
