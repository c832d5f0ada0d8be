"""Work on many pictures at a time, in their order and in bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def map_in_order(work: Callable[[S], T], items: Iterable[S], jobs: int | None) -> Iterator[T]:
    """`map` over `jobs` threads, lazily and in order: never more than two items a thread are under way.

    On an exception or when the generator is closed, what has not started is cancelled.
    """
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(jobs)
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
