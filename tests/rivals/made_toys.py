"""Toys that rivals learn from, and recipes that name them."""

import numpy as np
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.rivals.published import make
from cameraborn.rivals.recipe import RivalRecipe

FACE = [(30 + 20 * np.cos(a), 32 + 24 * np.sin(a)) for a in np.linspace(0, 6.2, 68)]


QUICK = {"threads": 1, "workers": 0}


def recipe_of(toys, rival="tiny-ladeda", **changes):
    fields = {
        "kind": "rival",
        "rival": rival,
        "data": {"manifest": str(toys)},
        "optimise": {
            "learning_rate": 1e-2,
            "steps": 4,
            "batch_size": 4,
            **QUICK,
            **changes.pop("optimise", {}),
        },
        "log": {"log_every": 1, "validate_every": 2, "checkpoint_every": 2},
    }
    return RivalRecipe.model_validate(fields | changes)


def make_trained(name):
    rival = make(name)
    rival.start_training()
    rival.count_as_trained()
    return rival


def made_toys(folder):
    """12 pictures to train on and 8 to validate on: grainy photographs with landmarks, smooth generated ones."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(20):
        generated = number % 2 == 1
        y, x = np.mgrid[:64, :64]
        scene = 120 + 40 * np.sin(x / rng.uniform(5, 20)) + y / 4
        grain = rng.normal(0, 0.2 if generated else 12.0, (64, 64, 3))
        path = folder / f"{number:02}.png"
        Image.fromarray((scene[:, :, None] + grain).clip(0, 255).astype(np.uint8)).save(path)
        rows.append(
            Row(
                path=str(path),
                sha256=sha256_of(path),
                split="train" if number < 12 else "val",
                label="generated" if generated else "photo",
                generator="gan" if generated else "",
                landmarks=None if generated else FACE,
                group=f"group-{number}",
            )
        )
    write_manifest(rows, folder / "manifest.jsonl")
    return folder / "manifest.jsonl"
