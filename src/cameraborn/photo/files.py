"""The pictures of folders, patterns and lists, as every verb sees them."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cameraborn.photo.decode import SUPPORTED_EXTENSIONS


def expand(paths: Iterable[str]) -> Iterator[str]:
    """Files as they are, folders recursively and sorted, globs, and `-` for a list on standard input; lazily.

    What does not exist is passed on: its row will say so.
    """
    for path in paths:
        if path == "-":
            # Bytes, because names need not be text in the locale's encoding.
            for line in sys.stdin.buffer:
                if name := os.fsdecode(line.rstrip(b"\r\n")):
                    yield from _files(name)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matches(path)
        else:
            yield from _files(path)


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):  # noqa: PTH112 (strings all the way: a list may hold millions)
        yield from pictures_in(path)
    else:
        yield path


def _matches(pattern: str) -> Iterator[str]:
    whole = Path(pattern)
    if "**" in whole.parts:
        # pathlib's `**` does not follow links to folders, which may be circles; it matches folders as well.
        inside = whole.relative_to(whole.anchor) / ("*" if whole.name == "**" else "")
        found = sorted(str(path) for path in Path(whole.anchor).glob(str(inside)) if not path.is_dir())
    else:
        found = sorted(glob.glob(pattern))  # noqa: PTH207 (strings, hidden files left out as by a shell)
    for path in found or [pattern]:
        yield from _files(path)


def pictures_in(folder: str) -> Iterator[str]:
    """Paths of the pictures in a folder, recursively, each folder's in the order of their names; lazily.

    Strings all the way: a folder may hold millions, and a name that is no text keeps its odd bytes. Links to folders
    may be circles and are not followed. A folder that cannot be opened is passed on: whoever reads it will say why.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(_wanted(entries))
    except OSError:
        yield folder
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        if name.endswith("/"):
            yield from pictures_in(path[:-1])
        else:
            yield path


def _wanted(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    """Names of pictures, and of folders with a slash."""
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield entry.name + "/"
        elif os.path.splitext(entry.name)[1].lower() in SUPPORTED_EXTENSIONS and not entry.is_dir():  # noqa: PTH122
            yield entry.name
