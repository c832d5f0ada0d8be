"""Training a rival by its recipe: what `cameraborn train` does with `kind = "rival"`.

A run leaves `network.safetensors`: all parts of the rival, which a benchmark opens with the run's record of what was
learnt from beside it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from cameraborn.binary.dataset import labels_of
from cameraborn.rivals.dataset import RivalPictures
from cameraborn.rivals.objective import RivalObjective, Trained
from cameraborn.rivals.recipe import RivalRecipe
from cameraborn.rivals.univfd import UnivFDNearest
from cameraborn.rivals.weights import save_trained
from cameraborn.train import loop
from cameraborn.train.processes import process_group


def train_rival(recipe: RivalRecipe, folder: Path, report: loop.Report = lambda _: None) -> dict[str, float]:
    """Run (or go on with) a recipe in `folder`; return the last validation figures.

    Raises:
        RecipeError: the recipe cannot be trained, the folder belongs to another one, or a loss is no number any more.
        ManifestError: too few rows, or pictures are missing.
        PictureError: a picture cannot be read.
    """
    with process_group() as processes:
        loop.configure(recipe.optimise, processes)
        aim = RivalObjective(recipe, processes)
        loop.start(recipe, folder, processes, aim.rows, aim.val_rows, aim.weights_from)
        if isinstance(aim.published, UnivFDNearest):
            figures = _fill(aim, aim.published)
            published = aim.published
        else:
            network, figures = loop.fit(aim, recipe, folder, processes, report)
            published = network.published
        if processes.is_main:
            save_trained(published, folder / "network.safetensors")
        return figures


def _fill(aim: RivalObjective, rival: UnivFDNearest) -> dict[str, float]:
    """All the training that nearest neighbours need: their features, each picture as it is."""
    device = aim.processes.device
    rival.to(device)
    pictures = RivalPictures(aim.rows, aim.recipe, aim.budget, augmented=False)
    features = [rival.prepare(pictures[0, index][0].to(device)) for index in range(len(pictures))]
    rival.remember(torch.cat(features), labels_of(aim.rows))
    return aim.validator()(Trained(rival))
