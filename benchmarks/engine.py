"""What Ray costs over threads of one process: python benchmarks/engine.py

The same parts are scored by two threads and by two workers of Ray, in turns, few pictures and many; the difference of
the two is what a picture costs, and what is left of the few is what a start costs. Two clocks: seconds on the wall, and
seconds that cores were at work in this process and all that it started, Ray's own included, which others on the machine
change little. Expected: a picture costs at most 15 % more. The rows of both must be the same bytes.
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
TICKS = os.sysconf("SC_CLK_TCK")


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
    spent: dict[tuple[str, int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        pictures = list(written(Path(name), options.many))
        for repeat in range(options.repeats):
            for count in (options.few, options.many):
                rows = {}
                for engine, jobs in engines.items():
                    folder = Path(name) / f"{engine}-{count}-{repeat}"
                    wall, cores = time.perf_counter(), seconds_of_cores()
                    run = PartsRun(detector, ScoreOptions(), str(folder), "jsonl")
                    run.score(pictures[:count], jobs, WORKERS, lambda done: None)
                    time.sleep(1.0)  # workers that end are counted when they have ended
                    spent.setdefault((engine, count, "wall"), []).append(time.perf_counter() - wall - 1.0)
                    spent.setdefault((engine, count, "cores"), []).append(seconds_of_cores() - cores)
                    rows[engine] = [path.read_bytes() for path in sorted((folder / "rows").iterdir())]
                assert rows["threads"] == rows["ray"], "both engines give the same rows"
                print(f"{repeat}: {count} pictures scored twice", flush=True)
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    table = [row(spent, clock, options.few, options.many) for clock in ("wall", "cores")]
    for one in table:
        show(one)
    write_table(
        table,
        options.output,
        pictures=f"{options.few} and {options.many}, {SIDE} px",
        repeats=options.repeats,
        machine=machine,
    )


def row(spent: dict[tuple[str, int, str], list[float]], clock: str, few: int, many: int) -> dict[str, object]:
    """What a picture and a start cost by one clock: medians of the runs."""
    median = {key: statistics.median(values) for key, values in spent.items() if key[2] == clock}
    picture, start = {}, {}
    for engine in ("threads", "ray"):
        picture[engine] = (median[engine, many, clock] - median[engine, few, clock]) / (many - few)
        start[engine] = median[engine, few, clock] - few * picture[engine]
    return {
        "clock": clock,
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


def seconds_of_cores() -> float:
    """What this process and all that it started have had of cores, ended ones included."""
    times, children = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            times[int(folder.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        total += times.get(process, 0)
        waiting += children.get(process, [])
    return total / TICKS


if __name__ == "__main__":
    main()
