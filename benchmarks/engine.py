"""What Ray costs over threads of one process: python benchmarks/engine.py

The same parts are scored by two threads and by two workers of Ray, in turns, few pictures and many; the difference of
the two is what a picture costs, and what is left of the few is what a start costs. Expected, on a machine that does
nothing else: a picture costs at most 15 % more. The rows of both must be the same bytes.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common import processor, show, write_table
from speed import enlarged_example

import cameraborn
from cameraborn.cli.parts import PartsRun
from cameraborn.detect.score import ScoreOptions
from cameraborn.engine.ray import RayEngine, connect
from cameraborn.engine.stage import Jobs

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "engine.csv"
WORKERS, SIDE, DIFFERENT = 2, 1024, 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--few", type=int, default=64)
    parser.add_argument("--many", type=int, default=448)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    connect(WORKERS)
    engines: dict[str, Jobs] = {"threads": WORKERS, "ray": RayEngine(WORKERS, at_once=1)}
    detector = cameraborn.load()
    spent: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        pictures = list(written(Path(name), options.many))
        for repeat in range(options.repeats):
            for count in (options.few, options.many):
                rows = {}
                for engine, jobs in engines.items():
                    folder = Path(name) / f"{engine}-{count}-{repeat}"
                    started = time.perf_counter()
                    run = PartsRun(detector, ScoreOptions(), str(folder), "jsonl")
                    run.score(pictures[:count], jobs, WORKERS, lambda done: None)
                    spent.setdefault((engine, count), []).append(time.perf_counter() - started)
                    rows[engine] = [path.read_bytes() for path in sorted((folder / "rows").iterdir())]
                assert rows["threads"] == rows["ray"], "both engines give the same rows"
                print(f"{repeat}: {count} pictures scored twice", flush=True)
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    found = row(spent, options.few, options.many)
    show(found)
    write_table(
        [found],
        options.output,
        pictures=f"{options.few} and {options.many}, {SIDE} px",
        repeats=options.repeats,
        machine=machine,
    )


def row(spent: dict[tuple[str, int], list[float]], few: int, many: int) -> dict[str, object]:
    """What a picture and a start cost: medians of the runs."""
    median = {key: statistics.median(values) for key, values in spent.items()}
    picture, start = {}, {}
    for engine in ("threads", "ray"):
        picture[engine] = (median[engine, many] - median[engine, few]) / (many - few)
        start[engine] = median[engine, few] - few * picture[engine]
    return {
        **{f"{engine}_ms_a_picture": round(1000 * value, 1) for engine, value in picture.items()},
        "ratio": round(picture["ray"] / picture["threads"], 3),
        **{f"{engine}_start_s": round(value, 2) for engine, value in start.items()},
        "expected": "ratio at most 1.15",
    }


def written(folder: Path, count: int) -> Iterator[str]:
    """Files of pictures, some of which are links to others."""
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if number < DIFFERENT:
            path.write_bytes(enlarged_example(SIDE, number))
        else:
            path.hardlink_to(folder / f"{number % DIFFERENT:05}.jpg")
        yield str(path)


if __name__ == "__main__":
    main()
