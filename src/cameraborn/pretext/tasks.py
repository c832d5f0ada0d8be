"""The registry of pretext tasks: a tag to rank, a tag to classify, a manipulation of the face to detect.

One entry is all that a new task needs: its head, loss, validation figure and tests follow from it. Those of SDAIE
(arXiv 2512.05651) are all fourteen: it classifies make, model, flash, metering mode, exposure mode, white balance and
scene capture type, and ranks seven more, whose names its code does not give. Those of BLADES (arXiv 2507.22824) are all
eleven, with the classes and the order of its code, so that its checkpoints' outputs mean what they meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cameraborn.pseudo.names import RECONSTRUCTED

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
        kind: of a tag `rank` (pairwise fidelity), `level` (the same, of the expected level), `classify` (cross-entropy)
            or `focal` (focal fidelity); else `manipulation` (fidelity; 1 = manipulated), `regions` (of each), or
            `classify` without a tag: whether the whole picture was reconstructed (`pretext.reconstruct`).
        classes: names of the levels, classes, regions, or of what an original and a manipulated face are called.
        class_of: the name of a value's class; None where the value says nothing.
    """

    name: str
    tag: str
    kind: Literal["rank", "level", "classify", "focal", "manipulation", "regions"]
    classes: tuple[str, ...] = ()
    class_of: Callable[[object], str | None] = lambda value: None

    @property
    def outputs(self) -> int:
        """Width of the task's head."""
        return max(1, len(self.classes))

    @property
    def ordered(self) -> bool:
        """Whether the tag's values are ranked."""
        return self.kind in ("rank", "level")

    @property
    def artificial(self) -> bool:
        """Whether what is learnt was done to the picture by us."""
        return not self.tag

    @property
    def of_faces(self) -> bool:
        """Whether it was done to the face, so that the network must see faces."""
        return self.kind in ("manipulation", "regions")

    def target(self, exif: Mapping[str, object]) -> float:
        """The value to learn: the tag itself, or the index of its class; nan where the photograph lacks it.

        Of manipulations EXIF says nothing: their target is nan here, and the dataset's to give.
        """
        value = exif.get(self.tag)
        if self.ordered:
            return float(value) if isinstance(value, int | float) else math.nan
        name = self.class_of(value)
        return math.nan if name is None else float(self.classes.index(name))

    def label(self, manipulation: str) -> float:
        """What to say of a picture after a manipulation (empty: none): 1 if there was one; of regions a bit field.

        Bit r is set if region r was manipulated, so that every task has one number; `fidelity.region_labels` reads it.
        A task of faces has nothing to say of what was reconstructed, nor the task `reconstructed` of what was done to a
        face.
        """
        if manipulation and self.of_faces == (manipulation == RECONSTRUCTED):
            return math.nan
        if not self.of_faces or self.kind == "manipulation":
            return float(manipulation != "")
        return float(
            sum(1 << bit for bit, region in enumerate(self.classes) if region in MANIPULATED[manipulation])
        )


Classes = tuple[tuple[str, ...], Callable[[object], str | None]]  # the last two fields of a task


def beginning(names: tuple[str, ...], rest: str = "other") -> Classes:
    """Classes of texts by what they begin with, in any case of letters; any other text is the last, `rest`."""

    def class_of(value: object) -> str | None:
        if not isinstance(value, str):
            return None
        text = value.strip().lower()
        return next((name for name in names if text.startswith(name)), rest)

    return (*names, rest), class_of


def coded(names: Mapping[int, str]) -> Classes:
    """Classes of EXIF codes; a code that EXIF keeps for later says nothing."""
    return tuple(names.values()), lambda value: names.get(value) if isinstance(value, int) else None


def listed(names: tuple[str, ...], codes: Mapping[int, str]) -> Classes:
    """Classes in a published order; some of them no EXIF code means, as cameras say them in notes of their own."""
    return names, coded(codes)[1]


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

# BLADES' classes, in the order of its prompts.
LEVELS = ("low", "medium", "high")
BLADES_MAKERS = ("nikon", "apple", "fujifilm", "canon", "samsung", "sony", "panasonic", "nokia", "pentax")
BLADES_METERING = listed(
    ("average", "centerweighted", "others", "partial", "spot", "multi-spot", "multi-segment", "evaluative"),
    {
        1: "average",
        2: "centerweighted",
        3: "spot",
        4: "multi-spot",
        5: "multi-segment",
        6: "partial",
        255: "others",
    },
)
BLADES_EXPOSURE_MODES = listed(
    (
        "auto",
        "auto-bracketing",
        "program",
        "manual",
        "aperture-priority",
        "easy-shooting",
        "shutter-priority",
    ),
    {0: "auto", 1: "manual", 2: "auto-bracketing"},
)
BLADES_PROGRAMS = listed(
    ("landscape", "manual control", "normal program", "portrait", "shutter priority", "aperture priority"),
    {
        1: "manual control",
        2: "normal program",
        3: "aperture priority",
        4: "shutter priority",
        7: "portrait",
        8: "landscape",
    },
)

REGIONS = ("mouth", "eye", "nose")
MANIPULATED: Mapping[str, tuple[str, ...]] = {  # by `pretext.manipulate.Kind`
    "": (),
    "mouth": ("mouth",),
    "mouth-vertical": ("mouth",),
    "eye": ("eye",),
    "nose": ("nose",),
    "affine": REGIONS,
}

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
        Task("reconstructed", "", "classify", ("photograph", "reconstructed")),
        Task("blades_iso", "iso", "level", LEVELS),
        Task("blades_fnumber", "fnumber", "level", LEVELS),
        Task("blades_exposure", "exposure_time_s", "level", LEVELS),
        Task("blades_focal", "focal_length_mm", "level", LEVELS),
        Task("blades_make", "make", "focal", *beginning(BLADES_MAKERS, "others")),
        Task("blades_metering", "metering", "focal", *BLADES_METERING),
        Task("blades_exposure_mode", "exposure_mode", "focal", *BLADES_EXPOSURE_MODES),
        Task("blades_white_balance", "white_balance", "focal", *coded({0: "auto", 1: "manual"})),
        Task("blades_program", "exposure_program", "focal", *BLADES_PROGRAMS),
        Task("blades_coarse", "", "manipulation", ("photographic", "manipulated")),
        Task("blades_fine", "", "regions", REGIONS),
    )
}

_VALUE = "a photo of a face with the {} value of "

# BLADES' prompts in the order of its logits; the words that fill the gap are the task's classes.
TEMPLATES: dict[str, str] = {
    "blades_iso": _VALUE + "ISO",
    "blades_fnumber": _VALUE + "aperture",
    "blades_exposure": _VALUE + "exposure time",
    "blades_focal": _VALUE + "focal length",
    "blades_make": "a photo of a face with the camera make {}",
    "blades_metering": "a photo of a face with the metering mode {}",
    "blades_exposure_mode": "a photo of a face with the exposure mode {}",
    "blades_white_balance": "a photo of a face with the white balance {}",
    "blades_program": "a photo of a face with the exposure program {}",
    "blades_coarse": "a {} face",
    "blades_fine": "a photo of a face with a manipulated {}",
}
