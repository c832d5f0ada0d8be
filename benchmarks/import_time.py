"""How fast `cameraborn score --help` starts, against another source tree, as a ratio in one run.

    python benchmarks/import_time.py ../older/src -o benchmarks/results/import_time.csv

Both trees are started in turns, in fresh processes of this environment, and the medians are compared. `imports` is the
sum of what `python -X importtime` says of the package and all that it imports; `start` is the processor time of the
whole process, which other work on the machine moves less. Expected: ratios of at most 1. Packages that scoring must do
without are named if one of the trees imports them.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from common import processor, show, write_table

HERE = Path(__file__).resolve().parents[1] / "src"
COMMAND = [sys.executable, "-X", "importtime", "-m", "cameraborn", "score", "--help"]
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
HEAVY = {"torch", "sklearn", "scipy", "onnx", "tensorboard", "matplotlib"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="folder that holds the other tree's package")
    parser.add_argument("--repeats", type=int, default=15, help="starts of each tree")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    trees = {"this": HERE, "other": arguments.other.resolve()}
    for tree in trees.values():
        start(tree)  # compiles the package, outside the clock
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for _ in range(arguments.repeats):
        for name, tree in trees.items():
            imports, seconds, heavy = start(tree)
            runs[name].append((imports, seconds))
            if heavy:
                sys.exit(f"the {name} tree imports {', '.join(sorted(heavy))}: scoring must do without")
    rows: list[dict[str, object]] = []
    for place, what in enumerate(("imports", "start")):
        this, other = (statistics.median(run[place] for run in runs[name]) for name in trees)
        figures = {"this_ms": round(1000 * this, 1), "other_ms": round(1000 * other, 1)}
        rows.append({"what": what, **figures, "ratio": round(this / other, 3)})
        show(rows[-1])
    write_table(rows, arguments.output, machine=f"{os.cpu_count()} cores, {processor()}")


def start(tree: Path) -> tuple[float, float, set[str]]:
    """Seconds of all imports and of the whole process, and the heavy packages that it imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        COMMAND, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = LINE.findall(done.stderr)
    packages = {name.partition(".")[0] for _, name in found}
    return sum(int(microseconds) for microseconds, _ in found) / 1e6, seconds, packages & HEAVY


if __name__ == "__main__":
    main()
