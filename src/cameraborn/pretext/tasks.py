"""The registry of pretext tasks: a tag to rank, a tag to classify, a manipulation of the face to detect.

One entry is all that a new task needs: its head, loss, validation figure and tests follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MAKERS = (
    "canon",
    "nikon",
    "sony",
    "apple",
    "samsung",
    "fujifilm",
    "google",
    "panasonic",
    "olympus",
    "xiaomi",
    "motorola",
    "pentax",
)


@dataclass(frozen=True)
class Task:
    """One thing to learn from a photograph: from its EXIF, or from what we did to its face.

    Attributes:
        name: the task and its head.
        tag: the EXIF field (see `photo.exif.Exif`); none for a manipulation.
        kind: `rank` (pairwise fidelity), `classify` (cross-entropy) or `manipulation` (fidelity; 1 = manipulated).
        classes: names of the classes; the last one, `other`, takes what no class names.
    """

    name: str
    tag: str
    kind: Literal["rank", "classify", "manipulation"]
    classes: tuple[str, ...] = field(default=())

    @property
    def outputs(self) -> int:
        """Width of the task's head."""
        return len(self.classes) if self.kind == "classify" else 1

    def target(self, exif: Mapping[str, object]) -> float:
        """The value to learn: the tag itself, or the index of its class; nan where the photograph lacks it.

        Of manipulations EXIF says nothing: their target is nan here, and the dataset's to give.
        """
        value = exif.get(self.tag)
        if self.kind == "rank":
            return float(value) if isinstance(value, int | float) else math.nan
        if not isinstance(value, str):
            return math.nan
        word = value.strip().lower().split()
        name = word[0].rstrip(",") if word else ""
        return float(self.classes.index(name) if name in self.classes else len(self.classes) - 1)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("iso", "iso", "rank"),
        Task("fnumber", "fnumber", "rank"),
        Task("exposure", "exposure_time_s", "rank"),
        Task("focal", "focal_length_mm", "rank"),
        Task("make", "make", "classify", (*MAKERS, "other")),
        Task("face", "", "manipulation"),
    )
}
