"""Speed and memory of scoring, as ratios in one run: python benchmarks/score_speed.py

Five minutes on two cores; --files 2000 --pictures 40 for a shorter run. What is measured:

- cold start: `cameraborn score` on one 1024x1024 JPEG against `python -c "import torch"`, both in fresh processes of
  this environment, in turns, the median of each. Expected: a ratio of at most 1.
- throughput: `cameraborn score` on a folder of 1024x1024 JPEGs with a face (the examples, enlarged, with noise so that
  decoding costs what a photograph's does), start included. Expected: 12 pictures a second on two cores.
- shares: where the time goes with one job, start excluded. Expected: at most a quarter outside decoding, face detection
  and the network.
- memory: the peak of a process that scores many small files, against one that scores few. Expected: a ratio near 1.
- loading: `cameraborn.load()` in a fresh process, imports excluded. Expected: under 300 ms.
"""

import argparse
import csv
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from common import processor, write_table
from PIL import Image
from speed import Stopwatch, enlarged_example

import cameraborn
from cameraborn.cli.output import Format, writer
from cameraborn.detect.rows import Rows
from cameraborn.photo import frames

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "score_speed.csv"
SCORE = [sys.executable, "-m", "cameraborn", "score"]
LOAD = """
import sys, time, cameraborn
started = time.perf_counter()
cameraborn.load(*sys.argv[1:])
print(time.perf_counter() - started)
"""
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, help="folder or zip (default: the one that ships)")
    parser.add_argument("--pictures", type=int, default=200, help="1024x1024 pictures in the folder")
    parser.add_argument(
        "--files", type=int, default=20_000, help="small files for the memory; 200 is the other end"
    )
    parser.add_argument("--repeats", type=int, default=7, help="fresh processes for each median")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    bundle = options.bundle.resolve() if options.bundle else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = make_large(folder / "large", options.pictures)
        small = make_small(folder / "small", options.files), make_small(folder / "few", 200)
        measured = [
            *cold_start(large, bundle, options.repeats),
            *throughput(large, bundle),
            *shares(large, bundle),
            *memory(*small, bundle),
            *loading(bundle, options.repeats),
        ]
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    write_table(measured, options.output, machine=machine)


def make_large(folder: Path, count: int) -> Path:
    """Pictures of 1024x1024 with a face, about as large as files as a camera's would be."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(enlarged_example(1024, number, rng))
    return folder


def make_small(folder: Path, count: int) -> Path:
    """Links to a few pictures of 96x96."""
    folder.mkdir()
    examples = sorted((ROOT / "examples").glob("*.jpg"))
    for number in range(count):
        name = folder / f"{number:06}.jpg"
        if number < len(examples):
            with Image.open(examples[number]) as image:
                image.resize((96, 96)).save(name)
        else:
            name.hardlink_to(folder / f"{number % len(examples):06}.jpg")
    return folder


def cold_start(large: Path, bundle: Path | None, repeats: int) -> list[Row]:
    picture = sorted(large.iterdir())[0]
    commands = {
        "score": [*SCORE, str(picture), *with_bundle(bundle)],
        "torch": [sys.executable, "-c", "import torch"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():  # in turns, so that a busy moment slows both
            seconds[name].append(run(command)[0])
    score, torch = (statistics.median(seconds[name]) for name in ("score", "torch"))
    return [
        row("cold start: score one picture", score, "s"),
        row("cold start: import torch", torch, "s"),
        row("cold start: score / import torch", score / torch, "ratio", "at most 1"),
    ]


def throughput(large: Path, bundle: Path | None) -> list[Row]:
    count = len(list(large.iterdir()))
    output = large.with_suffix(".csv")
    seconds, _ = run([*SCORE, str(large), "-o", str(output), *with_bundle(bundle)])
    with output.open(encoding="utf-8", newline="") as rows:
        scopes = Counter(line["scope"] for line in csv.DictReader(rows))
    return [
        row("throughput: pictures scored", count, "pictures"),
        row("throughput: rows with scope ok", scopes["ok"], "rows"),
        row(
            "throughput: default jobs, start included",
            count / seconds,
            "pictures/s",
            "at least 12 on two cores",
        ),
    ]


def shares(large: Path, bundle: Path | None) -> list[Row]:
    """The stages of one job, timed where they happen; must be the last to run in this process."""
    detector = cameraborn.load(bundle)
    pictures = sorted(large.iterdir())
    detector.score(pictures[0])  # loads the face networks outside the clock
    watch = Stopwatch()
    frames.open_picture = watch.around("decoding", frames.open_picture)
    faces = detector.observer.faces
    faces.find = watch.around("face detection", faces.find)  # type: ignore[method-assign]
    for encoder, _ in detector.observer.encoders:
        encoder._run = watch.around("networks", encoder._run)  # type: ignore[method-assign]
    started = time.perf_counter()
    with writer(Format.csv, large.with_suffix(".csv"), Rows(detector)) as write_row:
        for verdict in detector.score_many(pictures, jobs=1):
            write_row(verdict)
    total = time.perf_counter() - started
    rows = [
        row(f"one job: {stage}", 1000 * spent / len(pictures), "ms/picture")
        for stage, spent in watch.seconds.items()
    ]
    outside = total - sum(watch.seconds.values())
    return [
        *rows,
        row("one job: everything", 1000 * total / len(pictures), "ms/picture"),
        row("one job: share outside these stages", outside / total, "ratio", "at most 0.25"),
    ]


def memory(many: Path, few: Path, bundle: Path | None) -> list[Row]:
    peaks = {}
    for folder in (few, many):
        output = folder.with_suffix(".csv")
        _, peaks[folder] = run([*SCORE, str(folder), "-o", str(output), *with_bundle(bundle)])
    counts = {folder: len(list(folder.iterdir())) for folder in (few, many)}
    return [
        *(
            row(f"peak memory: {counts[folder]} files", peaks[folder] / 2**20, "MiB")
            for folder in (few, many)
        ),
        row("peak memory: many / few", peaks[many] / peaks[few], "ratio", "near 1"),
    ]


def loading(bundle: Path | None, repeats: int) -> list[Row]:
    command = [sys.executable, "-c", LOAD, *([str(bundle)] if bundle else [])]
    seconds = [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(repeats)
    ]
    return [row("cameraborn.load()", 1000 * statistics.median(seconds), "ms", "under 300")]


def run(command: list[str]) -> tuple[float, int]:
    """Wall-clock seconds and peak resident bytes of a fresh process that must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{shlex.join(command)}: exit code {process.returncode}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def with_bundle(bundle: Path | None) -> list[str]:
    return ["--bundle", str(bundle)] if bundle else []


def row(measure: str, value: float, unit: str, expected: str = "") -> Row:
    line = {"measure": measure, "value": f"{value:.4g}", "unit": unit, "expected": expected}
    print(f"{measure:<45} {line['value']:>8} {unit:<11} {expected}", flush=True)
    return line


if __name__ == "__main__":
    main()
