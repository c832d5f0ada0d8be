"""One network for many threads: what they bring while it runs goes through it together next.

Nobody waits for company: a batch that finds a free place is run at once, by the thread that brought it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(eq=False)
class _Brought:
    """What one thread brought, and what has become of it when the thread is woken."""

    batch: NDArray[np.uint8]
    features: NDArray[np.float32] | None = None
    has_place: bool = False
    woken: threading.Event = field(default_factory=threading.Event)


class Gathered:
    """Runs a network on what several threads bring; thread-safe.

    Args:
        run: the network, rows [N ...] to features [N D], each row by itself.
        at_once: number of runs at a time.
        most: rows of a run, unless one thread brings more.
        told: is told of each run how many batches it takes.
    """

    def __init__(self, run: Run, *, at_once: int, most: int, told: Callable[[int], None]) -> None:
        self._run, self._free, self._most, self._told = run, at_once, most, told
        self._waiting: deque[_Brought] = deque()
        self._lock = threading.Lock()

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features of a batch [N ...]: [N D]."""
        mine = _Brought(batch)
        with self._lock:
            if self._free:
                self._free -= 1
                mine.has_place = True
            else:
                self._waiting.append(mine)
        if not mine.has_place:
            mine.woken.wait()
        if mine.has_place:
            self._run_with_others(mine)
        return self._run(batch) if mine.features is None else mine.features

    def _run_with_others(self, mine: _Brought) -> None:
        all_of_them = [mine, *self._fitting(mine.batch)]
        self._told(len(all_of_them))
        try:
            if len(all_of_them) > 1:
                self._run_together(all_of_them)
            else:
                mine.features = self._run(mine.batch)
        finally:
            for other in all_of_them[1:]:
                other.woken.set()
            self._pass_on()

    def _run_together(self, brought: Sequence[_Brought]) -> None:
        try:
            features = self._run(np.concatenate([one.batch for one in brought]))
        except Exception:  # noqa: BLE001 (what fails together may not fail alone: each runs by itself then)
            return
        ends = np.cumsum([len(one.batch) for one in brought])[:-1]
        for one, part in zip(brought, np.split(features, ends), strict=True):
            one.features = part

    def _fitting(self, batch: NDArray[np.uint8]) -> list[_Brought]:
        """Those that wait longest and fit into a run with this batch."""
        fitting: list[_Brought] = []
        rows = len(batch)
        with self._lock:
            while self._waiting:
                other = self._waiting[0].batch
                rows += len(other)
                if rows > self._most or other.shape[1:] != batch.shape[1:]:
                    break
                fitting.append(self._waiting.popleft())
        return fitting

    def _pass_on(self) -> None:
        """Give the place to who waits longest."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            heir = self._waiting.popleft()
        heir.has_place = True
        heir.woken.set()
