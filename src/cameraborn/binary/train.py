"""Training a binary detector: its recipe through the loop of every training.

The run's `network.safetensors` holds the frozen encoder, the trained one and the head.
"""

from __future__ import annotations

from pathlib import Path

from cameraborn.binary.objective import BinaryObjective
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.train import loop


def train_binary(
    recipe: BinaryRecipe, folder: Path, report: loop.Report = lambda _: None
) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`, see `train.loop.train`; return the last validation figures."""
    return loop.train(BinaryObjective, recipe, folder, report)
