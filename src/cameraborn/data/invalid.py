"""What is wrong with something that was written by hand, in its own words: a row, a recipe, a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError

from cameraborn.registry import unknown_name


def first_problem(error: ValidationError, model: type[BaseModel], whole: str = "") -> str:
    """The first thing that is wrong, in one line that begins with its place, or `whole` where it has none.

    Before others comes a key that is not known: the one that was meant is then missing.
    """
    found = error.errors()
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    place = first["loc"]
    if first["type"] == "extra_forbidden":
        *around, key = place
        return _begun(around) + unknown_name("key", str(key), _keys_at(model, around))
    if first["type"] == "missing":
        return f"{_begun(place)}missing: give it"
    return (_begun(place) or (f"{whole}: " if whole else "")) + first["msg"].removeprefix("Value error, ")


def _begun(place: Sequence[int | str]) -> str:
    """Where it is, without the network's type that pydantic puts between."""
    parts = [str(part) for at, part in enumerate(place) if not (at == 1 and place[0] == "network")]
    return ".".join(parts) + ": " if parts else ""


def _keys_at(model: type[BaseModel], place: Iterable[int | str]) -> list[str]:
    """The keys that there are at a place; what stands in a list, or is one of several types, has those of its type."""
    models = [model]
    for part in place:
        inside = [found for one in models if part in one.model_fields for found in _models(one, str(part))]
        of_type = [one for one in models if getattr(one.model_fields.get("type"), "default", None) == part]
        models = inside or of_type or models
    return list(dict.fromkeys(name for one in models for name in one.model_fields))


def _models(model: type[BaseModel], field: str) -> Iterator[type[BaseModel]]:
    waiting = [model.model_fields[field].annotation]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        else:
            waiting += get_args(kind)
