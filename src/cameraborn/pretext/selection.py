"""Which rows of a manifest pretext training learns from and is validated on, and why it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cameraborn.data.manifest import Row
from cameraborn.data.select import check_files, check_groups_apart, evenly, select_each
from cameraborn.errors import ManifestError
from cameraborn.pretext.face_rows import faces_among, with_faces
from cameraborn.pretext.tasks import Task
from cameraborn.pseudo.names import RECONSTRUCTED
from cameraborn.train.recipe import DataSection

_FEWEST_TO_VALIDATE = 2


class Selected(NamedTuple):
    """Rows to train on and to validate on, and what a user should know of them.

    Variants of faces to train on stand apart: each is shown in place of its face (`pretext.face_rows`).
    """

    train: Sequence[Row]
    variants: Sequence[Row]
    val: Sequence[Row]
    notices: tuple[str, ...]


def select_rows(
    data: DataSection, tasks: Sequence[Task], pictures_a_step: int, *, faces: bool = False
) -> Selected:
    """The rows to train on and to validate on: photographs, permitted, that some task can learn from.

    Args:
        data: of the recipe.
        tasks: what is learnt.
        pictures_a_step: that training needs at least.
        faces: the network sees faces: each row then has the box of one.

    Raises:
        ManifestError: one of the two is too small, a group is in both, or every tag is the same everywhere.
    """
    # Faces manipulated on disk: to be learnt from; validation makes its own, the same way for each kind.
    untouched = ("", RECONSTRUCTED)
    train_rows, val_rows = (
        [row for row in rows if any(_teaches(row, task) for task in tasks)]
        for rows in select_each(
            data.manifest,
            data.train_selection(label="photo"),
            data.val_selection(label="photo", manipulations=untouched),
        )
    )
    faceless, variants = 0, list[Row]()
    if faces:
        listed = len(train_rows) + len(val_rows)
        boxless = [row for row in (*train_rows, *val_rows) if row.box is None]
        check_files(data.manifest, boxless)
        train_rows, val_rows = with_faces(train_rows), with_faces(val_rows)
        faceless = listed - len(train_rows) - len(val_rows)
        shown = faces_among(train_rows)
        variants = [train_rows[place] for face in shown for place in face.variants.values()]
        train_rows = [train_rows[face.place] for face in shown]
    for split, rows, fewest in (
        (data.train_split, train_rows, pictures_a_step),
        (data.val_split, val_rows, _FEWEST_TO_VALIDATE),
    ):
        if len(rows) < fewest:
            raise ManifestError(
                f"{data.manifest}: {len(rows)} usable photographs in split '{split}'"
                f"{', as ' + str(faceless) + ' show no face' if faceless else ''}, {fewest} are needed: "
                "import more, or fix the recipe's splits and kinds"
            )
    check_groups_apart(data.manifest, train_rows, val_rows)
    notices = [f"{data.manifest}: {faceless} photographs show no face and are left out"] if faceless else []
    notices += _check_variety(data.manifest, train_rows, tasks)
    return Selected(train_rows, variants, evenly(val_rows, data.val_limit), tuple(notices))


def check_levels(
    manifest: Path, lower: Sequence[Row], upper: Sequence[Row], pictures_a_step: int, world: int
) -> None:
    """See that both levels of the bi-level weighting have a batch.

    Raises:
        ManifestError: one has not.
    """
    if len(lower) < pictures_a_step or len(upper) < world:
        raise ManifestError(
            f"{manifest}: {len(lower)} photographs are left to train on and {len(upper)} to weigh the tasks by, "
            f"{pictures_a_step} and {world} are needed: import more, or fix bilevel.upper_share"
        )


def _teaches(row: Row, task: Task) -> bool:
    # Every face can be manipulated; whether a picture shows one is seen when it is read.
    said = task.target({}, row.manipulation) if task.of_faces else task.of_row(row)
    return any(math.isfinite(value) for value in said)


def _check_variety(manifest: Path, rows: Sequence[Row], tasks: Sequence[Task]) -> list[str]:
    """A line for each task that these rows cannot teach; an error if they teach none."""
    idle = list[str]()
    for task in tasks:
        if task.name == RECONSTRUCTED and len({bool(row.manipulation) for row in rows}) < 2:
            raise ManifestError(
                f"{manifest}: task '{RECONSTRUCTED}' needs photographs and reconstructed ones: "
                "make them with 'cameraborn data reconstruct'"
            )
        if task.of_faces or task.name == RECONSTRUCTED:
            continue
        values = {value for row in rows for value in task.of_row(row) if math.isfinite(value)}
        if len(values) < 2:
            tag = task.tag or f"label {task.name}"
            known = f"the same {tag} ({values.pop():g})" if values else f"no {tag}"
            idle.append(
                f"{manifest}: all training photographs have {known}, so task '{task.name}' has no pairs to learn from: "
                "import photographs of other cameras and settings, or take the task out of the recipe"
            )
    if len(idle) == len(tasks):
        raise ManifestError(idle[0])
    return idle
