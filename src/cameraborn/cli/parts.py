"""`score --engine ray`: inputs by the million, and a folder of parts.

`run.json` says what the rows depend on, `rows/` and `done/` are as `detect.parts` says, and `manifest.json`, which
lists the parts, comes last. A run that was ended in the middle goes on with --resume: parts that are done stay.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any

from cameraborn.cli.failures import say
from cameraborn.cli.keep import settings_of
from cameraborn.detect.detector import Detector
from cameraborn.detect.parts import DONE, ROWS, Part, PartFormat, PartRecord, ScorePart, parts_of
from cameraborn.detect.score import ScoreOptions
from cameraborn.detect.tally import Tally
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Jobs
from cameraborn.engine.storage import entries, inside, is_address, is_file, read, remove, write
from cameraborn.errors import JournalError, OverwriteError

RUN, MANIFEST = "run.json", "manifest.json"
_LARGEST, _PARTS_A_WORKER = 1000, 16  # inputs of a part, if nobody says how many; parts of a small set


def place_of(output: Path) -> str:
    """The folder or address that -o names, of whose two slashes a path has kept one; absolute, as workers need it."""
    address = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)", r"\1://", str(output))
    return address if is_address(address) else os.path.realpath(output)


@dataclass
class PartsRun:
    """A run of `score` that writes parts.

    Attributes:
        detector: what scores.
        options: how.
        folder: path or address of the output.
        format: of the parts.
        part_size: inputs of a part; None: as many as suit the set.
    """

    detector: Detector
    options: ScoreOptions
    folder: str
    format: PartFormat
    part_size: int | None = None

    def begin(self, *, resume: bool, overwrite: bool) -> None:
        """See what is in the folder, before anything is scored.

        Raises:
            OverwriteError: it holds something else.
            JournalError: it holds a run and nobody said what is to become of it, or a run with other options.
            StorageError: it cannot be read.
        """
        known = is_file(inside(self.folder, RUN))
        others = [entry for entry in entries(self.folder) if not _is_unfinished(entry.name)]
        if not known and others:
            raise OverwriteError(f"{self.folder}: holds other files: give a new or empty folder")
        if known and overwrite:
            self._empty()
        elif known and not resume:
            raise JournalError(
                f"{self.folder}: holds a run already: go on with --resume, or start again with --overwrite"
            )
        elif known:
            self._agree()

    def score(self, inputs: Iterable[str], jobs: Jobs, workers: int, advance: Callable[[int], None]) -> Tally:
        """Score what is not done yet, and write the manifest.

        Args:
            inputs: paths and addresses.
            jobs: who works.
            workers: how many parts they do at a time, about.
            advance: told how many inputs are done.

        Raises:
            StorageError: something cannot be read or written.
            EngineError: the cluster gives up.
        """
        size, inputs = self._sized(inputs, workers)
        done = self._done()
        if done:
            say(f"{self.folder}: going on; parts done already: {len(done)}")
        records: list[PartRecord] = []
        inputs_done = 0

        def count(record: PartRecord) -> None:
            nonlocal inputs_done
            records.append(record)
            inputs_done += record.inputs
            advance(inputs_done)

        def missing() -> Iterator[Part]:
            for part in parts_of(inputs, size):
                record = done.get(part.name)
                if record is None or record.inputs_sha256 != part.sha256:
                    yield part
                else:
                    count(record)

        stage = ScorePart(self.detector, self.options, self.folder, self.format)
        for record in map_in_order(stage, missing(), jobs):
            count(record)
        counts = Tally.sum(record.counts for record in records)
        self._finish(sorted(records, key=lambda record: record.name), counts)
        return counts

    def _settings(self) -> dict[str, Any]:
        return settings_of(self.detector, self.options) | {"parts": self.format}

    def _agree(self) -> None:
        """See that the run that is there has the same options, and take over the size of its parts."""
        where = inside(self.folder, RUN)
        try:
            held = json.loads(read(where))
            settings, size = dict(held["settings"]), int(held["part_size"])
        except (ValueError, LookupError, TypeError) as error:
            raise JournalError(f"{where}: not what a run of score writes: move or delete it") from error
        wanted = self._settings() | ({} if self.part_size is None else {"part_size": self.part_size})
        settings |= {} if self.part_size is None else {"part_size": size}
        other = [name for name in {**settings, **wanted} if settings.get(name) != wanted.get(name)]
        if other:
            raise JournalError(
                f"{self.folder}: holds a run with another {' and another '.join(other)}: "
                "give the same options, or --overwrite to start again"
            )
        self.part_size = size

    def _sized(self, inputs: Iterable[str], workers: int) -> tuple[int, Iterator[str]]:
        """How many inputs make a part, and the inputs: of a small set, as many as keep all workers at work."""
        inputs = iter(inputs)
        if self.part_size is None:
            first = list(islice(inputs, _LARGEST * _PARTS_A_WORKER * workers))
            self.part_size = max(1, min(_LARGEST, -(-len(first) // (_PARTS_A_WORKER * workers))))
            inputs = chain(first, inputs)
        run = {"settings": self._settings(), "part_size": self.part_size}
        write(inside(self.folder, RUN), _as_json(run))
        return self.part_size, inputs

    def _done(self) -> dict[str, PartRecord]:
        """The records of the parts whose rows are there, by the names of the parts."""
        rows = {entry.name for entry in entries(inside(self.folder, ROWS))}
        records = {
            entry.name: PartRecord.of_json(read(entry.address), entry.address)
            for entry in entries(inside(self.folder, DONE))
            if not _is_unfinished(entry.name)
        }
        return {
            record.name.partition(".")[0]: record
            for name, record in records.items()
            if record.name in rows and name == _record_of(record.name)
        }

    def _finish(self, records: list[PartRecord], counts: Tally) -> None:
        """Remove parts of inputs that are there no more, and write the manifest."""
        rows = {record.name for record in records}
        for folder, kept in ((ROWS, rows), (DONE, {_record_of(name) for name in rows})):
            for entry in entries(inside(self.folder, folder)):
                if entry.name not in kept:
                    remove(entry.address)
        manifest = {
            "settings": self._settings(),
            "inputs": sum(record.inputs for record in records),
            "rows": sum(record.rows for record in records),
            "counts": asdict(counts),
            "parts": [asdict(record) | {"name": f"{ROWS}/{record.name}"} for record in records],
        }
        write(inside(self.folder, MANIFEST), _as_json(manifest))

    def _empty(self) -> None:
        """Remove the run that is there, what says so last."""
        for name in (ROWS, DONE):
            for entry in entries(inside(self.folder, name)):
                remove(entry.address)
        for name in (MANIFEST, RUN):
            if is_file(inside(self.folder, name)):
                remove(inside(self.folder, name))


def _record_of(rows: str) -> str:
    """What the record of a file of rows is called."""
    return rows.partition(".")[0] + ".json"


def _is_unfinished(name: str) -> bool:
    """Whether a file is what a process left that was killed while it wrote."""
    return ".part" in PurePath(name).suffixes


def _as_json(content: object) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
