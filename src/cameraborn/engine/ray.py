"""Work on many items at a time on Ray: in processes of this machine, or of all machines of a cluster.

Ray Data hands blocks of items to a pool of actors, each of which sets its stage up once and has two blocks at a time:
that is the backpressure. An actor that dies is replaced and its blocks are done again. Ray comes with
`pip install 'cameraborn[cluster]'` and is imported here alone. RAY_ADDRESS names a cluster; without it, one is started
on this machine for as long as this process lives. Ray's usage statistics, which it would send, and dashboard are off.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from cameraborn.engine.stage import Stage
from cameraborn.errors import EngineError, first_line

S = TypeVar("S")
T = TypeVar("T")

_BLOCKS_A_WORKER = 16  # so that no worker is left with a large block at the end
_WINDOW = 1024  # blocks that are handed to Ray at a time, by new actors: the items that are drawn stay few
_DEATHS = 3  # of workers with one block, after which it is tried once more
_STARTS = 3  # times that a local instance is started
_STORE = 256 << 20  # bytes of a local instance's shared memory; what is more lies on the disk
_NEXT_STEP = "look at the workers' memory and at Ray's logs, then run the command again"


@dataclass(frozen=True)
class RayEngine:
    """Actors of Ray, a processor each.

    Attributes:
        workers: how many; None is one for each processor of the cluster.
        at_once: items at most that an actor is given at a time, and that are lost with it.
    """

    workers: int | None = None
    at_once: int = 16

    def map(self, stage: Stage[S, T], items: Iterable[S]) -> Iterator[T]:
        """What the stage makes of each item, in their order; items are drawn as results are taken.

        Raises:
            EngineError: the cluster cannot be reached, or its workers die again and again.
        """
        workers = connect(self.workers)
        stage = copy.copy(stage)
        items = iter(items)
        while window := list(islice(items, max(_WINDOW, _BLOCKS_A_WORKER * workers) * self.at_once)):
            size = max(1, min(self.at_once, len(window) // (_BLOCKS_A_WORKER * workers)))
            yield from _mapped(stage, window, -(-len(window) // size), min(workers, len(window)))


@dataclass(frozen=True)
class _Held(Generic[T]):
    """Anything, kept from what Ray would make of numbers and texts."""

    value: T


@dataclass(frozen=True)
class _Failed:
    """What the work raised."""

    error: Exception


class _Worker(Generic[S, T]):
    """What an actor does. The stage is set up with the first block, so that its errors travel as those of the work."""

    def __init__(self, stage: Stage[S, T], folder: str) -> None:
        self._stage, self._ready = stage, False
        with suppress(OSError):  # relative paths mean what they mean to who gives them, if the disk is shared
            os.chdir(folder)

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """The results of a block of items."""
        results = np.empty(len(block["item"]), object)
        for place, item in enumerate(block["item"]):
            results[place] = self._tried(item.value)
        return {"result": results}

    def _tried(self, item: S) -> _Held[T] | _Failed:
        try:
            if not self._ready:
                self._stage.setup()
                self._ready = True
            return _Held(self._stage.work(item))
        except Exception as error:  # noqa: BLE001 (it is raised where the results are taken)
            return _Failed(error)


def _mapped(stage: Stage[S, T], items: list[S], blocks: int, workers: int) -> Iterator[T]:
    import ray

    data = ray.data.from_items([{"item": _Held(item)} for item in items], override_num_blocks=blocks)
    with warnings.catch_warnings():
        # The one way to limit how often a block is tried; without it, a picture that kills workers does so for ever.
        warnings.filterwarnings("ignore", "`ray_remote_args", DeprecationWarning)
        done = data.map_batches(
            _Worker,
            fn_constructor_args=(stage, str(Path.cwd())),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": _DEATHS},
        )
    try:
        for row in done.iter_rows():
            result = row["result"]
            if isinstance(result, _Failed):
                raise result.error
            yield result.value
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray: the work was given up ({first_line(error)}): {_NEXT_STEP}") from error


def connect(wanted: int | None) -> int:
    """Be on a cluster, with Ray Data as quiet as we are; how many workers it has for us.

    Raises:
        EngineError: there is none.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ side writes to standard error
    import ray
    import ray.data

    if not ray.is_initialized():
        _start(os.environ.get("RAY_ADDRESS", "local"), wanted)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    processors = int(ray.cluster_resources().get("CPU", 1))
    return min(wanted or processors, processors)


def _start(address: str, workers: int | None) -> None:
    """Meet a cluster; start a local one, for which Ray has 30 seconds of patience, and a busy machine may need more."""
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == "local":
        options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _STORE}
    for tries_left in reversed(range(_STARTS if address == "local" else 1)):
        try:
            ray.init(address=address, **options)
            return
        except Exception as error:  # what does not start in time is a bare one
            ray.shutdown()
            if not tries_left:
                raise EngineError(
                    f"Ray: no cluster at {address} ({first_line(error)}): "
                    "check RAY_ADDRESS, and how busy the machine is"
                ) from error
