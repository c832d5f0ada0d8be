"""The pictures of folders, patterns and lists, as every verb sees them."""

from __future__ import annotations

import codecs
import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cameraborn.files import is_stream
from cameraborn.photo.decode import SUPPORTED_EXTENSIONS
from cameraborn.photo.sniff import Census, Kind, can_be_read, is_regular, kind_of_file


def expand(paths: Iterable[str], census: Census | None = None, *, separator: bytes = b"\n") -> Iterator[str]:
    """Files as they are, folders recursively and sorted, globs, and `-` for a list on standard input; lazily.

    Names of the list end in a line break, or in a zero byte as `find -print0` writes them.

    What does not exist is passed on: its row will say so. The census counts what folders hold besides pictures, and
    pipes, sockets and devices in lists and patterns; one that is named itself is read.
    """
    for path in paths:
        if path == "-":
            # Bytes, because names need not be text in the locale's encoding; some editors begin with a mark.
            for number, line in enumerate(_lines(sys.stdin.buffer, separator)):
                if not number:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if name := os.fsdecode(line.rstrip(b"\r\n") if separator == b"\n" else line):
                    yield from _listed(name, census)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matches(path, census)
        else:
            yield from _files(path, census)


def _lines(stream: Any, separator: bytes) -> Iterator[bytes]:  # noqa: ANN401 (`BinaryIO` lacks read1)
    """What stands between separators; lazily, as whoever writes the list may do so slowly."""
    if separator == b"\n":
        yield from stream
        return
    rest = b""
    while block := stream.read1():
        *whole, rest = (rest + block).split(separator)
        yield from whole
    yield rest


def _listed(path: str, census: Census | None) -> Iterator[str]:
    """As `_files`, but of what nobody named one by one: pipes, sockets and devices are passed over unopened."""
    if not is_stream(path):
        yield from _files(path, census)
    elif census is not None:
        census.add(Kind.SPECIAL)


def _files(path: str, census: Census | None) -> Iterator[str]:
    if os.path.isdir(path):  # noqa: PTH112 (strings all the way: a list may hold millions)
        yield from pictures_in(path, census)
    else:
        yield path


def _matches(pattern: str, census: Census | None) -> Iterator[str]:
    whole = Path(pattern)
    if "**" in whole.parts:
        # pathlib's `**` does not follow links to folders, which may be circles; it matches folders as well.
        inside = whole.relative_to(whole.anchor) / ("*" if whole.name == "**" else "")
        found = sorted(str(path) for path in Path(whole.anchor).glob(str(inside)) if not path.is_dir())
    else:
        found = sorted(glob.glob(pattern))  # noqa: PTH207 (strings, hidden files left out as by a shell)
    for path in found or [pattern]:
        yield from _listed(path, census)


def pictures_in(folder: str, census: Census | None = None) -> Iterator[str]:
    """Paths of the pictures in a folder, recursively, each folder's in the order of their names; lazily.

    A file is a picture by its ending, and then whoever reads it says what is wrong with it, or by its first bytes,
    whatever its ending. Pipes, sockets and devices are passed over unopened.

    Strings all the way: a folder may hold millions, and a name that is no text keeps its odd bytes. Links to folders
    may be circles: they are counted and not followed. A folder that cannot be opened is passed on: whoever reads it
    will say why.
    """
    census = Census() if census is None else census
    try:
        with os.scandir(folder) as entries:
            names = sorted(_wanted(entries, census))
    except OSError:
        yield folder
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        if name.endswith("/"):
            yield from pictures_in(path[:-1], census)
        else:
            yield path


def _wanted(entries: Iterable[os.DirEntry[str]], census: Census) -> Iterator[str]:
    """Names of pictures, and of folders with a slash."""
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield entry.name + "/"
        elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
            census.add(Kind.LINK)
        elif (kind := _kind(entry)) is None:
            yield entry.name
        else:
            census.add(kind)


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    """What is to be passed over; None for a picture. A link to nowhere is one if its name says so: its row says why."""
    named = os.path.splitext(entry.name)[1].lower() in SUPPORTED_EXTENSIONS  # noqa: PTH122
    if named and (_is_file(entry) or not os.path.exists(entry.path)):  # noqa: PTH110
        return None
    kind = kind_of_file(entry.path)
    return None if can_be_read(kind) else kind


def _is_file(entry: os.DirEntry[str]) -> bool:
    """As `entry.is_file()`, which raises for links that are circles, and asks the disk for nothing but links."""
    return is_regular(entry.path) if entry.is_symlink() else entry.is_file()
