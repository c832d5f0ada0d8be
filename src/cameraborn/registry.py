"""Named things of one kind: a name is taken once, and a wrong one is answered with the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_JOINTS = str.maketrans("_ /", "---")  # what papers put between words, and what names here have
_NEARLY = 0.8  # of difflib's ratio, from which a name is a misspelling of another
_SHORTEST = 3  # letters of a name that says something when it is part of another


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to things, in the order in which they were added, that refuses duplicates.

    Args:
        what: one of the things, for messages: "task".
        error: makes what is raised for an unknown name.
        elsewhere: what an unknown name is, if it is known in another registry; else nothing.
    """

    def __init__(
        self,
        what: str,
        error: Callable[[str], Exception] = KeyError,
        elsewhere: Callable[[str], str] = lambda name: "",
    ) -> None:
        self._what, self._error, self._elsewhere = what, error, elsewhere
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
        """What to say of a name that nothing has: what it is elsewhere, the nearest one, or all."""
        return self._elsewhere(name) or unknown_name(self._what, name, self._things)


def unknown_name(what: str, name: str, known: Collection[str]) -> str:
    """What to say of a name of `what` that is not among those known: the one or those that were meant, or all."""
    meant = [f"'{one}'" for one in _meant(name, known)]
    several = f"{', '.join(meant[:-1])} or {meant[-1]}" if len(meant) > 1 else "".join(meant)
    advice = f"did you mean {several}?" if meant else f"choose from {', '.join(known)}"
    return f"no {what} is called {name!r}: {advice}"


def spelt_alike(name: str, known: Collection[str]) -> str | None:
    """The known name that differs from a name in capitals and in what stands between its words alone, if any."""
    letters = _plain(name).replace("-", "")
    return next((one for one in known if _plain(one).replace("-", "") == letters), None)


def _meant(name: str, known: Collection[str]) -> list[str]:
    """One that is spelt alike or nearly so; else all that hold the name or that it holds; else the nearest, if near."""
    if alike := spelt_alike(name, known):
        return [alike]
    by_plain = {_plain(one): one for one in known}
    asked = _plain(name)
    nearly = difflib.get_close_matches(asked, by_plain, n=1, cutoff=_NEARLY)
    holding = [
        plain
        for plain in by_plain
        if min(len(plain), len(asked)) >= _SHORTEST and (asked in plain or plain in asked)
    ]
    return [by_plain[plain] for plain in nearly or holding or difflib.get_close_matches(asked, by_plain, n=1)]


def _plain(name: str) -> str:
    """A name in lower case, its words joined by `-`."""
    return name.lower().translate(_JOINTS)
