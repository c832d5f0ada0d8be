"""How verdicts are written: tables for people, CSV and JSON.

Names of files come from strangers. A table shows what cannot be printed as an escape, so that no name can
break a line or drive a terminal; machine formats keep names whole, and quote them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from cameraborn.detect.verdict import Verdict
from cameraborn.errors import CamerabornError

COLUMNS = tuple(
    Verdict.__dataclass_fields__
)  # of JSON; in CSV each channel has a column in place of `evidence`
# What UTF-8 cannot hold (file names need not be text) is written as \udcXX, which JSON reads back as it was.
ENCODING_ERRORS = "backslashreplace"
_TABLE_ROW = "{:<18} {:>7} {:>7}  {:<10}  {}"
_RED, _PLAIN = "\x1b[1;31m", "\x1b[0m"


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


@contextmanager
def writer(
    format: Format, output: Path | None, channels: Sequence[str] = ()
) -> Iterator[Callable[[Verdict], None]]:
    """A function that writes one verdict at once, so that a reader behind a pipe need not wait.

    Args:
        format: how.
        output: the file, which appears when it is complete; standard output without one.
        channels: names of the channels of evidence, for the columns of CSV.
    """
    with opened(output) as out:

        def put(text: str) -> None:
            out.write(text)
            out.flush()

        if format is Format.csv:
            put(_csv_line(csv_columns(channels)))
            yield lambda verdict: put(_csv_line(_csv_row(verdict, channels)))
        elif format is Format.jsonl:
            yield lambda verdict: put(_json(verdict) + "\n")
        elif format is Format.json:
            separator = "[\n "

            def write(verdict: Verdict) -> None:
                nonlocal separator
                put(separator + _json(verdict))
                separator = ",\n "

            yield write
            put("[]\n" if separator == "[\n " else "\n]\n")
        else:
            width = shutil.get_terminal_size().columns if out.isatty() else None
            coloured = (
                out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
            )
            put(_TABLE_ROW.format("verdict", "p-value", "score", "face", "path") + "\n")
            yield lambda verdict: put(table_line(verdict, width=width, coloured=coloured) + "\n")


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name when it is complete."""
    if output is None:
        yield sys.stdout
        return
    # A device or a pipe is written to; only a file can be put in its place.
    place = output if output.exists() and not output.is_file() else None
    target = Path(os.path.realpath(output))
    part = place or target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8", errors=ENCODING_ERRORS, newline="") as out:
            yield out
        if place is None:
            part.replace(target)
    except OSError as error:
        raise CamerabornError(f"{output}: cannot be written ({error.strerror}): give another -o") from error
    finally:
        if place is None:
            part.unlink(missing_ok=True)


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    # The module quotes only the line breaks of its own terminator: ask for both, then keep the common one.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()[:-2] + "\n"


def csv_columns(channels: Sequence[str]) -> list[str]:
    """The columns of CSV: a field each, and the p-value of each channel of evidence."""
    return [*(name for name in COLUMNS if name != "evidence"), *(f"evidence_{name}" for name in channels)]


def _csv_row(verdict: Verdict, channels: Sequence[str]) -> Iterator[Any]:
    row = verdict.to_mapping()
    row["box"] = None if verdict.box is None else " ".join(f"{side:.1f}" for side in verdict.box)
    row["flagged"] = None if verdict.flagged is None else str(verdict.flagged).lower()
    row |= {f"evidence_{name}": one.p_value for name, one in verdict.evidence.items()}
    return (row.get(column) for column in csv_columns(channels))


def _json(verdict: Verdict) -> str:
    row = verdict.to_mapping()
    row["box"] = None if verdict.box is None else [round(side, 1) for side in verdict.box]
    return json.dumps(row, ensure_ascii=False)


def table_line(verdict: Verdict, *, width: int | None = None, coloured: bool = False) -> str:
    """One line for people; in a `width` of columns a long path keeps its end, an error is kept whole."""
    word = {True: "FLAGGED", False: "not flagged", None: verdict.scope}[verdict.flagged]
    if verdict.error:
        return f"{word:<18}  {printable(verdict.error)}"  # which begins with the path
    p = "" if verdict.p_value is None else f"{verdict.p_value:.3f}"
    score = "" if verdict.score is None else f"{verdict.score:.2f}"
    face = ""
    if verdict.box is not None:
        x0, y0, x1, y1 = verdict.box
        which = "whole" if verdict.face is None else f"{verdict.face}:"
        face = f"{which} {max(x1 - x0, y1 - y0):.0f}px"
    columns = _TABLE_ROW.format(word, p, score, face, "")
    line = columns + _shortened(printable(verdict.path), width and width - len(columns))
    line += "".join(f"  [{note}]" for note in verdict.notes)
    return f"{_RED}{word}{_PLAIN}{line[len(word) :]}" if coloured and verdict.flagged else line


def _shortened(text: str, width: int | None) -> str:
    if width is None or len(text) <= width:
        return text
    return "..." + text[-max(width - 3, 12) :]


def printable(text: str) -> str:
    """The text with line breaks, control codes and the like shown as escapes."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text
    )
