"""From what an adapter lists to a manifest: pictures are hashed, opened where needed, and searched for faces.

That takes hours for hundreds of thousands of photographs, so what is found out of each is written at once to a journal
beside the manifest, `<manifest>.unfinished`. The same command goes on after any interruption: a picture is not examined
again if its path, size, time of change and all that its data set says of it are those of the journal. The journal
goes when the manifest is complete. What is kept in memory is two numbers for each picture.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.adapters import Entry, LeftOut
from cameraborn.data.journal import Examined, Journal, mark_of
from cameraborn.data.manifest import Row, write_manifest
from cameraborn.data.verify import identity
from cameraborn.engine.journal import Mark
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Stage
from cameraborn.errors import ManifestError, PictureError
from cameraborn.files import Pixels, is_stream
from cameraborn.photo.decode import open_picture, read_encoded, recognised
from cameraborn.photo.face_points import points_at, points_of
from cameraborn.photo.faces import FaceFinder


@dataclass
class Imported:
    """Counts of an import."""

    rows: int = 0
    left_out: int = 0
    unopened: int = 0  # of these: listed by the data set, and not to be opened
    without_face: int = 0
    twice: int = 0  # listed again, and left out
    reused: int = 0  # pictures that an earlier, interrupted import had examined
    labels: Counter[str] = field(default_factory=Counter)  # rows by label and generator


def unfinished(output: Path) -> Path:
    """The journal of the import that makes a manifest."""
    return output.with_name(output.name + ".unfinished")


def import_manifest(
    found: Iterable[Entry | LeftOut],
    output: Path,
    *,
    faces: bool = False,
    jobs: int | None = 1,
    report: Callable[[str, str], None] = lambda path, problem: None,
) -> Imported:
    """Examine every picture and write the manifest; return what came of it.

    Args:
        found: what an adapter lists.
        output: the manifest; an older one is replaced when the new one is complete.
        faces: find faces: then a row is a face, with its box, and landmarks where it shows enough for them; pictures
            without a face give none.
        jobs: pictures at a time; None is one a processor.
        report: told each picture's path, and why it is left out (empty: it is not).

    Raises:
        ManifestError: nothing could be imported, or the disk is full; the same command goes on where it stopped.
    """
    counts = Imported()
    with _journal(output) as journal:
        rows = _rows(found, journal, faces, jobs, report, counts)
        first = next(rows, None)
        if first is not None:  # before anything is written: an older manifest stays
            counts.rows = write_manifest(itertools.chain([first], rows), output)
    if first is None:
        kinds = (("left out", counts.left_out), ("without a face", counts.without_face))
        others = "".join(f", {number} {name}" for name, number in kinds if number)
        raise ManifestError(f"{output}: not written: no picture found{others}: check the path and the layout")
    return counts


@contextmanager
def _journal(output: Path) -> Iterator[Journal]:
    """The journal of a manifest, until that is written; beside a device or a pipe nothing is kept."""
    place = unfinished(output)
    with TemporaryDirectory() if is_stream(output) else nullcontext(place.parent) as folder:
        place = Path(folder) / place.name
        with Journal(place) as journal:
            yield journal
        place.unlink(missing_ok=True)


@dataclass
class _Examine(Stage[Examined | tuple[Entry, Mark], tuple[Examined, Mark | None]]):
    """Pictures to what they have given; what is known already passes through."""

    faces: bool

    def setup(self) -> None:
        self._finder = FaceFinder() if self.faces else None

    def work(self, item: Examined | tuple[Entry, Mark]) -> tuple[Examined, Mark | None]:
        if isinstance(item, Examined):
            return item, None
        listed, mark = item
        return examine(listed, self._finder), mark


def _rows(
    found: Iterable[Entry | LeftOut],
    journal: Journal,
    faces: bool,
    jobs: int | None,
    report: Callable[[str, str], None],
    counts: Imported,
) -> Iterator[Row]:
    """Every row, in the order in which pictures are listed; what is new goes into the journal first."""
    for examined, mark in map_in_order(_Examine(faces), _not_known(found, journal, faces, counts), jobs):
        if mark is not None:
            journal.keep(mark, examined)
        counts.left_out += bool(examined.problem)
        counts.unopened += examined.unopened
        counts.without_face += not examined.problem and not examined.rows
        report(examined.path, examined.problem)
        for row in examined.rows:
            counts.labels[f"{row.label} {row.generator}".strip()] += 1
            yield row


def _not_known(
    found: Iterable[Entry | LeftOut], journal: Journal, faces: bool, counts: Imported
) -> Iterator[Examined | tuple[Entry, Mark]]:
    """What is still to be examined, with its mark; what is known already; each picture once."""
    seen: set[int] = set()
    for item in found:
        if isinstance(item, LeftOut):
            yield Examined(item.path, problem=item.why)
            continue
        same = identity(item.row)
        if same in seen:
            counts.twice += 1
            continue
        seen.add(same)
        mark = mark_of(item, faces)
        known = journal.known(mark)
        counts.reused += known is not None
        yield known or (item, mark)


def examine(listed: Entry, finder: FaceFinder | None) -> Examined:
    """Hash one picture, open it (whole where that is needed), and find its faces if a finder is given."""
    row, path = listed.row, Path(listed.row.path)
    try:
        if finder is None and not listed.read:
            data, label = read_encoded(path, None)
            recognised(data, label)  # its header, which costs little
            return Examined(row.path, (row.model_copy(update={"sha256": sha256(data).hexdigest()}),))
        picture = open_picture(path)
    except PictureError as error:
        return Examined(row.path, problem=str(error), unopened=not listed.read)
    except OSError as error:
        problem = f"{path}: cannot be read ({error.strerror}): check the file"
        return Examined(row.path, problem=problem, unopened=not listed.read)
    changes: dict[str, Any] = {"sha256": picture.sha256}
    if listed.read:
        changes["exif"] = picture.exif.to_mapping()
    row = row.model_copy(update=changes)
    return Examined(row.path, (row,) if finder is None else tuple(_faces_of(row, picture.pixels, finder)))


def _faces_of(row: Row, pixels: Pixels, finder: FaceFinder) -> Iterator[Row]:
    """A row for each face found, or for the one whose box the row has already."""
    if row.box is not None:
        yield row.model_copy(update={"landmarks": _listed(points_at(finder, pixels, row.box))})
        return
    for face in finder.find(pixels):
        box = tuple(round(side, 2) for side in face.box)
        yield row.model_copy(update={"box": box, "landmarks": _listed(points_of(finder, pixels, face))})


def _listed(points: NDArray[np.float32] | None) -> tuple[tuple[float, float], ...] | None:
    return None if points is None else tuple((x, y) for x, y in points.astype(float).round(2).tolist())
