"""From what an adapter lists to a manifest: pictures are hashed, opened where needed, and searched for faces.

That takes hours for hundreds of thousands of photographs, so what is found out of each is written at once to a journal
beside the manifest, `<manifest>.unfinished`. The same command goes on after any interruption: a picture is not looked
at again if its path, size, time of change and all that its data set says of it are those of the journal. The journal
goes when the manifest is complete. What is kept in memory is two numbers for each picture.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.adapters import Entry, LeftOut
from cameraborn.data.manifest import Row, cannot_write, sha256_of, write_manifest
from cameraborn.data.verify import Mapper, digest, identity
from cameraborn.errors import CamerabornError, ManifestError, PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import Face, FaceFinder, landmarks_68

SAME_FACE = 0.3  # intersection over union of a data set's box and ours, from which they are one face
_LINE = re.compile(rb"([0-9a-f]{16}) (\d+) (\d+) ")
_CUT = re.compile(rb"[0-9a-f]{1,16}( |$)")


@dataclass(frozen=True)
class Looked:
    """What one picture has given: its rows (none if it shows no face), or why it is left out."""

    path: str
    rows: tuple[Row, ...] = ()
    problem: str = ""


@dataclass
class Imported:
    """Counts of an import."""

    rows: int = 0
    left_out: int = 0
    without_face: int = 0
    twice: int = 0  # listed again, and left out
    reused: int = 0  # pictures that an earlier, interrupted import had looked at
    labels: Counter[str] = field(default_factory=Counter)  # rows by label and generator


def import_manifest(
    found: Iterable[Entry | LeftOut],
    output: Path,
    *,
    faces: FaceFinder | None = None,
    mapper: Mapper = map,
    report: Callable[[str, str], None] = lambda path, problem: None,
) -> Imported:
    """Look at every picture and write the manifest; return what came of it.

    Args:
        found: what an adapter lists.
        output: the manifest; an older one is replaced when the new one is complete.
        faces: finds faces: then a row is a face, with box and landmarks, and pictures without a face give none.
        mapper: looks at pictures; see `Mapper`.
        report: told each picture's path, and why it is left out (empty: it is not).

    Raises:
        ManifestError: nothing could be imported, or the disk is full; the same command goes on where it stopped.
    """
    counts = Imported()
    place = output.with_name(output.name + ".unfinished")
    with Journal(place) as journal:
        rows = _rows(found, journal, faces, mapper, report, counts)
        first = next(rows, None)
        if first is not None:  # before anything is written: an older manifest stays
            counts.rows = write_manifest(itertools.chain([first], rows), output)
    place.unlink(missing_ok=True)
    if first is None:
        raise ManifestError(
            f"{output}: not written: no picture found{_what_was(counts)}: check the path and the layout"
        )
    return counts


def _what_was(counts: Imported) -> str:
    kinds = (("left out", counts.left_out), ("without a face", counts.without_face))
    return "".join(f", {number} {name}" for name, number in kinds if number)


def _rows(
    found: Iterable[Entry | LeftOut],
    journal: Journal,
    faces: FaceFinder | None,
    mapper: Mapper,
    report: Callable[[str, str], None],
    counts: Imported,
) -> Iterator[Row]:
    """Every row, in the order in which pictures are listed; what is new goes into the journal first."""

    def work(item: Looked | tuple[Entry, Mark]) -> tuple[Looked, Mark | None]:
        if isinstance(item, Looked):
            return item, None
        listed, mark = item
        return look(listed, faces), mark

    for looked, mark in mapper(work, _not_known(found, journal, faces is not None, counts)):
        if mark is not None:
            journal.add(mark, looked)
        counts.left_out += bool(looked.problem)
        counts.without_face += not looked.problem and not looked.rows
        report(looked.path, looked.problem)
        for row in looked.rows:
            counts.labels[f"{row.label} {row.generator}".strip()] += 1
            yield row


def _not_known(
    found: Iterable[Entry | LeftOut], journal: Journal, faces: bool, counts: Imported
) -> Iterator[Looked | tuple[Entry, Mark]]:
    """What is still to be looked at, with its mark; what is known already; each picture once."""
    seen: set[int] = set()
    for item in found:
        if isinstance(item, LeftOut):
            yield Looked(item.path, problem=item.why)
            continue
        same = identity(item.row)
        if same in seen:
            counts.twice += 1
            continue
        seen.add(same)
        mark = Mark.of(item, faces)
        known = journal.get(mark)
        counts.reused += known is not None
        yield known or (item, mark)


def look(listed: Entry, faces: FaceFinder | None) -> Looked:
    """Hash one picture, open it where that is needed, and find its faces if `faces` is given."""
    row, path = listed.row, Path(listed.row.path)
    try:
        if faces is None and not listed.read:
            return Looked(row.path, (row.model_copy(update={"sha256": sha256_of(path)}),))
        picture = open_picture(path)
    except PictureError as error:
        return Looked(row.path, problem=str(error))
    except OSError as error:
        return Looked(row.path, problem=f"{path}: cannot be read ({error.strerror}): check the file")
    changes: dict[str, Any] = {"sha256": picture.sha256}
    if listed.read:
        changes["exif"] = picture.exif.to_mapping()
    row = row.model_copy(update=changes)
    return Looked(row.path, (row,) if faces is None else tuple(_faces_of(row, picture.pixels, faces)))


def _faces_of(row: Row, pixels: NDArray[np.uint8], finder: FaceFinder) -> Iterator[Row]:
    """A row for each face found, or for the one whose box the row has already."""
    faces = finder.find(pixels)
    if row.box is not None:
        given = Face(row.box, 1.0)
        # The landmarks' network knows our detector's boxes, which are smaller than most.
        best = max(faces, key=lambda face: _overlap(face.box, given.box), default=given)
        face = best if _overlap(best.box, given.box) >= SAME_FACE else given
        yield row.model_copy(update={"landmarks": _landmarks(finder, pixels, face)})
        return
    for face in faces:
        box = tuple(round(side, 2) for side in face.box)
        yield row.model_copy(update={"box": box, "landmarks": _landmarks(finder, pixels, face)})


def _landmarks(finder: FaceFinder, pixels: NDArray[np.uint8], face: Face) -> tuple[tuple[float, float], ...]:
    points = landmarks_68(finder.landmarks(pixels, face)).astype(float).round(2)
    return tuple((x, y) for x, y in points.tolist())


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


@dataclass(frozen=True)
class Mark:
    """What tells whether a picture was looked at before: what is said of it, and its file's size and time."""

    key: int
    size: int
    changed: int  # nanoseconds

    @staticmethod
    def of(listed: Entry, faces: bool) -> Mark:
        """The mark of a listed picture; of size 0 if its file is gone, which looking at it will say."""
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

    def get(self, mark: Mark) -> Looked | None:
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
            return Looked(found["path"], tuple(map(Row.model_validate, found["rows"])), found["problem"])
        except (ValueError, LookupError, TypeError):
            return None

    def add(self, mark: Mark, looked: Looked) -> None:
        """Write a line, at once. Raises ManifestError if the disk is full."""
        rows = [row.model_dump(mode="json", exclude_defaults=True) for row in looked.rows]
        found = json.dumps({"path": looked.path, "rows": rows, "problem": looked.problem})
        try:
            self._file.write(f"{mark.key:016x} {mark.size} {mark.changed} {found}\n".encode())
            self._file.flush()
        except OSError as error:
            raise CamerabornError(
                f"{self._path}: cannot be written ({error.strerror}): free some space, "
                "and the same command goes on where it stopped"
            ) from error
