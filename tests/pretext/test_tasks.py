"""Every task in the registry, by its being there."""

import math
from dataclasses import fields

import pytest

from cameraborn.photo.exif import Exif
from cameraborn.pretext.tasks import TASKS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task(task):
    assert TASKS[task.name] is task
    if task.kind == "manipulation":
        assert task.outputs == 1
        assert math.isnan(task.target({"": 1.0, "iso": 100.0}))
        return
    assert task.tag in {field.name for field in fields(Exif)}
    assert math.isnan(task.target({}))
    assert math.isnan(task.target({task.tag: None}))
    if task.kind == "rank":
        assert task.outputs == 1
        assert task.classes == ()
        assert task.target({task.tag: 2}) < task.target({task.tag: 2.5})
        assert math.isnan(task.target({task.tag: "2"}))
    else:
        assert task.outputs == len(task.classes) == len(set(task.classes)) >= 2
        assert task.classes[-1] == "other"
        for index, name in enumerate(task.classes):
            assert task.target({task.tag: f" {name.upper()} of something"}) == index
        assert task.target({task.tag: "a maker nobody has heard of"}) == task.outputs - 1
        assert math.isnan(task.target({task.tag: 3}))


@pytest.mark.parametrize(
    ("make", "name"),
    [("NIKON CORPORATION", "nikon"), ("Canon", "canon"), ("OLYMPUS, Tokyo", "olympus"), ("", "other")],
)
def test_makers_by_the_first_word(make, name):
    task = TASKS["make"]
    assert task.classes[int(task.target({"make": make}))] == name
