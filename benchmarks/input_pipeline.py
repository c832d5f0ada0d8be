"""Our input pipeline, loss and training loop against a literal version of AIGFD-EXIF's, as ratios in one run.

    python benchmarks/input_pipeline.py

Some minutes on a machine that does nothing else; on a CPU --batch 16 --workers 1 is enough. What is measured:

- input: a 128-pixel PNG (what FDF has) and a 1600-pixel JPEG (what a camera folder has) to a normalised 224-pixel
  face, on one thread, as in a worker. Reference: decode, crop in Python, a float tensor, resize it, normalise it,
  picture by picture (as the code of arXiv 2501.02207, without its conversions to and from BGR). Ours: the same crop and
  the same resizing to bytes, normalised a batch at a time; and again with the pictures in memory. Neither manipulates
  or resamples. The faces must be equal to half a grey level, which is what rounding to bytes costs. The three take
  turns, so that the ratios hold on a machine that changes its pace.
- what aigfd_faces asks for besides (manipulations, resampling of originals, antialiasing), landmarks known: the
  reference does nothing of the kind while it trains.
- where our time goes: each stage by itself; manipulations on the crops that both recipes make of the picture.
- loss: four rankings and their gradient by whole matrices of pairs, against ours in blocks; values must agree to 1e-5.
- the loop: seconds a step of `cameraborn train` on 128-pixel PNGs, with workers and with ready-made input, against the
  network alone on a batch that is already there: forward, losses, backward, clipping, step, average. How long the loop
  waits for data is said apart. Expected on an accelerator, with as many workers as cores: at most 1.1. On a CPU the
  workers take their time from the network.
"""

import argparse
import copy
import io
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from common import processor, write_table
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import Dataset

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.networks.resnet import NORMALISATIONS
from cameraborn.photo.crops import face_window
from cameraborn.photo.decode import open_upright
from cameraborn.photo.patches import square_resize
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.face_dataset import FaceDataset
from cameraborn.pretext.losses import pairwise_fidelity
from cameraborn.pretext.objective import task_losses
from cameraborn.pretext.recipe import FaceSection, Recipe
from cameraborn.pretext.tasks import TASKS
from cameraborn.pretext.train import train
from cameraborn.pseudo.manipulate import PAPER_KINDS, interpolated, manipulate, round_trip
from cameraborn.train.loop import Progress
from cameraborn.train.optimise import PRECISIONS, average, make_optimiser
from cameraborn.train.pictures import MemoryBudget

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "input_pipeline.csv"
AUTHORS = FaceSection(crop="authors", antialias=False)
OURS = FaceSection(eyes="both")  # as aigfd_faces, but for mirroring and conditions
RANKED = ["iso", "fnumber", "exposure", "focal"]
MEAN, DEVIATION = (torch.tensor(numbers)[:, None, None] for numbers in NORMALISATIONS["clip"])
TOGETHER = 32  # pictures that ours normalises at a time
WARM = 8  # steps that are not counted: the first ones ask the system for memory


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
            with one_thread():
                measure_input(table, name, rows)
        measure_loss(table, options.pairs)
        measure_loop(table, Path(folder), options)
    table.write(options.output)


class Table:
    """Rows of the CSV, shown as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def add(self, measure: str, value: float, unit: str) -> None:
        self.rows.append({"measure": measure, "value": f"{value:.4g}", "unit": unit})
        print(f"{measure}: {value:.4g} {unit}", flush=True)

    def write(self, path: Path) -> None:
        accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
        machine = f"{os.cpu_count()} cores{accelerator}, {processor()}, torch {torch.__version__}"
        write_table(self.rows, path, machine=machine)


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


def taking_turns(works: dict[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """The median of some runs of each, after one that is not counted: one of each, and again one of each."""
    taken: dict[str, list[float]] = {what: [] for what in works}
    for _ in range(repeats + 1):
        for what, work in works.items():
            started = time.perf_counter()
            work()
            taken[what].append(time.perf_counter() - started)
    return {what: statistics.median(times[1:]) for what, times in taken.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a worker process."""
    threads, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(of_opencv)


def literal_face(row: Row) -> torch.Tensor:
    """One picture in the authors' way: everything in floats, by itself."""
    data = Path(row.path).read_bytes()
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    x0, y0, x1, y1 = face_window(*pixels.shape[1::-1], row.box, 1.3, "authors")
    tensor = torch.from_numpy(pixels[y0:y1, x0:x1].transpose(2, 0, 1).copy()).float() / 255
    return (F.interpolate(tensor[None], (224, 224), mode="bilinear")[0] - MEAN) / DEVIATION


def measure_input(table: Table, name: str, rows: list[Row]) -> None:
    ranking = [TASKS[task] for task in RANKED]
    all_tasks = [*ranking, TASKS["face"]]

    def ours(dataset: FaceDataset) -> torch.Tensor:
        parts = []
        for start in range(0, len(rows), TOGETHER):
            indices = range(start, min(start + TOGETHER, len(rows)))
            batch = torch.stack([dataset[0, index][0] for index in indices])
            parts.append((batch.float() - 255 * MEAN).div_(255 * DEVIATION))
        return torch.cat(parts)

    plain, kept = (
        FaceDataset(rows, ranking, faces=AUTHORS, seed=0, budget=MemoryBudget(budget)) for budget in (0, 4096)
    )
    literal = torch.stack([literal_face(row) for row in rows])
    apart = float(((ours(plain) - literal) * DEVIATION * 255).abs().max())
    assert apart < 0.51, f"the faces differ by {apart} grey levels"
    taught, taught_kept = (
        FaceDataset(rows, all_tasks, faces=OURS, seed=0, budget=MemoryBudget(budget)) for budget in (0, 4096)
    )
    times = taking_turns(
        {
            "reference": lambda: torch.stack([literal_face(row) for row in rows]),
            "ours": lambda: ours(plain),
            "ours, pictures in memory": lambda: ours(kept),
            "ours, manipulated and resampled": lambda: ours(taught),
            "ours, manipulated and resampled, pictures in memory": lambda: ours(taught_kept),
        }
    )
    for what, taken in times.items():
        table.add(f"input, {name}: {what}", 1000 * taken / len(rows), "ms a picture")
    for what in ("ours", "ours, pictures in memory"):
        table.add(f"input, {name}: {what} / reference", times[what] / times["reference"], "ratio")
    table.add(f"input, {name}: largest difference", apart, "grey levels")
    measure_stages(table, name, rows[0])


def measure_stages(table: Table, name: str, row: Row) -> None:
    def crop_of(faces: FaceSection) -> FaceDataset:
        return FaceDataset([row], [TASKS["face"]], faces=faces, seed=0, budget=MemoryBudget(0))

    batch = torch.randint(0, 256, (TOGETHER, 3, 224, 224), dtype=torch.uint8)
    image = open_upright(Path(row.path))
    crop = np.asarray(image.crop(face_window(*image.size, row.box, 1.3, "authors")))
    stages: dict[str, Callable[[], object]] = {
        "reading and decoding": lambda: open_upright(Path(row.path)),
        "resizing without antialiasing": lambda: interpolated(crop, 224, 224),
        "resizing with antialiasing": lambda: square_resize(crop, 224),
        "resampling of originals, ours alone": lambda: round_trip(crop),
        "finding landmarks, once a picture": lambda: crop_of(OURS).crops[0],
    }
    for faces, whose in ((OURS, "aigfd_faces"), (AUTHORS, "aigfd_paper")):
        dataset = crop_of(faces)
        pixels, landmarks = dataset.crops[0]
        for kind in PAPER_KINDS:
            stages[f"manipulation {kind}, {whose}, crop of {len(pixels)} pixels"] = partial(
                manipulate, pixels, landmarks, kind, np.random.default_rng(0), dataset.maker.options
            )
    for stage, work in stages.items():
        table.add(f"input, {name}: {stage}", 1000 * seconds(work, 9), "ms a picture")
    normalised = seconds(lambda: (batch.float() - 255 * MEAN).div_(255 * DEVIATION), 9)
    table.add(f"input, {name}: normalising", 1000 * normalised / TOGETHER, "ms a picture")


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


class ReadyMade(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Samples that were made before."""

    def __init__(self, samples: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.samples = samples

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.samples[key[1] % len(self.samples)]


def measure_loop(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """The loop's step, with workers and with ready-made input, against the network's own on one batch."""
    rows = make_pictures(folder / "loop", max(options.batch * 8 // 7 + 8, 64), 128)
    varied = [
        row.model_copy(update={"exif": dict.fromkeys(row.exif, 1.0 + number % 9)})
        for number, row in enumerate(rows)
    ]
    write_manifest(varied, folder / "loop.jsonl")
    steps = WARM + options.steps + 1
    recipe = Recipe.model_validate(
        {
            "data": {"manifest": folder / "loop.jsonl", "val_limit": 2},
            "network": {"type": "resnet50", "layers": options.layers},
            "faces": {},
            "pretext": {"tasks": dict.fromkeys([*RANKED, "face"], 1.0)},
            "optimise": {
                "steps": steps,
                "batch_size": options.batch,
                "precision": options.precision,
                "compile": options.compile,
                "deterministic": False,
                "threads": torch.get_num_threads(),
                "workers": options.workers,
            },
            "log": {
                "log_every": min(WARM, options.steps),
                "validate_every": steps,
                "checkpoint_every": steps,
            },
        }
    )
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    dataset = FaceDataset(varied[: options.batch], tasks, faces=recipe.faces, seed=0, budget=MemoryBudget(0))
    samples = [dataset[0, index] for index in range(options.batch)]
    before = network_alone(recipe, samples, options.steps)
    loop, waiting = loop_step(recipe, folder / "workers")
    held_recipe = recipe.model_copy(update={"optimise": recipe.optimise.model_copy(update={"workers": 0})})
    usual = ARCHITECTURES["crop"]
    ARCHITECTURES["crop"] = replace(usual, training=lambda *_: ReadyMade(samples))
    held, _ = loop_step(held_recipe, folder / "held")
    ARCHITECTURES["crop"] = usual
    alone = (before + network_alone(recipe, samples, options.steps)) / 2
    name = f"loop, batch {options.batch}"
    table.add(f"{name}: the network alone", alone, "s a step")
    table.add(f"{name}: with ready-made input", held, "s a step")
    table.add(f"{name}, {options.workers} workers: a step", loop, "s a step")
    table.add(f"{name}, {options.workers} workers: of it waiting for data", waiting, "s a step")
    table.add(f"{name}: with ready-made input / network alone", held / alone, "ratio")
    table.add(f"{name}, {options.workers} workers: loop / network alone", loop / alone, "ratio")
    table.add(f"{name}, {options.workers} workers: pictures a second", options.batch / loop, "1/s")


def loop_step(recipe: Recipe, folder: Path) -> tuple[float, float]:
    """Seconds a step of the whole loop, and how many of them it waits for data."""
    moments: list[float] = []

    def report(progress: Progress) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        moments.append(time.perf_counter())

    train(recipe, folder, report)
    # The last step also validates and writes.
    loop = (moments[-2] - moments[WARM - 1]) / (len(moments) - 1 - WARM)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    shares = [
        line["data_wait_share"]
        for line in lines
        if "data_wait_share" in line and WARM < line["step"] < len(moments)
    ]
    return loop, loop * statistics.mean(shares)


def network_alone(recipe: Recipe, samples: list[tuple[torch.Tensor, torch.Tensor]], steps: int) -> float:
    """Seconds a step on a batch that lies on the device as the network takes it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_network(recipe).to(device, memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).requires_grad_(False)
    forward = torch.compile(network) if recipe.optimise.compile else network
    optimiser = make_optimiser(network, recipe.optimise)
    pixels, targets = (torch.stack(column).to(device) for column in zip(*samples, strict=True))
    pixels = pixels.to(torch.float32, memory_format=torch.channels_last)
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    half = PRECISIONS[recipe.optimise.precision]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, half, enabled=half is not None):
            outputs = forward(pixels)
        torch.stack(list(task_losses(outputs, targets, tasks, recipe.pretext).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average(averaged, network, 0.9)

    for number in range(WARM + steps):
        if number == WARM:
            if device.type == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


if __name__ == "__main__":
    main()
