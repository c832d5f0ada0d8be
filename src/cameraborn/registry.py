"""Named things of one kind: a name is taken once, and a wrong one is answered with the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to things, in the order in which they were added, that refuses duplicates.

    Args:
        what: one of the things, for messages: "task".
        error: makes what is raised for an unknown name.
    """

    def __init__(self, what: str, error: Callable[[str], Exception] = KeyError) -> None:
        self._what, self._error = what, error
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Add a thing under a name that is free, and return it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._things:
            raise ValueError(f"{self._what} {name!r} is registered twice")
        self._things[name] = thing
        return thing

    def __getitem__(self, name: str) -> T:
        """The thing of a name; an unknown one raises the registry's error."""
        if name not in self._things:
            raise self._error(self.unknown(name))
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def unknown(self, name: str) -> str:
        """What to say of a name that nothing has: the nearest one, or all."""
        return unknown_name(self._what, name, self._things)


def unknown_name(what: str, name: str, known: Collection[str]) -> str:
    """What to say of a name of `what` that is not among those known: the nearest one, or all."""
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
    return f"no {what} is called {name!r}: {advice}"
