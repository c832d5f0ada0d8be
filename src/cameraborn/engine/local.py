"""Work on many items at a time, in their order and in bounded memory: in threads or processes of this machine.

Whoever gives an `Engine` in place of a number of items has the work done there.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cameraborn.engine.stage import Jobs, Stage, check_jobs

S = TypeVar("S")
T = TypeVar("T")


def map_in_order(
    stage: Stage[S, T], items: Iterable[S], jobs: Jobs, *, processes: bool = False
) -> Iterator[T]:
    """What `stage` makes of each item, lazily and in order: never more than two items a job are under way.

    Threads share one copy of the stage, which is set up once; each process has a copy of its own. On an exception or
    when the generator is closed, what has not started is cancelled.

    Args:
        stage: the work.
        items: what is worked on; drawn as results are taken.
        jobs: items at a time, None is one a processor; or the engine that does the work.
        processes: work in processes instead of threads; the stage, the items and the results then travel.

    Raises:
        EngineError: that is no number of items, nor an engine.
    """
    check_jobs(jobs)
    if not isinstance(jobs, int | None):
        yield from jobs.map(stage, items)
        return
    jobs = jobs or os.cpu_count() or 1
    if processes:
        yield from _pooled(_processes(jobs, stage), _work, items, jobs)
        return
    stage = copy.copy(stage)  # what setup opens stays out of the caller's, which can still travel
    stage.setup()
    if jobs == 1:
        yield from map(stage.work, items)
    else:
        yield from _pooled(ThreadPoolExecutor(jobs), stage.work, items, jobs)


def _processes(jobs: int, stage: Stage[Any, Any]) -> Executor:
    # Only here: most work is done in threads, and these take a while to import.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(jobs, get_context("spawn"), _set_up, (stage,))


def _pooled(pool: Executor, work: Callable[[S], T], items: Iterable[S], jobs: int) -> Iterator[T]:
    pending: deque[Future[T]] = deque()
    items = iter(items)
    try:
        pending.extend(pool.submit(work, item) for item in itertools.islice(items, 2 * jobs))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(work, item) for item in itertools.islice(items, 1))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_stages: list[Stage[Any, Any]] = []  # of this process, if it is one of a pool's


def _set_up(stage: Stage[Any, Any]) -> None:
    stage.setup()
    _stages[:] = [stage]


def _work(item: Any) -> Any:  # noqa: ANN401 (whatever the stage takes and gives)
    return _stages[0].work(item)
