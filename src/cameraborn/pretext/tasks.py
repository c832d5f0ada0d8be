"""The registry of pretext tasks: a tag to rank, a tag to classify, a manipulation of the face to detect.

One entry is all that a new task needs: its head, loss, validation figure and tests follow from its kind (`kinds`).
Those of SDAIE (arXiv 2512.05651) are all fourteen: it classifies make, model, flash, metering mode, exposure mode,
white balance and scene capture type, and ranks seven more, whose names its code does not give. Those of BLADES (arXiv
2507.22824) are all eleven, with the classes and the order of its code, so that its checkpoints' outputs mean what they
meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cameraborn.pretext.kinds import Classify, Focal, Level, Manipulation, Rank, Reconstruction, Regions
from cameraborn.pretext.kinds import Task as Task
from cameraborn.pseudo.names import RECONSTRUCTED, REGIONS
from cameraborn.registry import Registry

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


Classes = tuple[tuple[str, ...], Callable[[object], str | None]]  # `classes` and `class_of` of a task


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

_VALUE = "a photo of a face with the {} value of "

TASKS: Registry[Task] = Registry("task")
for _task in (
    Rank("iso", "iso"),
    Rank("fnumber", "fnumber"),
    Rank("exposure", "exposure_time_s"),
    Rank("focal", "focal_length_mm"),
    Rank("focal_35mm", "focal_35mm"),
    Rank("exposure_bias", "exposure_bias_ev"),
    Rank("brightness", "brightness_ev"),
    Classify("make", "make", *beginning(MAKERS)),
    Classify("model", "model", *beginning(FAMILIES)),
    Classify("flash", "flash", *flash_use()),
    Classify("metering", "metering", *coded(METERING)),
    Classify("exposure_mode", "exposure_mode", *coded(EXPOSURE_MODES)),
    Classify("white_balance", "white_balance", *coded(WHITE_BALANCES)),
    Classify("scene", "scene_type", *coded(SCENES)),
    Manipulation("face"),
    Reconstruction(RECONSTRUCTED, classes=("photograph", "reconstructed")),
    # BLADES' in the order of its logits.
    Level("blades_iso", "iso", LEVELS, prompt=_VALUE + "ISO"),
    Level("blades_fnumber", "fnumber", LEVELS, prompt=_VALUE + "aperture"),
    Level("blades_exposure", "exposure_time_s", LEVELS, prompt=_VALUE + "exposure time"),
    Level("blades_focal", "focal_length_mm", LEVELS, prompt=_VALUE + "focal length"),
    Focal(
        "blades_make",
        "make",
        *beginning(BLADES_MAKERS, "others"),
        prompt="a photo of a face with the camera make {}",
    ),
    Focal(
        "blades_metering",
        "metering",
        *BLADES_METERING,
        prompt="a photo of a face with the metering mode {}",
    ),
    Focal(
        "blades_exposure_mode",
        "exposure_mode",
        *BLADES_EXPOSURE_MODES,
        prompt="a photo of a face with the exposure mode {}",
    ),
    Focal(
        "blades_white_balance",
        "white_balance",
        *coded({0: "auto", 1: "manual"}),
        prompt="a photo of a face with the white balance {}",
    ),
    Focal(
        "blades_program",
        "exposure_program",
        *BLADES_PROGRAMS,
        prompt="a photo of a face with the exposure program {}",
    ),
    Manipulation("blades_coarse", classes=("photographic", "manipulated"), prompt="a {} face"),
    Regions("blades_fine", classes=REGIONS, prompt="a photo of a face with a manipulated {}"),
):
    TASKS.add(_task.name, _task)
