"""Which pretext task carries what: Table III of AIGFD-EXIF (arXiv 2501.02207) on little data, three seeds.

    python benchmarks/tasks.py --shared SHARED --work WORK

`SHARED` holds the data. Every photograph of `data` and `data2` that may train and shows a face becomes a row with its
face's box; a quarter of the groups is kept apart. All tasks, ranking alone, manipulated faces alone and random weights
(`configs/aigfd_cpu*.toml`) are trained with each seed, and measured by the paper's protocol on the development tracks.
What is done is not done again, so interrupt and repeat it as you like. Written:

    benchmarks/results/aigfd_tasks.csv   AUC, accuracy and AP by track, each seed
    benchmarks/results/aigfd_pretext.csv what the networks tell of groups that they have not seen
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from build_bundle import ROOT, Step, call, do

RECIPES = ("aigfd_cpu", "aigfd_cpu_exif", "aigfd_cpu_face", "aigfd_cpu_random")
DATA = ("data/camera", "data/portraits", "data2/faces", "data2/camera")
LAID = "--side 128 --smallest-side 96 --crop-scale 1.3"
RESULTS = ROOT / "benchmarks" / "results"


def prepared(shared: Path) -> Iterator[Step]:
    """The manifests."""
    sources = " ".join(shlex.quote(str(shared / f"{name}.jsonl")) for name in DATA)
    yield "import faces", f"data import rows {sources} --faces -o runs/faces.jsonl"
    yield "split", "data split runs/faces.jsonl train=0.75 calibration=0.25 --research-only research"
    yield "import dev", f"data import rows {shlex.quote(str(shared / 'data/dev.jsonl'))} -o runs/dev.jsonl"


def made(name: str, recipe: Path) -> Iterator[Step]:
    """A trained network in a bundle, to which the protocol fits a density."""
    yield f"train {name}", f"train {shlex.quote(str(recipe))} -o runs/{name}"
    yield f"export {name}", f"export runs/{name} -o runs/bundles/{name} {LAID} --overwrite"


def seeded(recipe: str, seed: int, work: Path) -> Path:
    """A copy of a recipe with another seed."""
    text = (ROOT / "configs" / f"{recipe}.toml").read_text(encoding="utf-8")
    copy = work / f"{recipe}_{seed}.toml"
    copy.write_text(re.sub(r"(?m)^seed = \d+", f"seed = {seed}", text), encoding="utf-8")
    return copy


def main() -> None:
    """Train and measure."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("shared", "work"):
        parser.add_argument(f"--{name}", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    (options.work / "runs").mkdir(parents=True, exist_ok=True)
    for step in prepared(options.shared):
        do(step, options.work)
    names = []
    for seed in options.seeds:
        for recipe in RECIPES:
            names.append(f"{recipe}_{seed}")
            for step in made(names[-1], seeded(recipe, seed, options.work)):
                do(step, options.work)
    measure(names, options.work)


def measure(names: list[str], work: Path) -> None:
    """Fill both tables."""
    config = (ROOT / "configs" / "bench_tasks.toml").read_text(encoding="utf-8")
    detectors = ", ".join(f'"runs/bundles/{name}"' for name in names)
    (work / "bench_tasks.toml").write_text(
        re.sub(r"(?m)^detectors = .*", f"detectors = [{detectors}]", config), encoding="utf-8"
    )
    call("bench table3 bench_tasks.toml", work)
    shutil.copy(work / "runs" / "bench_tasks" / "paper" / "table3.csv", RESULTS / "aigfd_tasks.csv")
    runs, table = (
        (" ".join(f"runs/{name}" for name in names)),
        shlex.quote(str(RESULTS / "aigfd_pretext.csv")),
    )
    call(f"pretext.py {runs} -o {table}", work)


if __name__ == "__main__":
    main()
