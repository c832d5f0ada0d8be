"""The pictures of a folder, as every verb sees them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cameraborn.photo.decode import SUPPORTED_EXTENSIONS
from cameraborn.photo.sniff import PICTURES, Census, Kind, is_regular, kind_of_file


def pictures_in(folder: str, census: Census | None = None) -> Iterator[str]:
    """Paths of the pictures in a folder, recursively, each folder's in the order of their names; lazily.

    A file is a picture by its ending, and then whoever reads it says what is wrong with it, or by its first bytes,
    whatever its ending. Pipes, sockets and devices are passed over unopened.

    Strings all the way: a folder may hold millions, and a name that is no text keeps its odd bytes. Links to folders
    may be circles and are not followed. A folder that cannot be opened is passed on: whoever reads it will say why.

    Args:
        folder: where to look.
        census: counts what is passed over, as far as the walk has come.
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
            continue
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
    return None if kind in PICTURES else kind


def _is_file(entry: os.DirEntry[str]) -> bool:
    """As `entry.is_file()`, which raises for links that are circles, and asks the disk for nothing but links."""
    return is_regular(entry.path) if entry.is_symlink() else entry.is_file()
