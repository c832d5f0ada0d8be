"""Rivals trained by their recipes in configs/rivals, shortened to minutes of one processor thread.

`SHORTENED` says what is changed: smaller batches and crops, as many steps as minutes allow, and a learning rate for so
few of them, since none starts from ImageNet as its authors' does. Whatever a recipe does to files at random (blur,
recompression) is left to the lottery, which is the same for all. After so few steps the running statistics of batch
normalisation are still those of the start, so they are measured anew on training pictures.
"""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from cameraborn.rivals.dataset import RivalPictures, rows_of
from cameraborn.rivals.published import Published
from cameraborn.rivals.recipe import RivalRecipe
from cameraborn.rivals.scoring import open_rival
from cameraborn.rivals.train import train_rival
from cameraborn.rivals.weights import save_trained
from cameraborn.train.pictures import MemoryBudget
from pictures import manifest_of, without

RECIPES = Path(__file__).resolve().parents[2] / "configs" / "rivals"
SHORTENED: dict[
    str, dict[str, Any]
] = {  # by recipe: changes of [optimise] and [augment]; steps are of a minute
    "npr": {"batch_size": 32, "steps": 28, "learning_rate": 1e-3, "augment": {"crop": 128}},
    "probe_efficientnet_lite0": {"batch_size": 64, "steps": 50, "learning_rate": 5e-3},
    "gramnet": {
        "batch_size": 16,
        "steps": 12,
        "learning_rate": 3e-4,
        "augment": {"shrink": None, "crop": 256},
    },
    "ladeda": {"batch_size": 16, "steps": 11, "learning_rate": 5e-4, "augment": {"crop": 96}},
    "tiny_ladeda": {"batch_size": 8, "steps": 30, "learning_rate": 5e-3, "augment": {"crop": 128}},
    "recce": {"batch_size": 8, "steps": 6, "learning_rate": 2e-4},
    "recce_deepfakebench": {"batch_size": 8, "steps": 6, "learning_rate": 2e-4},
    "lgrad_efficientnet_lite0": {"batch_size": 16, "steps": 8},
    "frdm": {"batch_size": 8, "steps": 5, "learning_rate": 2e-4},
    "self_blended": {"batch_size": 16, "steps": 4, "learning_rate": 2e-2, "augment": {"crop": 192}},
    # The smallest delivery has 58 pixels.
    "self_description": {"batch_size": 16, "steps": 100, "augment": {"crop": 56}},
}
RIVALS = {name: name.replace("_", "-") for name in SHORTENED} | {"self_description": "self-description-256"}
_OF_FILES = {"blur_probability": 0.0, "jpeg_probability": 0.0}
_NO_DECAY = {"decay_every": None, "patience": None, "min_lr": 0.0, "epochs": None}
_STATISTICS = 64  # pictures that the statistics of batch normalisation are measured on


def recipe_of(name: str, group: tuple[str, ...], minutes: float, work: Path, lite: Path) -> RivalRecipe:
    """The recipe of configs/rivals/NAME.toml on our pictures, for about so many minutes."""
    fields = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
    changes = dict(SHORTENED[name])
    augment = changes.pop("augment", {})
    changes["steps"] = max(1, round(changes["steps"] * minutes))
    fields["rival"] = RIVALS[name]
    fields["data"] = {"manifest": str(work / manifest_of(group)), "cache_mb": 2048}
    fields["augment"] = fields.get("augment", {}) | _OF_FILES | augment
    fields["optimise"] = fields["optimise"] | _NO_DECAY | changes | {"threads": 1, "workers": 0}
    fields["log"] = {"validate_every": changes["steps"], "log_every": 5, "checkpoint_every": 10}
    if "teacher" in fields:
        teacher = fields["teacher"].split("/")[1]  # of the same group, trained before
        fields["teacher"] = str(folder_of(teacher, group, work) / "network.safetensors")
    if fields.get("weights"):
        fields["weights"] = [str(lite)]
    return RivalRecipe.model_validate(fields)


def folder_of(name: str, group: tuple[str, ...], work: Path) -> Path:
    """Where a run lies."""
    return work / "runs" / "-".join(filter(None, (name, without(group))))


def train(name: str, group: tuple[str, ...], minutes: float, work: Path, lite: Path) -> None:
    """Train what is not trained yet; `cost.json` beside the weights says how long it took."""
    folder = folder_of(name, group, work)
    if (folder / "cost.json").exists():
        return
    recipe = recipe_of(name, group, minutes, work, lite)
    began = time.process_time()
    figures = train_rival(recipe, folder)
    if name not in ("self_description", "probe_efficientnet_lite0"):
        measure_statistics(recipe, folder / "network.safetensors")
    optimise = recipe.optimise
    cost = {
        "train_minutes": round((time.process_time() - began) / 60, 2),
        "steps": optimise.steps,
        "pictures_seen": (optimise.steps or 0) * optimise.batch_size,
        "learning_rate": optimise.learning_rate,
        "crop": recipe.augment.crop or "",
    }
    (folder / "cost.json").write_text(json.dumps(cost | {"validation": figures}, indent=1))
    print(folder.name, cost, figures, flush=True)


def measure_statistics(recipe: RivalRecipe, weights: Path) -> None:
    """Batch normalisation's statistics of the trained network, as the mean over some batches as training sees them."""
    rival: Published = open_rival(recipe.rival, [weights])
    rows, _ = rows_of(recipe)
    pictures = RivalPictures(rows, recipe, MemoryBudget(0))
    size = recipe.optimise.batch_size
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:_STATISTICS]
    batches = (torch.cat([pictures[10_000, int(n)][0] for n in part]) for part in chosen.split(size))
    (network,) = (rival.get_submodule(part) for part in rival.trained_parts())
    torch.optim.swa_utils.update_bn(batches, network)
    save_trained(rival, weights)
