"""The journal of an import: what was found out of each picture, so that an interrupted import goes on."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from cameraborn.data.adapters import Entry
from cameraborn.data.manifest import Row, cannot_write
from cameraborn.data.verify import digest
from cameraborn.errors import CamerabornError, ManifestError

_LINE = re.compile(rb"([0-9a-f]{16}) (\d+) (\d+) ")
_CUT = re.compile(rb"[0-9a-f]{1,16}( |$)")


@dataclass(frozen=True)
class Examined:
    """What one picture has given: its rows (none if it shows no face), or why it is left out.

    `unopened` tells that a data set lists the picture, and that it cannot be opened.
    """

    path: str
    rows: tuple[Row, ...] = ()
    problem: str = ""
    unopened: bool = False


@dataclass(frozen=True)
class Mark:
    """What tells whether a picture was examined at before: what is said of it, and its file's size and time."""

    key: int
    size: int
    changed: int  # nanoseconds

    @staticmethod
    def of(listed: Entry, faces: bool) -> Mark:
        """The mark of a listed picture; of size 0 if its file is gone, which examining it will say."""
        key = digest(f"{listed.row.model_dump_json()} {listed.read} {faces}")
        try:
            status = os.stat(listed.row.path)  # noqa: PTH116 (hundreds of thousands)
        except OSError:
            return Mark(key, 0, 0)
        return Mark(key, status.st_size, status.st_mtime_ns)


class Journal:
    """What an import has found out so far, a line a picture; survives interruptions.

    A line is the mark (key in hex, size, time) and a JSON object of the path, the rows, and the problem. A last line
    that was cut off is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[int, int] = {}  # key -> where its line begins

    def __enter__(self) -> Journal:
        if self._path.exists() and not self._path.is_file():
            raise self._foreign()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._file.seek(0)
        at = 0
        for line in self._file:
            match = _LINE.match(line)
            whole = line.endswith(b"\n")
            if match is None and (whole or not _CUT.match(line)):
                self._file.close()
                raise self._foreign()
            if match and whole:
                self._places[int(match[1], 16)] = at
                at += len(line)
        self._file.truncate(at)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:  # what `add` could not write cannot be written now either
            if error is None:
                raise
        if not self._path.stat().st_size:
            self._path.unlink()

    def _foreign(self) -> ManifestError:
        return ManifestError(f"{self._path}: not the journal of an import: move or delete it")

    def get(self, mark: Mark) -> Examined | None:
        """What was found out of a picture, if it is still the same picture."""
        at = self._places.get(mark.key)
        if at is None:
            return None
        self._file.seek(at)
        line = self._file.readline()
        match = _LINE.match(line)
        if match is None or (int(match[2]), int(match[3])) != (mark.size, mark.changed):
            return None
        try:
            found = json.loads(line[match.end() :])
            rows = tuple(map(Row.model_validate, found["rows"]))
            return Examined(found["path"], rows, found["problem"], found.get("unopened", False))
        except (ValueError, LookupError, TypeError):
            return None

    def add(self, mark: Mark, examined: Examined) -> None:
        """Write a line, at once. Raises ManifestError if the disk is full."""
        rows = [row.model_dump(mode="json", exclude_defaults=True) for row in examined.rows]
        found = json.dumps(asdict(examined) | {"rows": rows})
        try:
            self._file.write(f"{mark.key:016x} {mark.size} {mark.changed} {found}\n".encode())
            self._file.flush()
        except OSError as error:
            raise CamerabornError(
                f"{self._path}: cannot be written ({error.strerror}): free some space, "
                "and the same command goes on where it stopped"
            ) from error
