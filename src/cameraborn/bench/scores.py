"""`scores.csv`: a line a picture, detector and degradation; the only input of every table and plot.

One row is one line, always: line breaks inside a name are written as escapes. So an interrupted run leaves at most one
torn line, at the end, which the next run drops.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

from cameraborn.errors import BenchError
from cameraborn.files import replacing

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One detector's score of one picture after one degradation.

    Attributes:
        path: path of the picture, relative to its manifest or folder.
        sha256: hex digest of the original file.
        detector: name of the detector.
        detector_key: digest of its content and settings.
        test_set, track, degradation: where this belongs.
        label: `photo` or `generated`.
        generator: what made it; empty for photographs.
        source: where it came from.
        group: what it shares with others; empty: nothing.
        in_source: whether the detector has learnt from this source.
        scope: `ok`, or why there is no verdict.
        score: higher = less like a photograph; None where there is none.
        p_value: None where there is none.
        flagged: the detector's own decision at the run's rate; None where it makes none.
        seconds: time to score it; None where features came from the cache.
        error: one line; empty where there is none.
    """

    path: str
    sha256: str
    detector: str
    detector_key: str
    test_set: str
    track: str
    degradation: str
    label: str
    generator: str
    source: str
    group: str
    in_source: bool
    scope: str
    score: float | None
    p_value: float | None
    flagged: bool | None
    seconds: float | None
    error: str

    @property
    def key(self) -> Key:
        """What makes a row the same measurement as another."""
        return self.detector_key, self.test_set, self.sha256, self.degradation


COLUMNS = tuple(field.name for field in fields(ScoreRow))
_HEADER = ",".join(COLUMNS) + "\n"
_OPENED: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
_FLAGS = {True: "true", False: "false", None: ""}
_READ_FLAGS = {text: flag for flag, text in _FLAGS.items()}


def format_row(row: ScoreRow) -> str:
    """One line, with its end.

    Raises:
        ValueError: the score is not finite, or an error has a score.
    """
    if row.score is not None and (row.error or not math.isfinite(row.score)):
        raise ValueError(f"{row.path}: a score of {row.score} together with the error '{row.error}'")
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(_cell(value) for value in astuple(row))
    return line.getvalue()[:-2] + "\n"


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return _FLAGS[value]
    if isinstance(value, float):
        return repr(value)
    return str(value).replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")


def _text(cell: str) -> str:
    parts = cell.split("\\\\")
    return "\\".join(part.replace("\\r", "\r").replace("\\n", "\n") for part in parts)


def parse_row(cells: list[str]) -> ScoreRow:
    """The inverse of `format_row`, of the cells of a line.

    Raises:
        ValueError: it is not such a line.
    """
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} columns instead of {len(COLUMNS)}")
    row = dict(zip(COLUMNS, cells, strict=True))
    if row["in_source"] not in ("true", "false") or row["flagged"] not in _READ_FLAGS:
        raise ValueError("in_source or flagged is neither true nor false")
    values: dict[str, Any] = {name: _text(cell) for name, cell in row.items()}
    values |= {name: float(row[name]) if row[name] else None for name in ("score", "p_value", "seconds")}
    values |= {name: _READ_FLAGS[row[name]] for name in ("in_source", "flagged")}
    return ScoreRow(**values)


def read_scores(path: Path) -> Iterator[ScoreRow]:
    """The rows of a file, without a torn last line.

    Raises:
        BenchError: the file is missing, or a line is damaged; the message names it.
    """
    if not path.is_file():
        raise BenchError(f"{path}: no scores yet: run 'cameraborn bench CONFIG' first")
    with path.open("r", **_OPENED) as lines:
        if lines.readline() != _HEADER:
            raise BenchError(f"{path}: not scores of this release (other columns): run the benchmark again")
        for number, line in enumerate(lines, 2):
            if not line.endswith("\n"):
                return
            try:
                yield parse_row(next(csv.reader([line[:-1]], strict=True)))
            except (ValueError, csv.Error, StopIteration) as error:
                raise BenchError(f"{path}, line {number}: {error}: delete the line, and run again") from error


class ScoreFile:
    """Scores that are being written; what an earlier run has measured is `done`.

    On opening, a torn last line is dropped, and errors are too, so that they are tried again.

    Raises:
        BenchError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: set[Key] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("w", **_OPENED) as out:
            out.write(_HEADER)
            for row in read_scores(path) if path.exists() else ():
                if not row.error and row.key not in self.done:
                    self.done.add(row.key)
                    out.write(format_row(row))
        self._file = path.open("a", **_OPENED)

    def append(self, rows: Iterable[ScoreRow]) -> None:
        """Write rows, whole lines at once."""
        for row in rows:
            self.done.add(row.key)
            self._file.write(format_row(row))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
