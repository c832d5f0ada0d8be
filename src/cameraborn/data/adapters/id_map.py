"""FDF's map from faces to Flickr photographs, out of JSON or of the authors' `id_vs_fdfName.pkl`.

A pickle is a program. This one is never run: its instructions are read one by one, those that put texts and numbers
into a mapping are followed by hand, and any other (to import, to call, to build an object) refuses the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from cameraborn.errors import ManifestError

LARGEST = 1 << 28  # bytes; the map of all of FDF's faces is about a fifth of that
_LONGEST = 200  # characters of an id
_TEXTS = frozenset(
    ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING")
)
_INTS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"))
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_NOTHING = frozenset(("PROTO", "FRAME"))
_MARK = object()


def read_id_map(file: Path) -> dict[str, str]:
    """The photograph's id of each face's.

    Args:
        file: a JSON object, or a pickle of a dict, of texts or whole numbers to texts or whole numbers.

    Raises:
        ManifestError: it is something else, larger than `LARGEST`, or damaged. Nothing in it is ever called.
    """
    if file.stat().st_size > LARGEST:
        raise ManifestError(
            f"{file}: larger than {LARGEST:,} bytes, which is too large for an id map: give the right file"
        )
    data = file.read_bytes()
    if file.suffix == ".json":
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{file}: not JSON ({error}): fix it or get it again") from error
    else:
        found = _plain_pickle(file, data)
    if not isinstance(found, dict):
        raise ManifestError(f"{file}: not a mapping of face to photograph: give the right file")
    return {_id(file, face): _id(file, photo) for face, photo in found.items()}


def _id(file: Path, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64:
        return str(value)
    if isinstance(value, str) and len(value) <= _LONGEST:
        return value
    raise ManifestError(
        f"{file}: maps something that is not an id ({type(value).__name__}): give the right file"
    )


def _plain_pickle(file: Path, data: bytes) -> object:
    """Follow the instructions of a pickle of mappings, lists, tuples, texts and whole numbers."""
    import pickletools  # here: it is slow to import, and hardly anyone has such a file

    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            name = opcode.name
            if name in _TEXTS or name in _INTS:
                stack.append(argument)
            elif name in _EMPTY:
                stack.append(_EMPTY[name]())
            elif name == "MARK":
                stack.append(_MARK)
            elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
                memo[len(memo) if name == "MEMOIZE" else cast(int, argument)] = stack[-1]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[cast(int, argument)])
            elif name == "STOP":
                (found,) = stack
                return found
            elif name not in _NOTHING and not _builds(name, stack):
                raise ManifestError(
                    f"{file}: refused: this pickle holds more than texts and numbers (instruction {name}); "
                    'if you trust who made it, convert it to JSON: python -c "import json, pickle, sys; '
                    "json.dump(pickle.load(open(sys.argv[1], 'rb')), open(sys.argv[2], 'w'))\" "
                    f"{file.name} {file.stem}.json"
                )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise ManifestError(
            f"{file}: damaged, or not a pickle ({error}): copy or download it again"
        ) from error
    raise ManifestError(f"{file}: damaged (it ends early): copy or download it again")


def _builds(name: str, stack: list[Any]) -> bool:
    """Do what an instruction for a mapping, list or tuple says; False if it is none."""
    if name in ("SETITEM", "APPEND"):
        items = _popped(stack, 2 if name == "SETITEM" else 1)
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        stack.append(tuple(_popped(stack, int(name[-1]))))
        return True
    elif name in ("SETITEMS", "APPENDS", "DICT", "LIST", "TUPLE"):
        items = _popped_to_mark(stack)
    else:
        return False
    if name in ("DICT", "LIST", "TUPLE"):
        stack.append({"DICT": dict, "LIST": list, "TUPLE": tuple}[name]())
    if name == "TUPLE":
        stack[-1] = tuple(items)
    elif name in ("SETITEM", "SETITEMS", "DICT"):
        stack[-1].update(zip(items[::2], items[1::2], strict=True))
    else:
        stack[-1].extend(items)
    return True


def _popped(stack: list[Any], count: int) -> list[Any]:
    items = [stack.pop() for _ in range(count)]
    return items[::-1]


def _popped_to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]
