"""Our input pipeline, loss and training loop against a literal version of AIGFD-EXIF's, as ratios in one run.

    python benchmarks/input_pipeline.py

Some minutes on a machine that does nothing else; on a CPU --batch 16 --steps 4 is enough. What is measured:

- input: a 128-pixel PNG (what FDF has) and a 1600-pixel JPEG (what a camera folder has) to a normalised 224-pixel
  face, in one process. Reference: decode, crop in Python, a float tensor, resize it, normalise it, picture by picture
  (as the code of arXiv 2501.02207, without its conversions to and from BGR). Ours: the same crop and the same resizing
  to bytes, normalised a batch at a time; and again with the pictures in memory. The faces must be equal to half a grey
  level, which is what rounding to bytes costs.
- where our time goes: decoding, crop, resizing, the manipulations and their resampling, each by itself.
- loss: four rankings and their gradient by whole matrices of pairs, against ours in blocks; values must agree to 1e-5.
- the loop: seconds a step of `cameraborn train` on 128-pixel PNGs, against the network alone on a batch that is already
  there. Expected on an accelerator, with as many workers as cores: at most 1.1.
"""

import argparse
import csv
import io
import math
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from cameraborn.networks.resnet import NORMALISATIONS
from cameraborn.photo.crops import face_window
from cameraborn.photo.decode import open_picture
from cameraborn.photo.manifest import Row, sha256_of, write_manifest
from cameraborn.photo.patches import square_resize
from cameraborn.pretext.architectures import build_network
from cameraborn.pretext.face_dataset import FaceDataset
from cameraborn.pretext.losses import pairwise_fidelity
from cameraborn.pretext.manipulate import PAPER_KINDS, ManipulationOptions, manipulate, round_trip
from cameraborn.pretext.optimise import average, make_optimiser
from cameraborn.pretext.recipe import FaceSection, Recipe
from cameraborn.pretext.tasks import TASKS
from cameraborn.pretext.train import Progress, task_losses, train

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "input_pipeline.csv"
AUTHORS = FaceSection(crop="authors", antialias=False)
RANKED = ["iso", "fnumber", "exposure", "focal"]
MEAN, DEVIATION = (torch.tensor(numbers)[:, None, None] for numbers in NORMALISATIONS["clip"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=128, help="pictures for the input")
    parser.add_argument("--pairs", type=int, default=1024, help="pictures in the batch of the loss")
    parser.add_argument("--batch", type=int, default=256, help="pictures in a step of the loop")
    parser.add_argument("--steps", type=int, default=20, help="steps of the loop that are timed")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--layers", type=int, nargs=4, default=[3, 4, 6, 3], help="blocks of each stage")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        for name, side in (("png-128", 128), ("jpeg-1600", 1600)):
            rows = make_pictures(Path(folder) / name, options.pictures, side)
            measure_input(table, name, rows)
        measure_loss(table, options.pairs)
        measure_loop(table, Path(folder), options)
    table.write(options.output)


class Table:
    """Rows of the CSV, shown as they come."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def add(self, measure: str, value: float, unit: str) -> None:
        self.rows.append([measure, f"{value:.4g}", unit])
        print(f"{measure}: {value:.4g} {unit}", flush=True)

    def write(self, path: Path) -> None:
        command = shlex.join(["python", "benchmarks/input_pipeline.py", *sys.argv[1:]])
        accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
        machine = f"{os.cpu_count()} cores{accelerator}, {platform.system()}, torch {torch.__version__}"
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["measure", "value", "unit", "command", "machine"])
            out.writerows([*row, command, machine] for row in self.rows)


def make_pictures(folder: Path, count: int, side: int) -> list[Row]:
    """The example portraits at that size, with noise so that decoding costs what a photograph's does."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        with Image.open(ROOT / "examples" / f"photo-{number % 5 + 1}.jpg") as opened:
            pixels = np.asarray(opened.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
        noisy = (pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number:04}.{'png' if side < 500 else 'jpg'}"
        Image.fromarray(noisy).save(path, quality=92)
        box = tuple(side * edge for edge in (0.3, 0.25, 0.7, 0.75))
        tags = dict.fromkeys([TASKS[name].tag for name in RANKED], float(rng.integers(1, 40)))
        split = "val" if number % 8 == 7 else "train"
        rows.append(
            Row(path=str(path), sha256=sha256_of(path), split=split, group=str(number), box=box, exif=tags)
        )
    return rows


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The median of some runs, after one that is not counted."""
    work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def literal_face(row: Row) -> torch.Tensor:
    """One picture in the authors' way: everything in floats, by itself."""
    data = Path(row.path).read_bytes()
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    x0, y0, x1, y1 = face_window(*pixels.shape[1::-1], row.box, 1.3, "authors")
    tensor = torch.from_numpy(pixels[y0:y1, x0:x1].transpose(2, 0, 1).copy()).float() / 255
    return (F.interpolate(tensor[None], (224, 224), mode="bilinear")[0] - MEAN) / DEVIATION


def measure_input(table: Table, name: str, rows: list[Row]) -> None:
    tasks = [TASKS[task] for task in RANKED]

    def ours(dataset: FaceDataset) -> torch.Tensor:
        batch = torch.stack([dataset[0, index][0] for index in range(len(rows))])
        return (batch.float() / 255 - MEAN) / DEVIATION

    plain = FaceDataset(rows, tasks, faces=AUTHORS, seed=0, cache_mb=0)
    kept = FaceDataset(rows, tasks, faces=AUTHORS, seed=0, cache_mb=4096)
    literal = torch.stack([literal_face(row) for row in rows])
    apart = float(((ours(plain) - literal) * DEVIATION * 255).abs().max())
    assert apart < 0.51, f"the faces differ by {apart} grey levels"
    times = {
        "reference": seconds(lambda: torch.stack([literal_face(row) for row in rows])),
        "ours": seconds(lambda: ours(plain)),
        "ours, pictures in memory": seconds(lambda: ours(kept)),
    }
    for what, taken in times.items():
        table.add(f"input, {name}: {what}", 1000 * taken / len(rows), "ms a picture")
    table.add(f"input, {name}: ours / reference", times["ours"] / times["reference"], "ratio")
    in_memory = times["ours, pictures in memory"] / times["reference"]
    table.add(f"input, {name}: ours, pictures in memory / reference", in_memory, "ratio")
    table.add(f"input, {name}: largest difference", apart, "grey levels")

    pixels = open_picture(Path(rows[0].path)).pixels
    window = face_window(*pixels.shape[1::-1], rows[0].box, 1.3, "square")
    crop = pixels[window[1] : window[3], window[0] : window[2]].copy()
    taught = FaceDataset(rows[:1], [TASKS["face"]], faces=FaceSection(), seed=0, cache_mb=64)
    _, landmarks = taught.crops[0]
    rng, options = np.random.default_rng(0), ManipulationOptions(match_resampling=True)
    stages: dict[str, Callable[[], object]] = {
        "decoding": lambda: open_picture(Path(rows[0].path)),
        "resizing without antialiasing": lambda: square_resize(crop, 224, antialias=False),
        "resizing with antialiasing": lambda: square_resize(crop, 224, antialias=True),
        "resampling of originals": lambda: round_trip(crop),
        "finding landmarks, once a picture": lambda: FaceDataset(
            rows[:1], [TASKS["face"]], faces=FaceSection(), seed=0, cache_mb=0
        ).crops[0],
    }
    stages |= {
        f"manipulation {kind}": lambda kind=kind: manipulate(crop, landmarks, kind, rng, options)
        for kind in PAPER_KINDS
    }
    for stage, work in stages.items():
        table.add(f"input, {name}: {stage}", 1000 * seconds(work, 9), "ms a picture")


def literal_ranking(scores: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
    """Whole matrices of pairs, of which the upper triangle is taken."""
    truth = (torch.sign(tags[:, None] - tags[None, :]) + 1) / 2
    p = (1 + torch.erf((scores[:, None] - scores[None, :]) / 2)) / 2
    loss = 1 - torch.sqrt(p * truth + 1e-8) - torch.sqrt((1 - p) * (1 - truth) + 1e-8)
    return loss[torch.triu(torch.ones_like(loss, dtype=torch.bool), diagonal=1)].mean()


def measure_loss(table: Table, pictures: int) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, pictures, generator=generator).to(device).requires_grad_()
    tags = torch.randint(1, 30, (4, pictures), generator=generator).double().to(device)

    def total(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        scores.grad = None
        summed = torch.stack([loss(s, t) for s, t in zip(scores, tags, strict=True)]).sum()
        summed.backward()
        return summed.detach()

    def ours(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return pairwise_fidelity(s, t, link_scale=1 / math.sqrt(2))

    def literal(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return literal_ranking(s, t.float())

    torch.testing.assert_close(total(ours), total(literal), atol=1e-5, rtol=0)
    times = {"reference": seconds(lambda: total(literal), 7), "ours": seconds(lambda: total(ours), 7)}
    for what, taken in times.items():
        table.add(f"loss of {pictures} pictures: {what}", 1000 * taken, "ms a step")
    table.add(f"loss of {pictures} pictures: ours / reference", times["ours"] / times["reference"], "ratio")


def measure_loop(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """The loop's median step against the network's own on one batch: forward, losses, backward, step, average."""
    warm = 4
    rows = make_pictures(folder / "loop", max(options.batch * 8 // 7 + 8, 64), 128)
    varied = [
        row.model_copy(update={"exif": dict.fromkeys(row.exif, 1.0 + number % 9)})
        for number, row in enumerate(rows)
    ]
    write_manifest(varied, folder / "loop.jsonl")
    steps = options.steps + warm
    recipe = Recipe.model_validate(
        {
            "data": {"manifest": folder / "loop.jsonl", "val_limit": 2},
            "network": {"type": "resnet50", "layers": options.layers},
            "faces": {},
            "pretext": {"tasks": dict.fromkeys([*RANKED, "face"], 1.0)},
            "optimise": {
                "steps": steps,
                "pictures": options.batch,
                "precision": options.precision,
                "compile": options.compile,
                "deterministic": False,
                "threads": torch.get_num_threads(),
                "workers": options.workers,
            },
            "log": {"log_every": steps, "validate_every": steps, "checkpoint_every": steps},
        }
    )
    moments: list[float] = []

    def report(progress: Progress) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        moments.append(time.perf_counter())

    train(recipe, folder / "run", report)
    # The last step also validates and writes.
    loop = (moments[-2] - moments[warm - 1]) / (options.steps - 1)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_network(recipe).to(device, memory_format=torch.channels_last)
    forward = torch.compile(network) if options.compile else network
    averaged, optimiser = build_network(recipe).to(device), make_optimiser(network, recipe.optimise)
    pixels = torch.randint(0, 256, (options.batch, 3, 224, 224), device=device).float()
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    targets = torch.rand(options.batch, 5, device=device).double()
    targets[:, 4] = targets[:, 4].round()
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(options.precision)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, half, enabled=half is not None):
            outputs = forward(pixels)
        torch.stack(list(task_losses(outputs, targets, tasks, recipe.pretext).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average(averaged, network, 0.9)

    alone = seconds(step, options.steps)
    table.add(f"loop, batch {options.batch}, {options.workers} workers: a step", loop, "s")
    table.add(f"loop, batch {options.batch}: the network alone", alone, "s")
    table.add(f"loop, batch {options.batch}: loop / network alone", loop / alone, "ratio")
    table.add(f"loop, batch {options.batch}: pictures a second", options.batch / loop, "1/s")


if __name__ == "__main__":
    main()
