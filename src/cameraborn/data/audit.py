"""What gives the label of a data set away without looking at the pictures, and which of them are in it twice.

`data.cue_audit` measures the cues, `data.duplicates` finds copies; here both become a verdict and advice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cameraborn.data.cue_audit import CueAudit, audit_cues
from cameraborn.data.cues import NUMBERS, OF_PIXELS, Cues, cues_of
from cameraborn.data.duplicates import Fingerprint, fingerprint, near_duplicates
from cameraborn.data.manifest import Row
from cameraborn.engine.journal import Journal, Mark, digest
from cameraborn.engine.local import map_in_order
from cameraborn.engine.resume import Task, UnlessKnown
from cameraborn.engine.stage import Call
from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_listed

Report = Callable[[str, str | None], None]  # a picture's path, and why it was left out (None: it was not)


@dataclass(frozen=True)
class Copies:
    """Near-duplicates of one picture that lie where they should not: in several splits, or under both labels."""

    paths: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        photos, generated: pictures of each label that could be read.
        unreadable: pictures that were left out.
        smallest_side: the smallest side of all pictures, pixels.
        cues: strongest first.
        together: all cues at once.
        duplicates: sets of near-duplicates in all, wherever they lie.
        copies: those across splits or labels.
        verdict: the result in words.
        advice: what to do, a line each.
        notes: what limits the figures, a line each.
    """

    photos: int
    generated: int
    unreadable: int
    smallest_side: int
    cues: tuple[CueAudit, ...]
    together: CueAudit
    duplicates: int
    copies: tuple[Copies, ...]
    verdict: str
    advice: tuple[str, ...]
    notes: tuple[str, ...]


def audit(
    rows: Iterable[Row],
    *,
    jobs: int | None = None,
    seed: int = 0,
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> Audit:
    """Audit the pictures of manifest rows. A picture that cannot be read is reported and left out.

    Args:
        rows: one data set, as `read_manifest` gives it; of each picture a kilobyte is kept.
        jobs: pictures at a time.
        seed: random seed of the folds and the bootstrap.
        report: told of every picture.
        journal: of an interrupted run, which goes on.

    Raises:
        PictureError: not one picture could be read.
    """
    kept: list[_Kept] = []
    unreadable = 0
    for row, found in _each(rows, jobs, journal):
        problem = found if isinstance(found, str) else None
        report(row.path, problem)
        unreadable += problem is not None
        if not isinstance(found, str):
            kept.append(_Kept(row.path, row.split, row.label, row.group or f"\0{len(kept)}", *found))
    if not kept:
        raise PictureError("not one picture could be read: check the paths with 'cameraborn data verify'")
    sets = near_duplicates([item.fingerprint for item in kept])
    copies = tuple(_misplaced(kept, sets))
    generated = np.array([item.label == "generated" for item in kept])
    cues, together, notes = audit_cues(
        [item.cues for item in kept], generated, [item.group for item in kept], seed=seed
    )
    return Audit(
        photos=int((~generated).sum()),
        generated=int(generated.sum()),
        unreadable=unreadable,
        smallest_side=int(min(item.cues.numbers[NUMBERS.index("short side")] for item in kept)),
        cues=tuple(sorted(cues, key=lambda cue: -(cue.auc or 0))),
        together=together,
        duplicates=len(sets),
        copies=copies,
        verdict=_verdict(cues, together),
        advice=tuple(_advice(cues, together, copies)),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Kept:
    """What is kept of a picture."""

    path: str
    split: str
    label: str
    group: str
    cues: Cues
    fingerprint: Fingerprint


_Found = tuple[Cues, Fingerprint] | str  # or why there is nothing


def _each(rows: Iterable[Row], jobs: int | None, journal: Journal | None) -> Iterator[tuple[Row, _Found]]:
    """What is found of each picture, in order; what the journal knows is not measured again."""
    tasks: Iterator[Task[Row, _Found]] = (
        Task(row, mark, _known(journal, mark)) for row, mark in _marked(rows)
    )
    for task, found in map_in_order(UnlessKnown(Call(_measured)), tasks, jobs):
        if journal is not None and task.known is None and not isinstance(found, str):
            cues, seen = found
            journal.add(task.mark, [cues.categories, cues.numbers, seen.hash.hex(), seen.thumbnail.hex()])
        yield task.item, found


def _marked(rows: Iterable[Row]) -> Iterator[tuple[Row, Mark]]:
    return ((row, Mark.of(digest(row.path), row.path)) for row in rows)


def _known(journal: Journal | None, mark: Mark) -> _Found | None:
    if journal is None or (found := journal.get(mark)) is None:
        return None
    try:
        categories, numbers, hashed, thumbnail = found[1]
        seen = Fingerprint(bytes.fromhex(hashed), bytes.fromhex(thumbnail))
        return Cues(tuple(categories), tuple(numbers)), seen
    except (ValueError, TypeError):
        return None


def _measured(row: Row) -> _Found:
    try:
        picture = open_listed(row.path)
    except PictureError as error:
        return str(error)
    return cues_of(picture), fingerprint(picture.pixels)


def _misplaced(kept: Sequence[_Kept], sets: Iterable[Sequence[int]]) -> Iterable[Copies]:
    for members in sets:
        items = [kept[index] for index in members]
        splits, labels = sorted({item.split for item in items}), sorted({item.label for item in items})
        if len(splits) > 1 or len(labels) > 1:
            yield Copies(tuple(item.path for item in items), tuple(splits), tuple(labels))


def _figure(cue: CueAudit) -> str:
    return f"AUC {cue.auc:.2f} ({cue.low:.2f} to {cue.high:.2f})"


def _verdict(cues: Sequence[CueAudit], together: CueAudit) -> str:
    if all(cue.auc is None for cue in (*cues, together)):
        return "There are not two labels to tell apart: no cue can give one away."
    found = sorted((cue for cue in cues if cue.leaks), key=lambda cue: -(cue.auc or 0))
    rest = "" if together.auc is None else f" All cues together: {_figure(together)}."
    if not found and not together.leaks:
        return f"No cue tells the labels apart by more than chance.{rest}"
    if not found:
        return f"No cue alone tells the labels apart by more than chance, but together they do.{rest}"
    strongest = found[0]
    sides = f"photographs {strongest.photo}, generated {strongest.generated}"
    word = "tells the labels apart" if (strongest.auc or 0) >= 0.75 else "says something of the label"
    others = f" Others that do: {', '.join(cue.name for cue in found[1:])}." if len(found) > 1 else ""
    return f"{strongest.name} alone {word}, {_figure(strongest)}: {sides}.{others}{rest}"


def _advice(cues: Sequence[CueAudit], together: CueAudit, copies: Sequence[Copies]) -> Iterable[str]:
    leaks = [cue for cue in cues if cue.leaks]
    of_pixels = OF_PIXELS | ({"bytes a pixel"} if _encoded_alike(cues) else set())
    if any(cue.name not in of_pixels for cue in leaks):
        yield "Give both labels the same size, filter and encoding: --equalise DIR, then audit the copy."
    if any(cue.name in of_pixels for cue in leaks):
        names = ", ".join(cue.name for cue in leaks if cue.name in of_pixels)
        yield (
            f"Choose photographs that match the generated pictures in {names}; "
            "what equalising leaves of it lies in the pictures themselves."
        )
    if leaks or together.leaks:
        yield "Print this audit beside every result: a detector that does no better has learnt how the set was made."
    if any(len(item.splits) > 1 for item in copies):
        yield "Put all copies of a picture into one split: give them one group, then 'cameraborn data split'."
    if any(len(item.labels) > 1 for item in copies):
        yield "Look at the copies across labels: one may be labelled wrongly, or be an edit of the other."


def _encoded_alike(cues: Sequence[CueAudit]) -> bool:
    """Whether all are JPEGs of the same tables, so that what differs in bytes a pixel lies in the pictures."""
    by_name = {cue.name: cue for cue in cues}
    tables = by_name["JPEG tables"]
    same = tables.low is not None and tables.low == tables.high
    return same and by_name["JPEG quality"].pictures == tables.pictures
