"""Work that goes on after an interruption: what a journal knows of an item passes through, the rest is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from cameraborn.engine.journal import Mark
from cameraborn.engine.stage import Stage

S = TypeVar("S")
T = TypeVar("T")

_UNMARKED = Mark(0, 0, 0)  # where no journal is kept


@dataclass(frozen=True)
class Task(Generic[S, T]):
    """An item, the mark that it has in the journal, and what is known of it."""

    item: S
    mark: Mark = _UNMARKED
    known: T | None = None


@dataclass
class UnlessKnown(Stage[Task[S, T], tuple[Task[S, T], T]]):
    """The same stage for what is not known; each task comes with what is found, in either way."""

    stage: Stage[S, T]

    def setup(self) -> None:
        """Set up the stage."""
        self.stage.setup()

    def work(self, item: Task[S, T]) -> tuple[Task[S, T], T]:
        """The task, and what is known or found of it."""
        return item, self.stage.work(item.item) if item.known is None else item.known
