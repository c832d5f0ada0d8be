"""A journal: what a long run has found out so far, a line an item, so that the run goes on after an interruption."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cameraborn.errors import CamerabornError, JournalError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LINE = re.compile(rb"([0-9a-f]{16}) (\d+) (\d+) ")
SYNCED_EVERY = 5.0  # seconds of work that a power cut may cost
_CUT = re.compile(rb"[0-9a-f]{16} |[0-9a-f]{1,16}$")  # such a line, cut off


@dataclass(frozen=True)
class Mark:
    """What tells whether an item was worked on before: what it is called, and its file's size and time."""

    key: int  # 64 bits
    size: int
    changed: int  # nanoseconds

    @staticmethod
    def of(key: int, path: str) -> Mark:
        """The mark of a file; of size 0 if it is gone, which the work itself will say."""
        try:
            status = os.stat(path)  # noqa: PTH116 (hundreds of thousands)
        except (OSError, ValueError):
            return Mark(key, 0, 0)
        return Mark(key, status.st_size, status.st_mtime_ns)


def digest(text: str) -> int:
    """64 bits of a text, which take less memory than the text does."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Journal:
    """A line an item: its mark (key in hex, size, time) and what was found, as JSON. Survives interruptions.

    A last line that was cut off is dropped, and so is what a power cut made of others. A context; a journal that holds
    no item is removed at its end.

    Args:
        path: the file.
        settings: what the work depends on; the first line, if there are any.
        again: what goes on with the work, for messages.

    Raises:
        JournalError: the file is no journal, is of other settings, or cannot be written.
    """

    HEAD = b'{"settings": '  # how the first line begins, if the work has settings

    def __init__(
        self, path: Path, settings: Mapping[str, Any] | None = None, again: str = "the same command"
    ) -> None:
        self.path = path
        self._settings, self._again = settings, again
        self._places: dict[int, int] = {}  # key -> where its line begins
        self._synced = time.monotonic()

    @staticmethod
    def may_be(path: Path) -> bool:
        """Whether a file is a journal that has settings, or its beginning; links are not followed."""
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(len(Journal.HEAD))
        return Journal.HEAD.startswith(head)

    @staticmethod
    def settings_of(path: Path) -> dict[str, Any]:
        """The settings of the journal at a path; empty if there is none."""
        if not Journal.may_be(path):
            return {}
        with path.open("rb") as file:
            return _settings_in(file.readline()) or {}

    @staticmethod
    def held(path: Path) -> int:
        """How many items the journal at a path holds; 0 if it is none."""
        if path.is_symlink() or not path.is_file():
            return 0
        with path.open("rb") as file:
            return sum(line.endswith(b"\n") and _LINE.match(line) is not None for line in file)

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Self:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise self._foreign()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._keep_others_out()
            self._take_up()
        except JournalError:
            with suppress(OSError):  # what could not be written cannot be written now either
                self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:  # what `add` could not write cannot be written now either
            if error is None:
                raise
        if not self._places:
            self.path.unlink(missing_ok=True)

    def recount(self) -> int:
        """How many items the file holds after an interruption, which may come before a written line is counted."""
        with suppress(OSError, JournalError):  # the disk is full, say: what was counted is what is there
            self._take_up()
        return len(self)

    def get(self, mark: Mark) -> tuple[int, Any] | None:
        """Where the line of an item begins and what it holds, if the item is still the same."""
        at = self._places.get(mark.key)
        if at is None:
            return None
        self._file.seek(at)
        match = _LINE.match(line := self._file.readline())
        if match is None or (int(match[2]), int(match[3])) != (mark.size, mark.changed):
            return None
        try:
            return at, json.loads(line[match.end() :])
        except ValueError:
            return None

    def read(self, at: int) -> Any:  # noqa: ANN401 (JSON)
        """What the line holds that begins there."""
        self._file.seek(at)
        line = self._file.readline()
        return json.loads(line[len(_matched(line)) :])

    def add(self, mark: Mark, found: object) -> int:
        """Write a line, at once, and return where it begins.

        Raises:
            JournalError: the disk is full.
        """
        try:
            at = self._file.seek(0, os.SEEK_END)
            text = f"{mark.key:016x} {mark.size} {mark.changed} {json.dumps(found)}\n"
            self._file.write(text.encode())
            self._file.flush()
            self._places[mark.key] = at
            if time.monotonic() - self._synced > SYNCED_EVERY:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise JournalError(
                f"{self.path}: cannot be written ({error.strerror}): free some space, "
                f"and {self._again} goes on where it stopped"
            ) from error
        return at

    def _keep_others_out(self) -> None:
        """Until the file is closed. Where a file system has no locks, two runs at a time are up to the user."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"{self.path}: another run is writing it: wait for its end, or give another -o"
            ) from None
        except OSError:
            return

    def _take_up(self) -> None:
        self._file.seek(0)
        at = end = self._take_up_settings()
        for line in self._file:
            match = _LINE.match(line)
            if match and line.endswith(b"\n"):
                self._places[int(match[1], 16)] = at
                end = at + len(line)
            elif not end and (line.endswith(b"\n") or len(line) <= 16 or not _CUT.match(line)):
                raise self._foreign()  # a word alone in a file is not taken for the beginning of the first line
            at += len(line)
        self._file.truncate(end)

    def _take_up_settings(self) -> int:
        """See that the first line has these settings, or write it; where the next line begins."""
        if self._settings is None:
            return 0
        wanted = dict(self._settings)
        line = (json.dumps({"settings": wanted}) + "\n").encode()
        found = self._file.readline()
        if not found.endswith(b"\n"):  # new, or killed at once
            if not (found.startswith(self.HEAD) or self.HEAD.startswith(found)):
                raise self._foreign()
            try:
                self._file.truncate(0)
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self.path.unlink(missing_ok=True)  # it holds nothing
                raise self._unwritable(error) from error
            return len(line)
        held = _settings_in(found)
        if held is None:
            raise self._foreign()
        other = [name for name in {**held, **wanted} if held.get(name) != wanted.get(name)]
        if other:
            raise JournalError(
                f"{self.path}: of a run with another {' and another '.join(other)}: "
                "give the same options, or --overwrite to start again"
            )
        return len(found)

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(
            f"{self.path}: cannot be written ({error.strerror}): free some space or check the folder"
        )

    def _foreign(self) -> JournalError:
        return JournalError(f"{self.path}: not the journal of an interrupted run: move or delete it")


def _settings_in(line: bytes) -> dict[str, Any] | None:
    """The settings that a first line holds, if it does."""
    if not line.startswith(Journal.HEAD):
        return None
    try:
        held = json.loads(line)["settings"]
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _matched(line: bytes) -> bytes:
    match = _LINE.match(line)
    if match is None:
        raise CamerabornError("the journal has changed while it was read: run the command again")
    return match[0]
