"""What each pretext task carries, and what learnt weights are worth: the papers' ablations on little data, three seeds.

    python benchmarks/tasks.py --shared SHARED --work WORK
    python benchmarks/tasks.py --shared SHARED --work WORK --paper blades

`SHARED` holds the data. Every photograph of `data` and `data2` that may train and shows a face becomes a row with its
face's box; a quarter of the groups is kept apart. For AIGFD-EXIF (Table III of arXiv 2501.02207) all tasks, ranking
alone, manipulated faces alone and random weights are trained with each seed (`configs/aigfd_cpu*.toml`); for BLADES
(ICCV'25) task weights that are learnt for one task, equal ones, ones learnt for detection (`joint_cpu`), and a network
with random weights (`configs/blades_cpu*.toml`). They are measured by the papers' protocol on the development tracks.
What is done is not done again, so interrupt and repeat it as you like. Written:

    benchmarks/results/PAPER_tasks.csv   AUC, accuracy and AP by track, each seed
    benchmarks/results/PAPER_pretext.csv what the networks tell of groups that they have not seen
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from build_bundle import ROOT, Step, call, do


class Paper(NamedTuple):
    """What is compared, and how many components the mixture of their features has."""

    recipes: tuple[str, ...]
    components: int


PAPERS = {
    "aigfd": Paper(("aigfd_cpu", "aigfd_cpu_exif", "aigfd_cpu_face", "aigfd_cpu_random"), components=1),
    "blades": Paper(("blades_cpu", "blades_cpu_equal", "joint_cpu", "blades_cpu_random"), components=10),
}
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
    parser.add_argument("--paper", choices=PAPERS, default="aigfd")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    (options.work / "runs").mkdir(parents=True, exist_ok=True)
    for step in prepared(options.shared):
        do(step, options.work)
    names = []
    for seed in options.seeds:
        for recipe in PAPERS[options.paper].recipes:
            names.append(f"{recipe}_{seed}")
            for step in made(names[-1], seeded(recipe, seed, options.work)):
                do(step, options.work)
    measure(options.paper, names, options.work)


def measure(paper: str, names: list[str], work: Path) -> None:
    """Fill both tables."""
    config = (ROOT / "configs" / "bench_tasks.toml").read_text(encoding="utf-8")
    bundles = ", ".join(f'"runs/bundles/{name}"' for name in names)
    changed = {
        "output": f'"runs/bench_{paper}"',
        "detectors": f"[{bundles}]",
        "components": str(PAPERS[paper].components),
    }
    for key, value in changed.items():
        config = re.sub(rf"(?m)^{key} = .*", f"{key} = {value}", config)
    (work / f"bench_{paper}.toml").write_text(config, encoding="utf-8")
    call(f"bench table3 bench_{paper}.toml", work)
    shutil.copy(work / "runs" / f"bench_{paper}" / "paper" / "table3.csv", RESULTS / f"{paper}_tasks.csv")
    runs = " ".join(f"runs/{name}" for name in names)
    call(f"pretext.py {runs} -o runs/{paper}_pretext.csv", work)
    shutil.copy(work / "runs" / f"{paper}_pretext.csv", RESULTS)


if __name__ == "__main__":
    main()
