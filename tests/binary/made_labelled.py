"""Toys made by formula for the tests of a binary detector."""

import torch
from safetensors.torch import save_file

from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.data.manifest import read_manifest, write_manifest

NEVER = {"resize_probability": 0.0, "blur_probability": 0.0, "jpeg_probability": 0.0}


NETWORKS = {
    "patch": {"type": "patch", "widths": [6, 8, 8, 8], "features": 8},
    "sdaie": {"type": "sdaie"},
}


def recipe_of(manifest, network="patch", **changes):
    weights = manifest.with_name(f"{network}.safetensors")
    fields = {
        "kind": "binary",
        "data": {"manifest": str(manifest)},
        "network": NETWORKS[network],
        "weights": str(weights),
        "augment": NEVER,
        "optimise": {
            "steps": 4,
            "batch_size": 6,
            "patches": 2,
            "warmup": 0,
            "precision": "float32",
            "threads": 1,
            "workers": 0,
        }
        | changes.pop("optimise", {}),
        "log": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2},
    }
    recipe = BinaryRecipe.model_validate(fields | changes)
    if not weights.exists():
        torch.manual_seed(5)
        encoder = recipe.network.encoder().state_dict()
        save_file({f"encoder.{name}": value for name, value in encoder.items()}, weights)
    return recipe


def changed(labelled, path, change):
    rows = [row.model_copy(update=change(row)) for row in read_manifest(labelled)]
    write_manifest(rows, path)
    return path
