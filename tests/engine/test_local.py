"""Many at a time: in order, lazily, and ended by an exception."""

import threading

import pytest

from cameraborn.engine.local import map_in_order


@pytest.mark.parametrize("jobs", [1, 3, None])
def test_results_come_in_the_order_of_the_items(jobs):
    assert list(map_in_order(lambda item: -item, range(50), jobs)) == [-item for item in range(50)]


def test_an_exception_ends_the_work():
    started, release = [], threading.Event()

    def work(item):
        started.append(item)
        if item == 0:
            raise ZeroDivisionError
        release.wait(10)

    results = map_in_order(work, iter(range(1000)), 2)
    with pytest.raises(ZeroDivisionError):
        next(results)
    release.set()
    assert len(started) <= 4
