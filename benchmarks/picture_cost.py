"""What a picture costs, stage by stage, at several sizes: python benchmarks/picture_cost.py

Seconds of one processor core, not of the clock, so that a busy machine changes little. Pictures are the examples,
enlarged, with noise so that decoding costs what a photograph's does; each shows one large face. The stages:

- decoding: from the bytes of the file to upright sRGB pixels.
- faces: looking for faces, a second look at them, and their landmarks.
- network: the crop through the bundle's networks, and its resizing for them.
- condition: what decides with which photographs a face is compared: residual statistics, noise, operation, colour.
- rest: p-values, cropping, and what is left.

docs/scale.md computes from the CSV what many pictures need: python tools/write_scale_docs.py.
"""

import argparse
import os
import platform
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from common import processor, show, write_table
from speed import Stopwatch, enlarged_example

import cameraborn
from cameraborn.detect import detector as detector_module
from cameraborn.photo import frames

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "picture_cost.csv"
SIDES = (512, 1024, 2048, 4096)
STAGES = ("decoding", "faces", "network", "condition", "rest")
TURNS = 6  # each size in turns, so that a busy moment slows all


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, help="folder or zip (default: the one that ships)")
    parser.add_argument("--pictures", type=int, default=30, help="of each size")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    detector = cameraborn.load(options.bundle)
    pictures = {side: [enlarged_example(side, number) for number in range(TURNS)] for side in SIDES}
    watch = Stopwatch(time.process_time)
    watch_stages(watch, detector)
    detector.score(pictures[SIDES[0]][0])  # loads the networks of faces outside the clock
    measured: dict[int, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(options.pictures):
        for side in SIDES:
            measured[side].append(seconds_of(watch, detector, pictures[side][number % TURNS]))
    machine = f"{processor()}, Python {platform.python_version()}"
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    rows = [
        {
            "side": side,
            "kilobytes": round(statistics.mean(map(len, pictures[side])) / 1000),
            **{f"{stage}_ms": milliseconds(measured[side], stage) for stage in (*STAGES, "all")},
            "pictures": options.pictures,
            "peak_mib": peak,
        }
        for side in SIDES
    ]
    for row in rows:
        show(row)
    write_table(rows, options.output, machine=machine)


def milliseconds(measured: list[dict[str, float]], stage: str) -> float:
    return round(1000 * statistics.median(one[stage] for one in measured), 2)


def seconds_of(watch: Stopwatch, detector: cameraborn.Detector, data: bytes) -> dict[str, float]:
    """The seconds of each stage of one picture."""
    watch.seconds.clear()
    started = time.process_time()
    verdicts = detector.score(data)
    total = time.process_time() - started
    assert verdicts[0].score is not None, "a picture of the benchmark has a face"
    spent = watch.seconds
    spent["condition"] = spent.pop("measuring") - spent["network"]
    return {**spent, "rest": total - sum(spent.values()), "all": total}


def watch_stages(watch: Stopwatch, detector: cameraborn.Detector) -> None:
    """Time the stages where they happen; the network is a part of measuring."""
    frames.open_picture = watch.around("decoding", frames.open_picture)
    detector_module.alignment_note = watch.around("faces", detector_module.alignment_note)
    observer: Any = detector.observer
    observer.faces.find = watch.around("faces", observer.faces.find)
    observer.faces.second_look = watch.around("faces", observer.faces.second_look)
    observer.measure = watch.around("measuring", observer.measure)
    for encoder, _ in observer.encoders:
        encoder.feature = watch.around("network", encoder.feature)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
