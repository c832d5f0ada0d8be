"""One generator function a layout of data on disk: a folder or file in, its pictures and what is said of them out.

A new layout is a file here and an entry in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cameraborn.data.adapters.entry import Entry, LeftOut, Options
from cameraborn.data.adapters.fdf import fdf_entries
from cameraborn.data.adapters.flickr import flickr_entries
from cameraborn.data.adapters.folder import folder_entries
from cameraborn.data.adapters.rows import rows_entries
from cameraborn.data.adapters.sdaie import sdaie_entries
from cameraborn.data.adapters.table import csv_entries
from cameraborn.data.adapters.tree import tree_entries

__all__ = ["LAYOUTS", "Entry", "Layout", "LeftOut", "Options"]


@dataclass(frozen=True)
class Layout:
    """A way in which data lie on disk.

    Attributes:
        entries: lists the pictures of one source.
        takes: the options (of `Options`) that mean something to it.
    """

    entries: Callable[[Path, Options], Iterator[Entry | LeftOut]]
    takes: frozenset[str] = frozenset()


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(folder_entries, frozenset({"group"})),
    "rows": Layout(rows_entries),
    "csv": Layout(csv_entries),
    "tree": Layout(tree_entries),
    "flickr": Layout(flickr_entries, frozenset({"exif"})),
    "fdf": Layout(fdf_entries, frozenset({"exif"})),
    "sdaie": Layout(sdaie_entries),
}
