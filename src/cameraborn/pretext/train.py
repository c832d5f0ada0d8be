"""Training on what photographs alone tell: a pretext recipe through the loop of every training."""

from __future__ import annotations

from pathlib import Path

from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.recipe import Recipe
from cameraborn.train import loop


def train(recipe: Recipe, folder: Path, report: loop.Report = lambda _: None) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`, see `train.loop.train`; return the last validation figures."""
    return loop.train(PretextObjective, recipe, folder, report)
