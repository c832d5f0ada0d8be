"""`folder`: photographs as they came from cameras, with the EXIF of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cameraborn.data.adapters.entry import Entry, LeftOut, Options, entry, pictures_in


def folder_entries(source: Path, options: Options) -> Iterator[Entry | LeftOut]:
    """Photographs in a folder, recursively.

    The group is the sub-folder, which is a photographer or an occasion more often than not, or else the photograph.
    """
    top = source.absolute()
    for path in pictures_in(source, options.census):
        group = path if options.group == "photo" else path.parent
        yield entry(path, read=True, source=source.resolve().name, group=str(group.relative_to(top)))
