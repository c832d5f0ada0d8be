"""How well SDAIE's binary classifier finds a generator it has not seen: trained on all tracks but one's.

    cameraborn train configs/sdaie_cpu.toml
    python benchmarks/sdaie_leave_one_out.py configs/sdaie_binary_cpu.toml runs/dev.jsonl \
        --runs runs/sdaie_binary -o benchmarks/results/sdaie_binary.csv

The manifest's `kind` names the track. For each track the recipe is trained on the photographs and generated pictures of
the others (but those of the same generator), a fifth of them held out to validate on, and tested on the track's own:
whole pictures, 16 patches each, as the recipe's validation sees them. The photographs of all tracks may be of the same
people (FFHQ). AUC's positive class is generated; its interval is a 95 % bootstrap over pictures. A run that was
interrupted goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from common import by_track, ranking, show, write_table
from safetensors.torch import load_file

from cameraborn.binary.objective import BinaryValidator, build_classifier
from cameraborn.binary.recipe import BinaryRecipe, read_binary_recipe
from cameraborn.binary.train import train_binary
from cameraborn.data.manifest import Row, write_manifest
from cameraborn.train.pictures import MemoryBudget

FEWEST = 20  # pictures of a label, to be a track that is held out
EVERY = 5  # one row in so many validates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = read_binary_recipe(arguments.recipe)
    tracks = by_track(arguments.manifest)
    lines = [held_out(recipe, track, tracks, arguments.runs) for track, rows in tracks.items() if large(rows)]
    write_table(lines, arguments.output)


def large(rows: Sequence[Row]) -> bool:
    return all(sum(row.label == label for row in rows) >= FEWEST for label in ("photo", "generated"))


def held_out(recipe: BinaryRecipe, track: str, tracks: dict[str, list[Row]], runs: Path) -> dict[str, object]:
    own = {row.generator for row in tracks[track] if row.label == "generated"}
    others = [
        divided(row) for rows in tracks.values() if not own & {row.generator for row in rows} for row in rows
    ]
    runs.mkdir(parents=True, exist_ok=True)
    manifest = runs / f"{track}.jsonl"
    write_manifest(others, manifest)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"manifest": manifest})})
    seen = train_binary(recipe, runs / track)
    network = build_classifier(recipe)
    network.load_state_dict(load_file(runs / track / "network.safetensors"))
    validator = BinaryValidator(tracks[track], MemoryBudget(recipe.data.cache_mb), torch.device("cpu"), None)
    scores, labels = validator.scores(network).numpy(), validator.labels.numpy()
    photos, generated = scores[labels == 0], scores[labels == 1]
    line = {
        "held_out": track,
        "trained_on": sum(row.split == "train" for row in others),
        "auc_of_generators_seen": round(seen["auc"], 3),
        "photos": len(photos),
        "generated": len(generated),
        **ranking(photos, generated),
    }
    show(line)
    return line


def divided(row: Row) -> Row:
    """To train or to validate on, as the picture's bytes decide; each picture is a group of its own."""
    split = "train" if int(row.sha256[:8], 16) % EVERY else "val"
    return row.model_copy(update={"split": split, "group": row.sha256})


if __name__ == "__main__":
    main()
