"""The pictures of a folder, as every verb sees them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cameraborn.photo.decode import SUPPORTED_EXTENSIONS


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
