"""What every room says of arrays and files: names of types, files that are whole or not there, nothing overwritten."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import OverwriteError

T = TypeVar("T")
AnyPath = str | os.PathLike[str]

Pixels = NDArray[np.uint8]  # [H W 3], grey levels
Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1, pixels


@contextmanager
def replacing(path: Path, *, contended: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end of the block: `with replacing(path) as part`.

    It is called `NAME.part`, before the file's ending, which some writers go by. After an exception it is removed, and
    what was at `path` is as it was. If `contended`, other threads and processes may write the same file at the same
    time: each has a part of its own, and the last one stays.
    """
    part = part_of(path, f".{os.getpid()}-{threading.get_ident()}" if contended else "")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path, own: str = "") -> Path:
    """What a file is called until it is complete."""
    return path.with_name(f"{path.stem}{own}.part{path.suffix}")


def read_by_all(path: Path) -> None:
    """Note a file that was read for whatever this process does, such as one of settings: no output may replace it."""
    _read_by_all.append(path)


_read_by_all: list[Path] = []


class Outputs:
    """What a run will write: kept apart from what it reads, and from what is there already.

    Device and inode are compared, so that neither a link, nor a hard link, nor another spelling of a name hides a file.

    Args:
        paths: files and folders. An empty one holds nothing; a device or a pipe is written to and loses nothing.
        filled: a folder that a run may go on filling, or a bundle that is renewed in place.
        overwrite: what is there may be replaced, but never what the run reads.

    Raises:
        OverwriteError: something is there.
    """

    def __init__(self, *paths: Path | None, filled: Path | None = None, overwrite: bool = False) -> None:
        self._replaced: dict[tuple[int, int], Path] = {}
        for path in filter(None, paths):
            if not overwrite and holds_something(path):
                raise OverwriteError(
                    f"{path}: is there already: give another -o, or --overwrite to replace it"
                )
        for path in filter(None, (*paths, filled)):
            for place in (path, part_of(path)):
                if (same := _identity(place)) is not None:
                    self._replaced[same] = path
        self._folders = any(path.is_dir() for path in self._replaced.values())
        if (output := self._replaced.get(_identity(0) or (0, 0))) is not None:
            raise OverwriteError(
                f"standard input: this command would write to the file that it comes from ({output}): give another -o"
            )
        self.reads(*_read_by_all)

    @property
    def replace(self) -> bool:
        """Whether anything is there that will be replaced."""
        return bool(self._replaced)

    def reads(self, *paths: AnyPath | None) -> None:
        """See that a run may read files, or folders and the files in them.

        Raises:
            OverwriteError: it would replace one of them.
        """
        for path in paths if self._replaced else ():
            if path is not None:
                self._check(path)
                for file in Path(path).iterdir() if os.path.isdir(path) else ():  # noqa: PTH112 (a text or a path)
                    self._check(file)

    def watched(self, found: Iterable[T], path_of: Callable[[T], AnyPath]) -> Iterator[T]:
        """The same things; before each is given, its file is checked as by `reads`."""
        for one in found:
            if self._replaced:
                self._check(path_of(one))
            yield one

    def _check(self, path: AnyPath) -> None:
        around = Path(os.path.realpath(path)).parents if self._folders else ()
        for place in (path, *around):
            if (output := self._replaced.get(_identity(place) or (0, 0))) is not None:
                raise OverwriteError(
                    f"{os.fsdecode(path)}: this command reads it and would write to it ({output}): give another -o"
                )


def holds_something(path: Path) -> bool:
    """Whether there is a file or a folder that is not empty; devices and pipes hold nothing."""
    try:
        status = path.stat()
    except OSError:
        return False
    if stat.S_ISDIR(status.st_mode):
        return any(path.iterdir())
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def refuse_foreign(folder: Path, own: Collection[str]) -> None:
    """See that a folder is new, empty, or the one that an earlier run began: then it has one of its `own` files.

    What a run leaves that was killed at its very beginning (`*.part*`) is not counted.

    Raises:
        OverwriteError: it holds other files.
    """
    inside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    others = [name for name in inside if ".part" not in Path(name).suffixes]
    if others and not {*own} & {*others}:
        raise OverwriteError(f"{folder}: holds other files: give a new or empty folder")


def _identity(path: AnyPath | int) -> tuple[int, int] | None:
    """Device and inode of a file or folder; None for what is not there, and for devices and pipes."""
    try:
        status = os.stat(path)  # noqa: PTH116 (a text, a path or an open file's number)
    except (OSError, ValueError):
        return None
    kept = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return (status.st_dev, status.st_ino) if kept else None
