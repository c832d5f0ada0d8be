"""Many at a time: in order, lazily, and ended by an exception."""

import os
import threading
from dataclasses import dataclass, field

import pytest

from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call, Stage
from cameraborn.errors import EngineError


@pytest.mark.parametrize("jobs", [1, 3, None])
def test_results_come_in_the_order_of_the_items(jobs):
    assert list(map_in_order(Call(lambda item: -item), range(50), jobs)) == [-item for item in range(50)]


@pytest.mark.parametrize("jobs", [0, -1, "2", 1.5, True], ids=repr)
def test_what_is_no_number_of_jobs_is_said_so(jobs):
    with pytest.raises(EngineError, match=r"^jobs=.*: not a number of items to work on at a time: give one"):
        list(map_in_order(Call(abs), [1, 2], jobs))


def test_an_exception_ends_the_work():
    started, release = [], threading.Event()

    def work(item):
        started.append(item)
        if item == 0:
            raise ZeroDivisionError
        release.wait(10)

    results = map_in_order(Call(work), iter(range(1000)), 2)
    with pytest.raises(ZeroDivisionError):
        next(results)
    release.set()
    assert len(started) <= 4


class Power(Stage):
    """Needs setting up, and what it opens cannot travel."""

    def __init__(self, exponent):
        self.exponent, self.power = exponent, None

    def setup(self):
        self.power = lambda item: item**self.exponent

    def work(self, item):
        return self.power(item), os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("processes", [False, True])
def test_a_stage_is_set_up_where_it_works(jobs, processes):
    results = list(map_in_order(Power(3), iter(range(9)), jobs, processes=processes))
    assert [result for result, _ in results] == [item**3 for item in range(9)]
    assert {pid == os.getpid() for _, pid in results} == {not processes}


def test_a_stage_that_has_worked_here_can_still_travel():
    stage = Power(2)
    here, there = ([value for value, _ in map_in_order(stage, [3], 1, processes=p)] for p in (False, True))
    assert here == there == [9]


def test_an_exception_comes_out_of_another_process():
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(Power(-1), [1, 0], 1, processes=True))


@dataclass
class Opened(Stage):
    """Opens what cannot travel."""

    base: int
    open: object = field(init=False, repr=False)

    def setup(self):
        self.open = lambda item: self.base + item

    def work(self, item):
        return self.open(item)


def test_a_stage_that_was_set_up_here_is_set_up_anew_there():
    stage = Opened(10)
    assert list(map_in_order(stage, [1, 2], 1)) == [11, 12]
    assert list(map_in_order(stage, [1, 2], 1, processes=True)) == [11, 12]
