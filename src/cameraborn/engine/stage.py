"""A stage: work on one item after another that can be sent to another process before it is set up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

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
