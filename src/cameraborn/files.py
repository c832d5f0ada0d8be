"""What every room says of arrays and files: names of types, files that are whole or not there, nothing overwritten."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import OverwriteError

T = TypeVar("T")
AnyPath = str | os.PathLike[str]

Pixels = NDArray[np.uint8]  # [H W 3], grey levels
Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1, pixels


def as_several(given: Any) -> Any:  # noqa: ANN401 (whatever was written by hand)
    """Where several are named, one name alone stands for a list of it."""
    return [given] if isinstance(given, str) else given


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end of the block: `with replacing(path) as part`.

    It lies beside `path` under a name that nobody can foresee, so that no file or link of others is written to:
    `.NAME.TOKEN.part`, before the file's ending, which some writers go by. After an exception it is removed, and what
    was at `path` is as it was. What is replaced hands its permissions on. Of a link, what it leads to is replaced. A
    device or a pipe stays, and is written into at the end of the block.

    Args:
        path: the file, device or pipe.
        alone: nobody else writes this file at the same time: what killed runs have left of it is removed.

    Raises:
        OSError: `path` cannot be written; the error names it.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    # With a token, a long name would be too long.
    part = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.part{path.suffix}")
    try:
        with _poured_into(path) if is_stream(path) else _renamed_to(path, part, alone) as place:
            yield place
    except OSError as error:
        if error.filename in (None, str(part)):  # what is written by number has no name in its errors
            error.filename, error.filename2 = str(path), None
        raise


@contextmanager
def _renamed_to(path: Path, part: Path, alone: bool) -> Iterator[Path]:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for left in _left_of(part) if alone else ():
        left.unlink(missing_ok=True)
    # Nobody else reads meanwhile what replaces something private.
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if path.exists() else 0o666))
    try:
        yield part
        if path.exists():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        # Before it takes the name: a power cut leaves the old file or the new one.
        with part.open("r+b") as whole:
            os.fsync(whole.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _left_of(part: Path) -> list[Path]:
    """The files that are called like this one but for the token."""
    begin, _, end = part.name.rpartition(".part")
    like = re.compile(re.escape(begin[:-16]) + r"[0-9a-f]{16}\.part" + re.escape(end))
    return [file for file in part.parent.iterdir() if like.fullmatch(file.name)]


@contextmanager
def _poured_into(stream: Path) -> Iterator[Path]:
    """Some writers seek in their files, which a pipe does not allow; and what fails in the middle writes nothing."""
    with TemporaryDirectory() as folder:
        part = Path(folder) / f"part{stream.suffix}"
        yield part
        with part.open("rb") as whole, stream.open("wb") as out:
            shutil.copyfileobj(whole, out)


def is_stream(path: AnyPath) -> bool:
    """Whether a path, or what it links to, is a device, a pipe or a socket.

    It may block whoever opens it; it is written into, and never replaced.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a text or a path)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_by_all(path: Path) -> None:
    """Note a file that was read for whatever this process does, such as one of settings: no output may replace it."""
    _read_by_all.append(path)


_read_by_all: list[Path] = []


class Outputs:
    """What a run will write: kept apart from what it reads, and from what is there already.

    Device and inode are compared, so that neither a link, nor a hard link, nor another spelling of a name hides a file.
    Standard output is one of them where a shell has led it into a file.

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
            if (same := _identity(path)) is not None:
                self._replaced[same] = path
        self._folders = any(path.is_dir() for path in self._replaced.values())
        self._standard_output = _identity(1)
        if (output := self._replaced.get(_identity(0) or (0, 0))) is not None:
            raise OverwriteError(
                f"standard input: this command would write to the file that it comes from ({output}): give another -o"
            )
        self.reads(*_read_by_all)

    @property
    def replace(self) -> bool:
        """Whether anything is there that will be replaced, or written into."""
        return bool(self._replaced) or self._standard_output is not None

    def reads(self, *paths: AnyPath | None) -> None:
        """See that a run may read files, or folders and the files in them.

        Raises:
            OverwriteError: it would replace one of them.
        """
        for path in paths if self.replace else ():
            if path is not None:
                self._check(path)
                listed = self._replaced and os.path.isdir(path)  # noqa: PTH112 (a text or a path)
                for file in Path(path).iterdir() if listed else ():
                    self._check(file, listed=True)

    def watched(self, found: Iterable[T], path_of: Callable[[T], AnyPath]) -> Iterator[T]:
        """The same things; before each is given, its file is checked as by `reads`."""
        for one in found:
            if self.replace:
                self._check(path_of(one))
            yield one

    def _check(self, path: AnyPath, *, listed: bool = False) -> None:
        if self._standard_output and not listed and _identity(path) == self._standard_output:
            raise OverwriteError(
                f"{os.fsdecode(path)}: this command reads it, and standard output leads into it: lead that elsewhere"
            )
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
