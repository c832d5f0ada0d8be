"""Every task in the registry, by its being there."""

import math
import subprocess
import sys
from dataclasses import fields

import pytest

from cameraborn.data.adapters.blades import CLASSES as BLADES_CLASSES
from cameraborn.data.adapters.blades import EXPOSURE
from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError
from cameraborn.photo.exif import TAGS, Exif
from cameraborn.pretext.kinds import Classify, Level, Rank, Reconstruction
from cameraborn.pretext.tasks import FIVE_LEVELS, TASKS, chosen
from cameraborn.train.weights_sdaie import AUTHORS_HEADS

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
    if isinstance(task, Rank | Classify) and not task.tag and not isinstance(task, Reconstruction):
        assert task.name in AUTHORS_HEADS  # learnt from labels alone
        return
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


def test_the_authors_fourteen_heads_have_their_widths():
    ours = {name: task.outputs for name, task in TASKS.items() if name.startswith("fc")}
    assert ours == AUTHORS_HEADS


def test_labels_of_blades_are_of_its_tasks():
    assert dict(BLADES_CLASSES.values()) == {
        name: task.outputs
        for name, task in TASKS.items()
        if name.startswith("blades_") and isinstance(task, Classify)
    }
    assert isinstance(TASKS[EXPOSURE], Level)


def row(**fields):
    return Row(path="1.jpg", sha256="0" * 64, **fields)


def test_a_label_of_the_data_set_counts_before_the_tag():
    exif = {"make": "Canon", "exposure_time_s": 0.5}
    make, exposure = TASKS["blades_make"], TASKS["blades_exposure"]
    assert make.of_row(row(exif=exif)) == (make.classes.index("canon"),)
    assert make.of_row(row(exif=exif, labels={"blades_make": 9.0})) == (9.0,)
    assert exposure.of_row(row(exif=exif, labels={"blades_exposure": 60.0})) == (60.0,)
    assert TASKS["make"].of_row(row(exif=exif, labels={"blades_make": 9.0})) == TASKS["make"].target(exif)
    assert TASKS["fc1"].of_row(row(labels={"fc1": 2.5})) == (2.5,)
    assert math.isnan(TASKS["fc2"].of_row(row(exif=exif))[0])
    assert all(math.isnan(value) for value in TASKS["face"].of_row(row(labels={"face": 1.0})))


@pytest.mark.parametrize("label", [10.0, -1.0, 0.5])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(ManifestError, match="of task blades_make, which has 10 classes"):
        TASKS["blades_make"].of_row(row(labels={"blades_make": label}))


def test_five_levels_where_they_are_asked_for():
    names = ["blades_iso", "iso", "blades_make"]
    assert chosen(names) == [TASKS[name] for name in names]
    iso, *others = chosen(names, 5)
    assert (iso.classes, iso.outputs, iso.prompt) == (FIVE_LEVELS, 5, TASKS["blades_iso"].prompt)
    assert others == [TASKS[name] for name in names[1:]]


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match="no task is called 'exposuer': did you mean 'exposure'"):
        TASKS["exposuer"]
    with pytest.raises(ValueError, match="'iso' is registered twice"):
        TASKS.add("iso", TASKS["iso"])


def test_what_a_row_says_is_read_without_torch():
    code = "import sys, cameraborn.pretext.tasks; print({'torch', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
