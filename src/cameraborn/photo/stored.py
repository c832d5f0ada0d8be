"""The pictures of a folder in a storage, as `photo.files` finds them on a disk."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cameraborn.engine.storage import Entry, entries, is_file, opened
from cameraborn.photo.decode import SUPPORTED_EXTENSIONS
from cameraborn.photo.sniff import HEAD, Census, can_be_read, kind_of


def pictures_at(address: str, census: Census) -> Iterator[str]:
    """The address, if it is a file's or nothing is there; else those of the pictures in the folder, recursively.

    They come in the order of their names, each folder's together. A file is a picture by its ending, or by its first
    bytes, which cost a request; the census counts the others.

    Raises:
        StorageError: the storage cannot be read.
    """
    if is_file(address) or not entries(address):
        yield address
    else:
        yield from _pictures_in(address, census)


def _pictures_in(folder: str, census: Census) -> Iterator[str]:
    for entry in sorted(entries(folder), key=_place):
        if entry.is_folder:
            yield from _pictures_in(entry.address, census)
        elif os.path.splitext(entry.name)[1].lower() in SUPPORTED_EXTENSIONS:  # noqa: PTH122 (no path of a disk)
            yield entry.address
        else:
            with opened(entry.address) as file:
                kind = kind_of(file.read(HEAD))
            if can_be_read(kind):
                yield entry.address
            else:
                census.add(kind)


def _place(entry: Entry) -> str:
    """What its folder is sorted by: names of folders end in a slash, as in `photo.files`."""
    return f"{entry.name}/" if entry.is_folder else entry.name
