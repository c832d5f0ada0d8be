"""Every task in the registry, by its being there."""

import math
import subprocess
import sys
from dataclasses import fields

import pytest

from cameraborn.photo.exif import TAGS, Exif
from cameraborn.pretext.kinds import Classify, Level, Rank
from cameraborn.pretext.tasks import TASKS

KINDS = {tag.name: tag.kind for tag in TAGS}
UNCODED = {  # classes of BLADES that cameras say in notes of their own
    "blades_metering": {"evaluative"},
    "blades_exposure_mode": {"program", "aperture-priority", "easy-shooting", "shutter-priority"},
}


def said_of(task, value):
    """The target of a photograph with that value of the task's tag."""
    (target,) = task.target({task.tag: value})
    return target


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task(task):
    assert TASKS[task.name] is task
    assert len(task.target({})) == task.width
    assert all(math.isnan(value) for value in task.target({}))
    if not task.tag:
        assert task.outputs == max(1, len(task.classes))
        done, other = ("affine", "reconstructed") if task.of_faces else ("reconstructed", "affine")
        assert task.target({}, "") == (0.0,) * task.width
        assert task.target({"": 1.0, "iso": 100.0}, done) == (1.0,) * task.width
        assert all(math.isnan(value) for value in task.target({}, other))
        return
    assert task.tag in {field.name for field in fields(Exif)}
    assert math.isnan(said_of(task, None))
    assert task.target({task.tag: 1}, "eye") == pytest.approx(task.target({task.tag: 1}, ""), nan_ok=True)
    if isinstance(task, Rank):
        assert task.outputs == (3 if isinstance(task, Level) else 1)
        assert said_of(task, 2) < said_of(task, 2.5)
        assert said_of(task, -1.5) == -1.5
        assert math.isnan(said_of(task, "2"))
        return
    assert task.outputs == len(task.classes) == len(set(task.classes)) >= 2
    if KINDS[task.tag] == "text":
        assert task.classes[-1].startswith("other")
        for index, name in enumerate(task.classes):
            assert said_of(task, f" {name.upper()}7 of something") == index
        assert said_of(task, "a thing nobody has heard of") == task.outputs - 1
        assert math.isnan(said_of(task, 3))
    else:  # every class is some code's, and no code makes another number
        targets = {said_of(task, code) for code in range(256)}
        reached = {task.classes[int(target)] for target in targets if not math.isnan(target)}
        assert set(task.classes) - reached == UNCODED.get(task.name, set())
        assert math.isnan(said_of(task, task.classes[0]))


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
    target = said_of(task, value)
    assert math.isnan(target) if expected is None else task.classes[int(target)] == expected


def test_the_fourteen_tags_of_sdaie():
    ranked = {"iso", "fnumber", "exposure", "focal", "focal_35mm", "exposure_bias", "brightness"}
    named = {"make", "model", "flash", "metering", "exposure_mode", "white_balance", "scene"}
    assert ranked <= {name for name, task in TASKS.items() if type(task) is Rank}
    assert named <= {name for name, task in TASKS.items() if type(task) is Classify}


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match="no task is called 'exposuer': did you mean 'exposure'"):
        TASKS["exposuer"]
    with pytest.raises(ValueError, match="'iso' is registered twice"):
        TASKS.add("iso", TASKS["iso"])


def test_what_a_row_says_is_read_without_torch():
    code = "import sys, cameraborn.pretext.tasks; print({'torch', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
