"""Is a slower network worth its time? What is found, and flagged by mistake, beside milliseconds a face.

    python benchmarks/detection_time.py runs/dev.jsonl --bundle OLDER --bundle models/default \
        -o benchmarks/results/detection_time.csv

A row for every bundle. Figures are means over the tracks of the manifest, which its rows' `kind` names. The time is of
all networks that a verdict needs, on one core, for a face of 1024 px: seconds of the processor, of the bundles in turn,
the median.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from common import by_track, processor, show, write_table
from one_class import judge, row_of
from picture_cost import watch_stages
from speed import Stopwatch, enlarged_example

from cameraborn import Detector, load

SIDE, TURNS = 1024, 15
FIGURES = {
    "auc": "auc",
    "found_at_5": "generated_flagged_at_nominal",
    "photographs_flagged_at_5": "photo_flagged_at_nominal",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    detectors = [load(bundle) for bundle in options.bundle]
    tracks, pictures = by_track(options.manifest), [enlarged_example(SIDE, n) for n in range(TURNS)]
    watches = [Stopwatch(time.process_time) for _ in detectors]
    rows = []
    for detector in detectors:
        measured = [row_of(track, "", rows, judge(detector, rows)) for track, rows in tracks.items()]
        rows.append(
            {"bundle": detector.bundle.info.name}
            | {
                name: round(statistics.mean(float(str(one[of])) for one in measured), 3)
                for name, of in FIGURES.items()
            }
        )
    for row, spent in zip(rows, network_milliseconds(detectors, watches, pictures), strict=True):
        row["network_ms"] = round(spent, 1)
        show(row)
    write_table(rows, options.output, machine=processor())


def network_milliseconds(
    detectors: list[Detector], watches: list[Stopwatch], pictures: list[bytes]
) -> list[float]:
    """The median time that each detector's networks need for a picture."""
    for detector, watch in zip(detectors, watches, strict=True):
        watch_stages(watch, detector)
        detector.score(pictures[0])  # loads the networks of faces outside the clock
    spent: list[list[float]] = [[] for _ in detectors]
    for picture in pictures:
        for detector, watch, times in zip(detectors, watches, spent, strict=True):
            watch.seconds.clear()
            detector.score(picture)
            times.append(watch.seconds["network"])
    return [1000 * statistics.median(times) for times in spent]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
