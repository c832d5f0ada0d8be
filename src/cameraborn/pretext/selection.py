"""Which rows of a manifest a recipe trains and validates on, and why it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.errors import ManifestError
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.tasks import TASKS, Task
from cameraborn.pseudo.names import RECONSTRUCTED


def select_rows(recipe: Recipe) -> tuple[list[Row], list[Row]]:
    """The rows to train on and to validate on: photographs, permitted, that some task can learn from.

    Raises:
        ManifestError: one of the two is too small, a group is in both, or a tag is the same everywhere.
    """
    data = recipe.data
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    chosen: dict[str, list[Row]] = {data.train_split: [], data.val_split: []}
    for row in read_manifest(data.manifest):
        wanted = row.split in chosen and row.label == "photo" and (not data.kinds or row.kind in data.kinds)
        # Rows for research may be measured on; weights to give away must not learn from them.
        permitted = row.split == data.val_split or data.allow_research_only or not row.research_only
        if wanted and permitted and any(_teaches(row, task) for task in tasks):
            chosen[row.split].append(row)
    # Faces manipulated on disk: to be learnt from; validation makes its own, the same way for each kind.
    chosen[data.val_split] = [
        row for row in chosen[data.val_split] if row.manipulation in ("", RECONSTRUCTED)
    ]
    train_rows, val_rows = chosen[data.train_split], chosen[data.val_split]
    for split, rows, least in (
        (data.train_split, train_rows, recipe.optimise.pictures * recipe.optimise.accumulate),
        (data.val_split, val_rows, 2),
    ):
        if len(rows) < least:
            raise ManifestError(
                f"{data.manifest}: {len(rows)} usable photographs in split '{split}', {least} are needed: "
                "import more, or mend the recipe's splits and kinds"
            )
    shared = {row.group for row in train_rows} & {row.group for row in val_rows} - {""}
    if shared:
        raise ManifestError(
            f"{data.manifest}: group '{min(shared)}' is in both splits: run 'cameraborn data split' again"
        )
    _check_variety(data.manifest, train_rows, tasks)
    if data.val_limit is not None and len(val_rows) > data.val_limit:
        val_rows = [val_rows[i * len(val_rows) // data.val_limit] for i in range(data.val_limit)]
    return train_rows, val_rows


def check_enough(recipe: Recipe, lower: Sequence[Row], upper: Sequence[Row], world: int) -> None:
    """See that both levels of the bi-level weighting have a batch.

    Raises:
        ManifestError: one has not.
    """
    needed = recipe.optimise.pictures * recipe.optimise.accumulate
    if len(lower) < needed or len(upper) < world:
        raise ManifestError(
            f"{recipe.data.manifest}: {len(lower)} photographs are left to train on and {len(upper)} to weigh the "
            f"tasks by, {needed} and {world} are needed: import more, or mend bilevel.upper_share"
        )


def check_files(manifest: Path, rows: Sequence[Row]) -> None:
    """See that every picture is there, before hours of training find out.

    Raises:
        ManifestError: some are not.
    """
    missing = [row.path for row in rows if not Path(row.path).is_file()]
    if missing:
        raise ManifestError(
            f"{manifest}: {len(missing)} of {len(rows)} pictures are missing, {missing[0]} first: put them back, "
            "or import the data again"
        )


def _teaches(row: Row, task: Task) -> bool:
    # Every face can be manipulated; whether a picture shows one is seen when it is read.
    return any(math.isfinite(value) for value in task.target(row.exif, row.manipulation))


def _check_variety(manifest: Path, rows: Sequence[Row], tasks: Sequence[Task]) -> None:
    for task in tasks:
        if task.name == RECONSTRUCTED and len({bool(row.manipulation) for row in rows}) < 2:
            raise ManifestError(
                f"{manifest}: task '{RECONSTRUCTED}' needs photographs and reconstructed ones: "
                "make them with 'cameraborn data reconstruct'"
            )
        if not task.tag:
            continue
        values = {value for row in rows for value in task.target(row.exif) if math.isfinite(value)}
        if len(values) < 2:
            known = f"the same {task.tag} ({values.pop():g})" if values else f"no {task.tag}"
            raise ManifestError(
                f"{manifest}: all training photographs have {known}, so task '{task.name}' has no pairs to learn from: "
                "import photographs of other cameras and settings, or take the task out of the recipe"
            )
