"""Threads that all requests share, and a door that lets only so many requests in.

A request never has more pictures in the threads' queue than there are threads, so that one with many pictures does not
keep those with one waiting; work of jobs gives way to all of them. Pictures are not batched over the network: see
docs/decisions.md.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request

from cameraborn.serve.limits import Limits, busy, out_of_time

S = TypeVar("S")
T = TypeVar("T")
_RECENT = 0.1  # weight of the newest picture in the mean time of one
_LONGEST_RETRY = 60  # seconds


class ClientGone(Exception):
    """The sender hung up before its answer was ready."""


class _Mean:
    """Of times, among which new ones count most."""

    value = 0.1  # seconds, before anything is known

    def add(self, seconds: float) -> None:
        self.value += _RECENT * (seconds - self.value)


class _Turns:
    """So many threads work at a time; the others wait in the order in which they came."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            self._waiting.append(mine := threading.Event())
        mine.wait()

    def give(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def give_way(self) -> None:
        if self._waiting:
            self.give()
            self.take()


class Pool:
    """Works on pictures in threads, for many requests at a time.

    Args:
        jobs: number of threads that work at a time. There are twice as many, so that work of a request has one when
            work of jobs, which gives way to it, has all others.
        limits: how many requests come in, and for how long.

    Attributes:
        jobs: number of threads that work at a time.
        requests: how many are under way.
        pending: pictures of theirs that are not finished.
        working: pictures that threads are working on, also for jobs and for requests that have ended.
    """

    def __init__(self, jobs: int, limits: Limits) -> None:
        self.requests = self.pending = self.working = 0
        self.jobs, self._limits = jobs, limits
        self._threads = ThreadPoolExecutor(2 * jobs, "picture")
        self._turns = _Turns(jobs)
        self._lock = threading.Lock()
        self._seconds, self._job_seconds = _Mean(), _Mean()  # that a picture takes, of a request and of a job

    @property
    def is_full(self) -> bool:
        """Whether no request is let in: too many are, or what they want takes as long as a request may."""
        return (
            self.requests >= self._limits.max_queue or self._takes(self.pending) >= self._limits.max_seconds
        )

    @property
    def retry_after(self) -> int:
        """Whole seconds after which it is worth to try again."""
        return _whole(self._takes(max(self.pending, self.working)))

    def retry_for_jobs(self, pictures: int) -> int:
        """Whole seconds that so many pictures of jobs take, or a minute if they take longer."""
        return _whole(pictures * self._job_seconds.value / self.jobs)

    def _takes(self, pictures: int) -> float:
        """Seconds, by those before them."""
        return pictures * self._seconds.value / self.jobs

    @asynccontextmanager
    async def accepted(self) -> AsyncIterator[threading.Event]:
        """Let a request in; it yields an event that is set when the work for it is to stop.

        Raises:
            Refusal: too many are under way.
        """
        if self.is_full:
            raise busy(self._limits, self.retry_after)
        stop = threading.Event()
        self.requests += 1
        try:
            yield stop
        finally:
            stop.set()
            self.requests -= 1

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """The time for the work on a request, which begins when all of it has come in.

        Raises:
            Refusal: the time is over.
        """
        try:
            async with asyncio.timeout(self._limits.max_seconds):
                yield
        except TimeoutError:
            raise out_of_time(self._limits, self.retry_after) from None

    async def each(self, work: Callable[[S], T], items: Sequence[S]) -> list[T]:
        """What `work` makes of each item, in order; after an exception or when cancelled, no further item is begun."""
        loop, own, left = asyncio.get_running_loop(), asyncio.Semaphore(self.jobs), len(items)
        self.pending += left

        async def one(item: S) -> T:
            nonlocal left
            async with own:
                result = await loop.run_in_executor(
                    self._threads, self._timed, partial(work, item), self._seconds
                )
            left -= 1
            self.pending -= 1
            return result

        tasks = [asyncio.ensure_future(one(item)) for item in items]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            self.pending -= left
            left = 0

    async def aside(self, work: Callable[[], T]) -> T:
        """What work of a job returns, which has to `give_way` now and then."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._timed, work, self._job_seconds)

    def give_way(self) -> float:
        """Let work that waits for a thread go first, and say how many seconds that took."""
        started = time.monotonic()
        self._turns.give_way()
        return time.monotonic() - started

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[], T], seconds: _Mean) -> T:
        self._turns.take()
        started = time.monotonic()
        with self._lock:
            self.working += 1
        try:
            return work()
        finally:
            with self._lock:
                self.working -= 1
                seconds.add(time.monotonic() - started)
            self._turns.give()


def _whole(seconds: float) -> int:
    return min(max(1, math.ceil(seconds)), _LONGEST_RETRY)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is cancelled when the sender hangs up; the body has been read.

    Raises:
        ClientGone: the sender hung up.
    """
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
