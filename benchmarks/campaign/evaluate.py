"""What scores are worth on a fixed set of delivered pictures: AUC by family and track, false alarms by source.

    python benchmarks/campaign/evaluate.py build --work WORK
    python benchmarks/campaign/evaluate.py score --work WORK --run NAME     # runs/NAME/summary.json

Kinds of item: `lottery` (photographs of validation's sources and fakes, two random deliveries each), `as-is` (those,
the development tracks, further photographs), `jpeg75`, `half`, `webp80` (the tracks and validation's photographs).
`dev` is only reported: nothing may be chosen by it.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from cache import Cache, Pixels, Row
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import nn

from cameraborn.binary.patches import face_square
from cameraborn.degrade.history import Histories, antialiased, random_history
from cameraborn.degrade.named import degrade
from cameraborn.degrade.sharpness import sharpness
from cameraborn.photo.crops import square_crop

DEGRADATIONS = {"jpeg75": "jpeg:75", "half": "resize:0.5:bicubic", "webp80": "webp:80"}
AT_MOST = 60  # fakes of one generator
FAMILIES = ("gan", "sd12", "sd3flux", "gpt", "score")
USUAL = ("camera", "camera2", "faces2", "portraits")  # sets of photographs of which a part is held out
Scores = NDArray[np.float64]


LARGEST = 512  # px, of pictures as they are kept
LOTTERY = Histories(strength=0.6, native=1.0, light=0.5)  # what training draws
Looks = tuple[
    tuple[int, int, int], ...
]  # scales that a face is looked at: largest side, patches' side, patches at most


def laid(pixels: Pixels, box: list[float], largest: int = LARGEST) -> Pixels:
    """As the detector lays a face before the network: 1.3 times its box, shrunk to `largest`, never enlarged."""
    return shrunk(square_crop(pixels, box, 1.3), largest)


def shrunk(square: Pixels, largest: int) -> Pixels:
    """A square of at most so many pixels."""
    return antialiased(square, largest) if square.shape[0] > largest else square


def items(cache: Cache, held_out: Set[int]) -> Iterator[tuple[str, int, Pixels]]:
    """Kind, row, picture."""
    of_generator: dict[str, int] = defaultdict(int)
    for number, row in enumerate(cache.rows):
        if row["box"] is None:
            continue
        pixels = cache.pixels(number)
        validation = row["label"] == "photo" and row["set"] in USUAL
        validation = validation and (number in held_out or not row["trains"])
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
                picture = random_history(face_square(pixels, row["box"], rng), rng, LOTTERY)
                yield "lottery", number, shrunk(picture, LARGEST)
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
        held_out = frozenset(json.loads((work / "held_out.json").read_text()))
        for kind, number, picture in items(cache, held_out):
            row = cache.rows[number]
            keep = (
                "label",
                "set",
                "kind",
                "style",
                "group",
                "generator",
                "family",
                "track",
                "trains",
                "path",
            )
            entry = {key: row[key] for key in keep} | {"delivery": kind, "row": number, "at": out.tell()}
            index.write(
                json.dumps(entry | {"side": picture.shape[0], "sharpness": math.log1p(sharpness(picture))})
                + "\n"
            )
            out.write(np.ascontiguousarray(picture).tobytes())


class Evaluation:
    """The set, read."""

    def __init__(self, work: Path) -> None:
        folder = work / "evaluation"
        self.entries: list[Row] = [
            json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()
        ]
        self.flat = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
        self.overlap = np.load(work / "propensity.npy")[1]

    def pixels(self, number: int) -> Pixels:
        """Picture [H H 3]."""
        entry = self.entries[number]
        side = entry["side"]
        return np.asarray(self.flat[entry["at"] : entry["at"] + side * side * 3]).reshape(side, side, 3)

    def column(self, name: str) -> NDArray[np.object_]:
        """One entry of every row."""
        return np.array([entry[name] for entry in self.entries], dtype=object)


def patches_of(x: Pixels, side: int, most: int) -> Pixels:
    """The fewest square patches that cover a picture, `most` (a square number) at most: [n side side 3]."""
    if x.shape[0] < side:
        x = cv2.resize(x, (side, side), interpolation=cv2.INTER_LINEAR)
    count = min(-(-x.shape[0] // side), math.isqrt(most))
    places = (
        [int(p) for p in np.linspace(0, x.shape[0] - side, count).round()]
        if count > 1
        else [(x.shape[0] - side) // 2]
    )
    return np.stack([x[a : a + side, b : b + side] for a in places for b in places])


def session(net: nn.Module, file: Path) -> onnxruntime.InferenceSession:
    """The network in ONNX Runtime on one thread: twice as fast as in torch."""
    example = torch.rand(2, 3, 224, 224) * 255
    axes = {"pixels": {0: "N", 2: "H", 3: "W"}, "logit": {0: "N"}}
    names = {"input_names": ["pixels"], "output_names": ["logit"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (example,), str(file), **names, dynamic_axes=axes, opset_version=17, dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def scored(
    run: onnxruntime.InferenceSession,
    pictures: Callable[[int], Pixels],
    numbers: list[int],
    looks: Looks,
    mirror: bool,
) -> Scores:
    """Mean logit of the patches of each picture at each scale, [N scales]."""
    result = np.zeros((len(numbers), len(looks)))
    for place, number in enumerate(numbers):
        picture = pictures(number)
        for column, (largest, side, most) in enumerate(looks):
            patches = patches_of(shrunk(picture, largest), side, most)
            if mirror:
                patches = np.concatenate([patches, patches[:, :, ::-1]])
            batch = np.ascontiguousarray(patches.transpose(0, 3, 1, 2), dtype=np.float32)
            result[place, column] = run.run(None, {"pixels": batch})[0].mean()
    return result


def summary(evaluation: Evaluation, numbers: list[int], scores: Scores, left_out: list[str]) -> Row:
    """Figures of one set of scores [len(numbers)]; `balanced`: who is shown does not count (propensity.py)."""
    overlap = evaluation.overlap[evaluation.column("row")[numbers].astype(int)]
    column = {
        k: evaluation.column(k)[numbers]
        for k in (
            "delivery",
            "set",
            "label",
            "family",
            "track",
            "style",
            "group",
            "trains",
            "sharpness",
            "kind",
            "side",
        )
    }
    usual = np.isin(column["set"].astype(str), USUAL)
    result: Row = {}

    def auc(fakes: NDArray[np.bool_], photographs: NDArray[np.bool_]) -> float:
        both = fakes | photographs
        return (
            round(float(roc_auc_score(fakes[both], scores[both])), 3)
            if fakes.any() and photographs.any()
            else float("nan")
        )

    for delivery in ("lottery", "as-is"):
        of = column["delivery"] == delivery
        photographs = of & usual
        if not photographs.any():
            continue
        threshold = np.quantile(scores[photographs], 0.95)
        for family in FAMILIES:
            if not (of & (column["family"] == family)).any():
                continue
            fakes = of & (column["family"] == family)
            seen = "" if family in left_out else "seen_"
            result[f"{delivery}_{seen}{family}"] = auc(fakes, photographs)
            both = (fakes | photographs) & (overlap > 0)
            result[f"{delivery}_{seen}{family}_balanced"] = round(
                float(roc_auc_score(fakes[both], scores[both], sample_weight=overlap[both])), 3
            )
            result[f"{delivery}_{seen}{family}_flagged"] = round(float((scores[fakes] > threshold).mean()), 3)
        key = scores[photographs], column["sharpness"][photographs].astype(float)
        result[f"{delivery}_corr_sharpness"] = round(float(np.corrcoef(*key)[0, 1]), 3)
    unseen = [result[key] for family in left_out if (key := f"lottery_{family}") in result]
    result["lofo"] = round(float(np.mean(unseen)), 3) if unseen else float("nan")
    for delivery in ("as-is", *DEGRADATIONS):
        of = column["delivery"] == delivery
        if not (of & usual).any() or not (of & (column["set"] == "dev")).any():
            continue
        threshold = np.quantile(scores[of & usual], 0.95)
        large = np.quantile(scores[of & usual & (column["side"].astype(int) >= 256)], 0.95)
        for track in ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256"):
            here = of & (column["track"] == track) & (column["set"] == "dev")
            fakes, photographs = here & (column["label"] == "generated"), here & (column["label"] == "photo")
            result[f"dev_{delivery}_{track}"] = auc(fakes, photographs)
            result[f"dev_{delivery}_{track}_flagged"] = round(float((scores[fakes] > threshold).mean()), 3)
            result[f"dev_{delivery}_{track}_flagged_large"] = round(float((scores[fakes] > large).mean()), 3)
            result[f"dev_{delivery}_{track}_alarms_large"] = round(
                float((scores[photographs] > large).mean()), 3
            )
            result[f"dev_{delivery}_{track}_alarms"] = round(
                float((scores[photographs] > threshold).mean()), 3
            )
        if delivery == "as-is" and (of & (column["set"] == "sources")).any():
            for name in ("sources", "avatars", "genuine"):
                for style in sorted({str(s) for s in column["style"][of & (column["set"] == name)]}):
                    at = of & (column["set"] == name) & (column["style"].astype(str) == style)
                    if name == "genuine":
                        at &= column["kind"] == "human-yes"
                    result[f"alarms_{name}_{style}({at.sum()})"] = round(
                        float((scores[at] > threshold).mean()), 3
                    )
            for name in USUAL:
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
    parser.add_argument(
        "--look", type=int, nargs=3, action="append", help="largest side, patches' side, patches at most"
    )
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument(
        "--lofo", action="store_true", help="only what is left out and validation's photographs"
    )
    parser.add_argument(
        "--dev", action="store_true", help="only pictures as they are, no fakes but the tracks'"
    )
    parser.add_argument(
        "--robust", action="store_true", help="as they are and degraded, no fakes but the tracks'"
    )
    parser.add_argument("--quick", action="store_true", help="no degradations, no fakes that were seen")
    options = parser.parse_args()
    if options.task == "build":
        build(options.work)
        return
    torch.set_num_threads(1)
    evaluation = Evaluation(options.work)
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    net = built(argparse.Namespace(**{"residual": False} | made | {"imagenet": None}))
    net.load_state_dict(load_file(folder / "average.safetensors"))
    run = session(net, folder / "average.onnx")
    numbers = [
        n
        for n, e in enumerate(evaluation.entries)
        if not (options.robust and (e["delivery"] == "lottery" or e["set"] == "fakes"))
        and not (options.dev and (e["delivery"] != "as-is" or e["set"] == "fakes"))
        and not (options.lofo and e["set"] in ("dev", "sources", "avatars", "genuine"))
        and (
            not options.quick
            or (e["delivery"] not in DEGRADATIONS and e["family"] in (None, *made["leave_out"]))
        )
    ]
    looks = tuple(map(tuple, options.look or [(256, 128, 4)]))
    scores = scored(run, evaluation.pixels, numbers, looks, options.mirror)
    np.savez(folder / "scores.npz", numbers=numbers, scores=scores, looks=np.array(looks))
    columns = {f"{a}/{b}x{c}": scores[:, k] for k, (a, b, c) in enumerate(looks)}
    if len(looks) > 1:
        columns["mean"] = scores.mean(axis=1)
    results = {
        name: summary(evaluation, numbers, column, made["leave_out"]) for name, column in columns.items()
    }
    (folder / "summary.json").write_text(json.dumps(results, indent=1))
    for name, result in results.items():
        print(name, short(result))


def short(result: Row) -> str:
    """A summary's main figures."""
    unseen = {
        k: v for k, v in result.items() if k.startswith(("lottery_", "as-is_")) and not k.endswith("flagged")
    }
    dev = {k[4:]: v for k, v in result.items() if k.startswith("dev_")}
    alarms = {k[7:]: v for k, v in result.items() if k.startswith("alarms_")}
    return "\n  ".join(json.dumps(part).replace('"', "") for part in (unseen, dev, alarms))


if __name__ == "__main__":
    main()
