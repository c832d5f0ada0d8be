"""The registry of pretext tasks: a tag to rank, a tag to classify, a manipulation of the face to detect.

One entry is all that a new task needs: its head, loss, validation figure and tests follow from it. Those of SDAIE
(arXiv 2512.05651) are all fourteen: it classifies make, model, flash, metering mode, exposure mode, white balance and
scene capture type, and ranks seven more, whose names its code does not give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
# How the models of a family begin: there are far too many models for a class each.
FAMILIES = (
    "iphone",
    "sm-",
    "pixel",
    "redmi",
    "canon eos",
    "canon powershot",
    "nikon d",
    "nikon z",
    "ilce-",
    "dsc-",
)


@dataclass(frozen=True)
class Task:
    """One thing to learn from a photograph: from its EXIF, or from what we did to its face.

    Attributes:
        name: the task and its head.
        tag: the EXIF field (see `photo.exif.Exif`); none for a manipulation.
        kind: `rank` (pairwise fidelity), `classify` (cross-entropy) or `manipulation` (fidelity; 1 = manipulated).
        classes: names of the classes.
        class_of: the name of a value's class; None where the value says nothing.
    """

    name: str
    tag: str
    kind: Literal["rank", "classify", "manipulation"]
    classes: tuple[str, ...] = ()
    class_of: Callable[[object], str | None] = lambda value: None

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
        name = self.class_of(value)
        return math.nan if name is None else float(self.classes.index(name))


Classes = tuple[tuple[str, ...], Callable[[object], str | None]]  # the last two fields of a task


def beginning(names: tuple[str, ...]) -> Classes:
    """Classes of texts by what they begin with, in any case of letters; any other text is `other`."""

    def class_of(value: object) -> str | None:
        if not isinstance(value, str):
            return None
        text = value.strip().lower()
        return next((name for name in names if text.startswith(name)), "other")

    return (*names, "other"), class_of


def coded(names: Mapping[int, str]) -> Classes:
    """Classes of EXIF codes; a code that EXIF keeps for later says nothing."""
    return tuple(names.values()), lambda value: names.get(value) if isinstance(value, int) else None


def flash_use() -> Classes:
    """What EXIF's bit field says of the flash: whether it fired, and if not, what it was set to.

    Bit 0 says that it fired; bits 3 and 4 are the mode: 0 not stated, 1 on, 2 off, 3 automatic.
    """
    modes = ("unstated", "on", "off", "automatic")

    def class_of(value: object) -> str | None:
        if not isinstance(value, int):
            return None
        return "fired" if value & 1 else modes[value >> 3 & 3]

    return ("fired", *modes), class_of


METERING = {1: "average", 2: "centre", 3: "spot", 4: "multi-spot", 5: "pattern", 6: "partial", 255: "other"}
EXPOSURE_MODES = {0: "automatic", 1: "manual", 2: "bracket"}
WHITE_BALANCES = {0: "automatic", 1: "manual"}
SCENES = {0: "standard", 1: "landscape", 2: "portrait", 3: "night"}

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("iso", "iso", "rank"),
        Task("fnumber", "fnumber", "rank"),
        Task("exposure", "exposure_time_s", "rank"),
        Task("focal", "focal_length_mm", "rank"),
        Task("focal_35mm", "focal_35mm", "rank"),
        Task("exposure_bias", "exposure_bias_ev", "rank"),
        Task("brightness", "brightness_ev", "rank"),
        Task("make", "make", "classify", *beginning(MAKERS)),
        Task("model", "model", "classify", *beginning(FAMILIES)),
        Task("flash", "flash", "classify", *flash_use()),
        Task("metering", "metering", "classify", *coded(METERING)),
        Task("exposure_mode", "exposure_mode", "classify", *coded(EXPOSURE_MODES)),
        Task("white_balance", "white_balance", "classify", *coded(WHITE_BALANCES)),
        Task("scene", "scene_type", "classify", *coded(SCENES)),
        Task("face", "", "manipulation"),
    )
}
