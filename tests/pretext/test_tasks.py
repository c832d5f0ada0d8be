"""Every task in the registry, by its being there."""

import math
from dataclasses import fields

import pytest

from cameraborn.photo.exif import TAGS, Exif
from cameraborn.pretext.tasks import TASKS

KINDS = {tag.name: tag.kind for tag in TAGS}
UNCODED = {  # classes of BLADES that cameras say in notes of their own
    "blades_metering": {"evaluative"},
    "blades_exposure_mode": {"program", "aperture-priority", "easy-shooting", "shutter-priority"},
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task(task):
    assert TASKS[task.name] is task
    if task.artificial:
        assert task.outputs == max(1, len(task.classes))
        assert task.label("") == 0 < task.label("affine" if task.of_faces else "reconstructed")
        assert math.isnan(task.label("reconstructed" if task.of_faces else "affine"))
        assert math.isnan(task.target({"": 1.0, "iso": 100.0}))
        return
    assert task.tag in {field.name for field in fields(Exif)}
    assert math.isnan(task.target({}))
    assert math.isnan(task.target({task.tag: None}))
    if task.ordered:
        assert task.outputs == (1 if task.kind == "rank" else 3)
        assert task.target({task.tag: 2}) < task.target({task.tag: 2.5})
        assert task.target({task.tag: -1.5}) == -1.5
        assert math.isnan(task.target({task.tag: "2"}))
        return
    assert task.outputs == len(task.classes) == len(set(task.classes)) >= 2
    if KINDS[task.tag] == "text":
        assert task.classes[-1].startswith("other")
        for index, name in enumerate(task.classes):
            assert task.target({task.tag: f" {name.upper()}7 of something"}) == index
        assert task.target({task.tag: "a thing nobody has heard of"}) == task.outputs - 1
        assert math.isnan(task.target({task.tag: 3}))
    else:  # every class is some code's, and no code makes another number
        targets = {task.target({task.tag: code}) for code in range(256)}
        reached = {task.classes[int(target)] for target in targets if not math.isnan(target)}
        assert set(task.classes) - reached == UNCODED.get(task.name, set())
        assert math.isnan(task.target({task.tag: task.classes[0]}))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("make", "NIKON CORPORATION", "nikon"),
        ("make", "Canon", "canon"),
        ("make", "OLYMPUS, Tokyo", "olympus"),
        ("make", "", "other"),
        ("model", "iPhone 14 Pro Max", "iphone"),
        ("model", "Canon EOS R6m2", "canon eos"),
        ("model", "SM-G970U", "sm-"),
        ("model", "X-T20", "other"),
        ("flash", 0, "unstated"),
        ("flash", 9, "fired"),
        ("flash", 16, "off"),
        ("flash", 24, "automatic"),
        ("flash", 93, "fired"),
        ("metering", 5, "pattern"),
        ("metering", 255, "other"),
        ("metering", 0, None),
        ("exposure_mode", 2, "bracket"),
        ("white_balance", 2, None),
        ("scene", 3, "night"),
        ("blades_make", "NIKON CORPORATION", "nikon"),
        ("blades_make", "OLYMPUS", "others"),
        ("blades_metering", 5, "multi-segment"),
        ("blades_program", 1, "manual control"),
        ("blades_program", 0, None),
        ("blades_exposure_mode", 2, "auto-bracketing"),
        ("blades_white_balance", 1, "manual"),
    ],
)
def test_classes(name, value, expected):
    task = TASKS[name]
    target = task.target({task.tag: value})
    assert math.isnan(target) if expected is None else task.classes[int(target)] == expected


def test_the_fourteen_tags_of_sdaie():
    ranked = {"iso", "fnumber", "exposure", "focal", "focal_35mm", "exposure_bias", "brightness"}
    named = {"make", "model", "flash", "metering", "exposure_mode", "white_balance", "scene"}
    assert ranked <= {name for name, task in TASKS.items() if task.kind == "rank"}
    assert named <= {name for name, task in TASKS.items() if task.kind == "classify"}
