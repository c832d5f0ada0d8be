"""A stage: work on one item after another that can be sent to another process before it is set up; what runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cameraborn.errors import EngineError

S = TypeVar("S")
T = TypeVar("T")


class Stage(Generic[S, T]):
    """Work over items. Its fields are settings that can be pickled; `setup` opens what cannot (networks, files).

    `work` is called from several threads at a time, and must not depend on the order of the items.
    """

    def setup(self) -> None:
        """Open what the work needs; called once in each process, before the first item."""

    def work(self, item: S) -> T:
        """What becomes of one item."""
        raise NotImplementedError


@dataclass
class Call(Stage[S, T]):
    """The stage of a function that needs no setting up; it travels if the function does."""

    function: Callable[[S], T]

    def work(self, item: S) -> T:
        """The function's value."""
        return self.function(item)


class Engine(Protocol):
    """What runs a stage elsewhere than in threads of this process. It can be pickled: options that hold it travel."""

    def map(self, stage: Stage[S, T], items: Iterable[S]) -> Iterator[T]:
        """What the stage makes of each item, in their order."""
        ...


# Items at a time in threads of this process (None: one a processor), or who else works.
Jobs = int | Engine | None


def check_jobs(jobs: object) -> None:
    """See that work can be done by so many, or by such an engine.

    Raises:
        EngineError: it is neither a number from 1, nor an engine, nor None.
    """
    number = isinstance(jobs, int) and not isinstance(jobs, bool) and jobs > 0
    if jobs is not None and not number and not hasattr(jobs, "map"):
        raise EngineError(
            f"jobs={jobs!r}: not a number of items to work on at a time: give one from 1, or leave it out"
        )
