"""Toys made by formula for the tests of a detector of known generators."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cameraborn.binary.generators import GeneratorsObjective
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.data.manifest import Row, sha256_of
from cameraborn.train.loop import train
from cameraborn.train.processes import Processes

ROOT = Path(__file__).resolve().parents[2]


CONFIGS = sorted((ROOT / "configs").glob("generators_*.toml"))


BOX = (20.0, 20.0, 108.0, 108.0)


SMALL = {"type": "patch", "widths": [6, 8], "features": 8}


CPU = Processes(torch.device("cpu"))


def face(rng, grain):
    """A picture [128 128 3] of waves with grain: of photographs it is strong, of fakes weak."""
    y, x = np.mgrid[:128, :128]
    scene = 120 + 40 * np.sin(x / rng.uniform(5, 20) + rng.uniform(0, 6)) + y / 8
    return (scene[:, :, None] + rng.normal(0, grain, (128, 128, 3))).clip(0, 255).astype(np.uint8)


def written(path, pixels, **fields):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)
    return Row(path=str(path), sha256=sha256_of(path), **fields)


def recipe_of(toys, *, optimise=None, data=None, **changes):
    fields = {
        "kind": "generators",
        "data": {
            "manifest": str(toys / "faces.jsonl"),
            "more_manifests": [str(toys / "pairs.jsonl")],
            **(data or {}),
        },
        "network": SMALL,
        "patches": [{"side": 64, "share": 0.5}, {"side": 96, "count": 2, "share": 0.5}],
        "optimise": {
            "steps": 4,
            "batch_size": 8,
            "warmup": 0,
            "precision": "float32",
            "threads": 1,
            "workers": 0,
        }
        | (optimise or {}),
        "log": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2},
    }
    return GeneratorsRecipe.model_validate(fields | changes)


def objective_of(recipe, folder, processes=CPU):
    return GeneratorsObjective(recipe, processes, folder=folder)


def trained(recipe, folder):
    return train(lambda recipe, processes: objective_of(recipe, folder, processes), recipe, folder)
