"""How well EXIF is ranked on photographs never seen, where other photographs of the same photographers were.

    python benchmarks/unseen_photographs.py runs/camera.jsonl configs/patch_unseen_photographs.toml \
        -o benchmarks/results/unseen_photographs.csv

One photograph in five is held out whatever its group, all its crops together; pair accuracy (chance: .5) is measured on
them as training goes on. Cameras, lenses and habits are then on both sides: beside `pretext.csv`, which is of groups
never seen, it tells what there is to learn from what is mere acquaintance. A run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from common import show, write_table

from cameraborn.data.manifest import Row, read_manifest, write_manifest
from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.recipe import Recipe
from cameraborn.train.loop import train

HELD_OUT = 5  # one photograph in so many


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = Recipe.read(arguments.recipe)
    divide(arguments.manifest, recipe.data.manifest)
    run = Path("runs") / arguments.recipe.stem
    train(PretextObjective, recipe, run)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [
        {"step": line["step"], "task": name.rpartition("/")[2], "value": round(value, 4)}
        for line in lines
        for name, value in line.items()
        if name.startswith("val/")
    ]
    for row in rows:
        show(row)
    write_table(rows, arguments.output)


def divide(manifest: Path, output: Path) -> None:
    """Every photograph is a group of its own, and so may lie beside its neighbours on the other side."""
    rows = []
    for row in read_manifest(manifest):
        photograph = number_of(row)
        split = "val" if photograph % HELD_OUT == 0 else "train"
        rows.append(row.model_copy(update={"group": str(photograph), "split": split}))
    write_manifest(rows, output)


def number_of(row: Row) -> int:
    """A photograph's crops are numbered alike."""
    return int(Path(row.path).stem.partition("_")[0])


if __name__ == "__main__":
    main()
