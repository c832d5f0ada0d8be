"""Jobs: pictures that are accepted at once and judged one after the other, while their sender does something else.

All jobs together have no more pictures in the threads' queue than there are threads, as a single request has, and they
give way to requests before each frame: so requests go on being answered. Jobs take turns, a picture each, so that a
small one need not wait for a large one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cameraborn.serve.job_store import JobStore, PictureState, Row
from cameraborn.serve.limits import (
    INTERNAL_ERROR,
    OUT_OF_MEMORY,
    Limits,
    Refusal,
    out_of_time,
    problem_of,
    too_many_job_bytes,
    too_many_jobs,
)
from cameraborn.serve.pool import Pool
from cameraborn.serve.uploads import Upload
from cameraborn.serve.work import Stopped

_log = logging.getLogger(__name__)
_WRITE_AGAIN = 5.0  # seconds after which a result that could not be written is written again
_POLL = 0.1  # seconds between two looks at whether all is done, when the server ends
_LEAST_CHECK, _EXPIRY_CHECK = 1.0, 60.0  # seconds between two looks for jobs that are too old


class PictureStop:
    """Whether work on one picture should end: its job was ended, or its time is over.

    Args:
        ended: set when its job was ended.
        seconds: time for the picture, from when this is made.
        give_way: lets requests that wait go first, and says how many seconds that took.
    """

    def __init__(self, ended: threading.Event, seconds: float, give_way: Callable[[], float]) -> None:
        self._ended, self._deadline, self._give_way = ended, time.monotonic() + seconds, give_way

    def is_set(self) -> bool:
        """Whether to end. Work asks before each frame; there requests go first, which takes none of its time."""
        self._deadline += self._give_way()
        return self._ended.is_set() or time.monotonic() > self._deadline


@dataclass(frozen=True)
class Judged:
    """What is said of a picture: a row a face, and of its origin, if that was asked for."""

    rows: Sequence[Row]
    provenance: Row | None = None


Judge = Callable[[Upload, Mapping[str, Any], PictureStop], Judged]


@dataclass
class _Running:
    """A job that runs: its pictures that no thread has got yet."""

    id: str
    options: Mapping[str, Any]
    waiting: deque[tuple[int, Upload]]
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class Room:
    """Memory that one job may take for its pictures, out of what all may take."""

    jobs: Jobs
    taken: int = 0

    def take(self, count: int) -> None:
        """Take so many bytes more.

        Raises:
            Refusal: all jobs together would have too many.
        """
        if self.jobs.bytes_waiting + count > self.jobs.limits.max_job_bytes:
            raise too_many_job_bytes(self.jobs.limits, self.jobs.retry_after)
        self.taken += count
        self.jobs.bytes_waiting += count

    def give(self, count: int) -> None:
        """Give so many back."""
        self.taken -= count
        self.jobs.bytes_waiting -= count


class Jobs:
    """Works on the jobs of a store, in the event loop's thread.

    Args:
        store: keeps jobs and results.
        pool: its threads judge.
        limits: what jobs and their pictures may be.
        judge: what is said of one picture; it runs in a thread.
        abandoned: set when the server is to end without finishing them.

    Attributes:
        bytes_waiting: of accepted pictures that are not settled, and of those that are being received.
        pending: number of these pictures.
    """

    def __init__(
        self, store: JobStore, pool: Pool, limits: Limits, judge: Judge, abandoned: threading.Event
    ) -> None:
        self.store, self.limits = store, limits
        self.bytes_waiting = self.pending = 0
        self._pool, self._judge, self._abandoned = pool, judge, abandoned
        self._turns: deque[_Running] = deque()  # those with pictures that wait; the first is next
        self._running: dict[str, _Running] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def retry_after(self) -> int:
        """Whole seconds after which it is worth to try again."""
        return self._pool.retry_for_jobs(self.pending)

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def begin(self) -> None:
        """Take up work."""
        loops = [self._work() for _ in range(self._pool.jobs)]
        self._tasks = [asyncio.create_task(one) for one in (*loops, self._expire())]

    async def end(self) -> None:
        """Finish all jobs if their results are kept in a file, unless abandoned; then work no more."""
        while self.store.is_kept and self._running and not self._abandoned.is_set():
            await asyncio.sleep(_POLL)
        for task in self._tasks:
            task.cancel()
        for running in self._running.values():
            running.ended.set()
        self.store.close(dropped=self.running)

    @contextmanager
    def room(self) -> Iterator[Room]:
        """Room for the pictures of a job that is being received; what is left of it at the end is given back.

        Raises:
            Refusal: as many jobs are kept as may be.
        """
        self._check_held()
        room = Room(self)
        try:
            yield room
        finally:
            room.give(room.taken)

    def start(self, owner: str, options: Row, uploads: Sequence[Upload], room: Room) -> str:
        """Accept a job, and say what it is called.

        Args:
            owner: whose it is.
            options: to judge with.
            uploads: its pictures.
            room: that was taken while they were received; it is theirs from now on.

        Raises:
            Refusal: as many jobs are kept as may be.
        """
        self._check_held()  # others came meanwhile
        for spared in self.store.make_room(self.limits.max_jobs, self._seconds_kept):
            self._tell(spared)
        running = _Running(secrets.token_urlsafe(16), options, deque(enumerate(uploads)))
        self.store.add(running.id, owner, options, [upload.name for upload in uploads])
        room.taken -= sum(len(upload.data) for upload in uploads)
        self.pending += len(uploads)
        self._running[running.id] = running
        self._turns.append(running)
        self._more.set()
        return running.id

    async def cancel(self, job: str) -> None:
        """End a job, if it runs: what no thread has finished will not be judged."""
        await asyncio.to_thread(self.store.cancel, job)
        if (running := self._running.get(job)) is not None:
            running.ended.set()
            with suppress(ValueError):
                self._turns.remove(running)
            for _, upload in running.waiting:
                self._forget(upload)
            running.waiting.clear()
        self._ended(job)

    async def delete(self, job: str) -> None:
        """End a job and forget its results."""
        await self.cancel(job)
        await asyncio.to_thread(self.store.delete, job)
        self._tell(job)

    def news(self, job: str) -> asyncio.Event:
        """Set when there is more to say of a job; never, if it has ended."""
        event = asyncio.Event()
        return self._news.setdefault(job, event) if job in self._running else event

    def _check_held(self) -> None:
        if self.store.held(self._seconds_kept) >= self.limits.max_jobs:
            raise too_many_jobs(self.limits, self._until_room)

    @property
    def _seconds_kept(self) -> float:
        """How long an ended job is kept whose rows nobody reads to the end."""
        return self.limits.job_hours * 3600

    @property
    def _until_room(self) -> int:
        """Whole seconds until a job may have room: one that runs ends and is read, or one that has ended expires."""
        first = self.store.first_end()
        expiry = [] if first is None else [first + self._seconds_kept - time.time()]
        return max(1, math.ceil(min([*expiry, self.retry_after] if self._running else expiry, default=1)))

    async def _work(self) -> None:
        """Judge pictures, one after the other."""
        while True:
            while not self._turns:
                self._more.clear()
                await self._more.wait()
            running = self._turns.popleft()
            picture, upload = running.waiting.popleft()
            if running.waiting:
                self._turns.append(running)
            await self._settle(running, picture, upload)

    async def _settle(self, running: _Running, picture: int, upload: Upload) -> None:
        """Judge a picture and keep what became of it; whatever goes wrong is its own matter."""
        try:
            judging = self._pool.aside(partial(self._judged, running, upload))
            (found,) = await asyncio.gather(judging, return_exceptions=True)
        finally:
            self._forget(upload)
        if isinstance(found, BaseException):
            problem = problem_of(self._refusal_of(found)).model_dump()
            runs = await self._write(running, picture, "refused", Judged(()), problem)
        else:
            runs = await self._write(running, picture, "judged", found, None)
        if runs:
            self._tell(running.id)
        else:
            self._ended(running.id)

    def _judged(self, running: _Running, upload: Upload) -> Judged:
        """What is said of a picture; this runs in a thread."""
        stop = PictureStop(running.ended, self.limits.max_seconds, self._pool.give_way)
        return self._judge(upload, running.options, stop)

    def _refusal_of(self, error: BaseException) -> Refusal:
        if isinstance(error, Refusal):
            return error
        if isinstance(error, Stopped):
            return out_of_time(self.limits, self.retry_after)
        if isinstance(error, MemoryError):
            return OUT_OF_MEMORY
        _log.error("a picture of a job cannot be judged", exc_info=error)
        return INTERNAL_ERROR

    async def _write(
        self, running: _Running, picture: int, state: PictureState, found: Judged, problem: Row | None
    ) -> bool:
        """Keep a result, and say whether the job still runs; while that fails, as on a full disk, try again."""
        while True:
            try:
                return await asyncio.to_thread(
                    self.store.settle, running.id, picture, state, found.rows, problem, found.provenance
                )
            except sqlite3.OperationalError as error:
                _log.error("a result of a job cannot be written (%s): make room on the disk", error)
            await asyncio.sleep(_WRITE_AGAIN)

    async def _expire(self) -> None:
        """Forget jobs whose time is over."""
        seconds = self._seconds_kept
        while True:
            try:
                expired = await asyncio.to_thread(self.store.expire, seconds)
            except sqlite3.OperationalError as error:
                _log.error("jobs that are too old cannot be deleted (%s): make room on the disk", error)
            else:
                for job in expired:
                    self._tell(job)
            await asyncio.sleep(min(_EXPIRY_CHECK, max(_LEAST_CHECK, seconds / 4)))

    def _forget(self, upload: Upload) -> None:
        self.bytes_waiting -= len(upload.data)
        self.pending -= 1

    def _ended(self, job: str) -> None:
        self._running.pop(job, None)
        self._tell(job)

    def _tell(self, job: str) -> None:
        if (news := self._news.pop(job, None)) is not None:
            news.set()
