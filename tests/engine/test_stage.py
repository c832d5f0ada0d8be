"""Stages: a function is one, and what is sent to another process is set up there."""

import operator
import pickle
from dataclasses import dataclass, field
from functools import partial

import pytest

from cameraborn.engine.stage import Call, Stage


def travelled(stage):
    """A stage as another process would get it."""
    return pickle.loads(pickle.dumps(stage))  # noqa: S301 (made here)


@dataclass
class Counted(Stage):
    """Multiplies; what it opens cannot travel."""

    factor: int
    times: object = field(default=None, repr=False, compare=False)

    def setup(self):
        self.times = lambda item: self.factor * item

    def work(self, item):
        return self.times(item)


def test_a_function_needs_no_setting_up():
    stage = Call(len)
    assert stage.work("four") == 4
    stage.setup()
    assert stage.work([1, 2]) == 2


def test_a_function_that_can_travel_takes_its_stage_along():
    stage = travelled(Call(partial(operator.mul, 3)))
    assert stage.work(5) == 15
    assert travelled(Call(len)) == Call(len) != Call(min)


def test_a_function_that_cannot_travel_keeps_its_stage_here():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(Call(lambda item: item))


def test_settings_travel_before_a_stage_is_set_up_and_not_after():
    there = travelled(Counted(4))
    assert there == Counted(4)
    there.setup()
    assert there.work(5) == 20
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(there)


def test_a_stage_that_does_not_say_what_its_work_is_does_none():
    stage = Stage()
    stage.setup()
    with pytest.raises(NotImplementedError):
        stage.work("item")


def test_an_error_of_the_function_is_the_stages():
    with pytest.raises(ZeroDivisionError):
        Call(partial(operator.floordiv, 1)).work(0)
