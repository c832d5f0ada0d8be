"""The registry of pretext tasks: a tag to rank, a tag to classify, a manipulation of the face to detect.

One entry is all that a new task needs: its head, loss, validation figure and tests follow from its kind (`kinds`).
Those of SDAIE (arXiv 2512.05651) are all fourteen: it classifies make, model, flash, metering mode, exposure mode,
white balance and scene capture type, and ranks seven more, whose names its code does not give. Those of BLADES (arXiv
2507.22824) are all eleven, with the classes and the order of its code, so that its checkpoints' outputs mean what they
meant. `fc1` to `fc14` are SDAIE's fourteen by the numbers of its authors' heads. They are learnt from the labels of
their published data alone (`data.adapters.sdaie`), whose classes have numbers for names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

from cameraborn.data.adapters.sdaie import CLASSES, TAGS_LEARNT
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
FIVE_LEVELS = ("ultra-low", *LEVELS, "ultra-high")  # an option of its code
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
BLADES_WHITE_BALANCES = coded({0: "auto", 1: "manual"})
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

_FACE = "a photo of a face with the "
_VALUE = _FACE + "{} value of "

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
    Focal("blades_make", "make", *beginning(BLADES_MAKERS, "others"), prompt=_FACE + "camera make {}"),
    Focal("blades_metering", "metering", *BLADES_METERING, prompt=_FACE + "metering mode {}"),
    Focal("blades_exposure_mode", "exposure_mode", *BLADES_EXPOSURE_MODES, prompt=_FACE + "exposure mode {}"),
    Focal("blades_white_balance", "white_balance", *BLADES_WHITE_BALANCES, prompt=_FACE + "white balance {}"),
    Focal("blades_program", "exposure_program", *BLADES_PROGRAMS, prompt=_FACE + "exposure program {}"),
    Manipulation("blades_coarse", classes=("photographic", "manipulated"), prompt="a {} face"),
    Regions("blades_fine", classes=REGIONS, prompt="a photo of a face with a manipulated {}"),
):
    TASKS.add(_task.name, _task)
for _place in range(TAGS_LEARNT):
    _name, _classes = f"fc{_place + 1}", CLASSES.get(_place)
    if _classes is None:
        TASKS.add(_name, Rank(_name))
    else:
        TASKS.add(_name, Classify(_name, classes=tuple(map(str, range(_classes[1])))))


def chosen(names: Iterable[str], levels: Literal[3, 5] = 3) -> list[Task]:
    """The tasks of these names; those that rank by levels (BLADES') have so many."""
    named = [TASKS[name] for name in names]
    if levels == 3:
        return named
    return [replace(task, classes=FIVE_LEVELS) if isinstance(task, Level) else task for task in named]
