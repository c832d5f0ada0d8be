"""Threads that all requests share, and a door that lets only so many requests in.

Twice as many pictures of requests are worked on as there are processors, so that what waits for a network goes through
it together: see docs/decisions.md. A request never has more pictures in the threads' queue than there are processors,
so that one with many pictures does not keep those with one waiting; work of jobs gives way to all of them.
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
from dataclasses import dataclass, field
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
    """So many threads work at a time; the others wait in the order in which they came.

    Args:
        most: number of threads.
        most_for_jobs: work of jobs begins or goes on only while no more than these work at all.
    """

    def __init__(self, most: int, most_for_jobs: int) -> None:
        self._working = 0
        self._requests, self._jobs = _Line(most), _Line(most_for_jobs)
        self._lock = threading.Lock()

    def take(self, *, for_job: bool) -> None:
        line = self._jobs if for_job else self._requests
        with self._lock:
            if self._working < line.most:
                self._working += 1
                return
            line.waiting.append(mine := threading.Event())
        mine.wait()

    def give(self) -> None:
        with self._lock:
            self._working -= 1
            for line in (self._requests, self._jobs):
                if line.waiting and self._working < line.most:
                    self._working += 1
                    line.waiting.popleft().set()
                    return

    def give_way(self) -> None:
        """Of a job's thread."""
        if self._requests.waiting or self._working > self._jobs.most:
            self.give()
            self.take(for_job=True)


@dataclass
class _Line:
    """Threads that wait until fewer than so many work."""

    most: int
    waiting: deque[threading.Event] = field(default_factory=deque)


class Pool:
    """Works on pictures in threads, for many requests at a time.

    Args:
        jobs: number of processors. Twice as many threads work at a time; there are three times as many, so that work
            of requests has those when work of jobs, which gives way to it, has the others.
        limits: how many requests come in, and for how long.

    Attributes:
        jobs: number of processors.
        requests: how many are under way.
        pending: pictures of theirs that are not finished.
        working: pictures that threads are working on, also for jobs and for requests that have ended.
    """

    def __init__(self, jobs: int, limits: Limits) -> None:
        self.requests = self.pending = self.working = 0
        self.jobs, self._limits = jobs, limits
        self._threads = ThreadPoolExecutor(3 * jobs, "picture")
        self._turns = _Turns(2 * jobs, jobs)
        self._lock = threading.Lock()
        self._seconds, self._job_seconds = _Mean(), _Mean()  # of a processor that a picture takes

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
                    self._threads, self._timed, partial(work, item), self._seconds, False
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
        return await loop.run_in_executor(self._threads, self._timed, work, self._job_seconds, True)

    def give_way(self) -> float:
        """Let work that waits for a thread go first, and say how many seconds that took."""
        started = time.monotonic()
        self._turns.give_way()
        return time.monotonic() - started

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[], T], seconds: _Mean, for_job: bool) -> T:
        self._turns.take(for_job=for_job)
        started = time.monotonic()
        with self._lock:
            self.working += 1
            sharing = self.working
        try:
            return work()
        finally:
            with self._lock:
                share = min(1.0, self.jobs / max(sharing, self.working))
                seconds.add(share * (time.monotonic() - started))
                self.working -= 1
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
