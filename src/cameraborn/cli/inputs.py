"""What `score` is given: files, folders, patterns, a list on standard input, or one picture there."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from typing import cast

from cameraborn.errors import CamerabornError
from cameraborn.photo.files import expand
from cameraborn.photo.sniff import HEAD, PICTURES, Census, Kind, kind_of

STANDARD_INPUT = "-"
_LISTS = frozenset({Kind.TEXT, Kind.EMPTY, Kind.OTHER})  # names may hold any byte but zero


class StandardInput(io.BytesIO):
    """The one picture that was on standard input; its rows call it `-`."""

    name = STANDARD_INPUT


def inputs(paths: Sequence[str], census: Census, *, null: bool) -> Iterator[str | StandardInput]:
    """The pictures, lazily; whatever is passed over is counted.

    Args:
        paths: files, folders, patterns; `-` is standard input: a list of paths, or one picture.
        census: counts what folders hold besides pictures.
        null: the list's names end in zero bytes, as `find -print0` writes them.

    Raises:
        CamerabornError: standard input is neither.
    """
    for path in paths:
        if path == STANDARD_INPUT and _is_picture(null):
            yield StandardInput(sys.stdin.buffer.read())
        else:
            yield from expand([path], census, separator=b"\0" if null else b"\n")


def _is_picture(null: bool) -> bool:
    """Whether a picture is on standard input, by its first bytes, which stay there."""
    if sys.stdin is None:
        raise CamerabornError("standard input is closed: give paths instead of -")
    head = cast("io.BufferedReader", sys.stdin.buffer).peek(HEAD)[:HEAD]
    kind = kind_of(head)
    if kind in PICTURES:
        return True
    if kind not in _LISTS:
        raise CamerabornError(
            f"standard input: {kind.value}, neither a picture that can be read nor a list of paths: "
            "give the paths, one a line"
        )
    if b"\0" in head and not null:
        raise CamerabornError(
            "standard input: not a list of paths, as it has zero bytes in it: "
            "give -0 for names that end in zero bytes, as those of 'find -print0'"
        )
    return False
