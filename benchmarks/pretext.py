"""What trained networks reached on photographs of groups never seen, tag by tag and manipulation by manipulation.

    cameraborn train configs/patch_cpu.toml      (and other recipes)
    python benchmarks/pretext.py runs/patch_cpu runs/aigfd_cpu ... -o benchmarks/results/pretext.csv

Each run's last validation, from its log. `of` is a kind of photographs, or a manipulation. Pair accuracy is the share
of pairs of photographs that a ranked tag orders rightly (chance: .5). The AUC of a manipulation is that of such faces
above untouched ones (chance: .5); of a kind of photographs, `share told rightly` is that of the untouched, or of the
right classes. Where the weights of the tasks are learnt, `weight` is the last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from common import write_table

from cameraborn.data.manifest import Manipulation
from cameraborn.pretext import kinds
from cameraborn.pretext.tasks import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    write_table([row for run in arguments.runs for row in figures_of(run)], arguments.output)


def figures_of(run: Path) -> Iterator[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [line for line in lines if any(name.startswith("val/") for name in line)][-1]
    for name, value in last.items():
        if name.startswith("val/"):
            _, of, task = name.split("/")
            row = {"run": run.name, "step": last["step"], "task": task, "of": of}
            yield row | {"measure": measure(task, of), "value": value}
    learnt = [line for line in lines if any(name.startswith("weight/") for name in line)]
    for name, value in (learnt[-1] if learnt else {}).items():
        if name.startswith("weight/"):
            row = {
                "run": run.name,
                "step": learnt[-1]["step"],
                "task": name.removeprefix("weight/"),
                "of": "",
            }
            yield row | {"measure": "weight", "value": value}


def measure(task: str, of: str) -> str:
    if isinstance(TASKS[task], kinds.Rank):
        return "pair accuracy"
    manipulated = isinstance(TASKS[task], kinds.Manipulation) and of in get_args(Manipulation)
    return "AUC" if manipulated else "share told rightly"


if __name__ == "__main__":
    main()
