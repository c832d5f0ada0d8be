"""How rows are written: tables for people, CSV and JSON.

Names of files come from strangers. A table shows what cannot be printed as an escape, so that no name can
break a line or drive a terminal; machine formats keep names whole, and quote them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from cameraborn.cli.endings import OTHER_TABLES, is_of_media
from cameraborn.cli.failures import printable
from cameraborn.detect.rows import Row, Rows, json_row
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import CamerabornError
from cameraborn.files import Outputs, is_stream, replacing

T = TypeVar("T")

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


_BY_ENDING = {".csv": Format.csv, ".json": Format.json, ".jsonl": Format.jsonl, ".ndjson": Format.jsonl}


@dataclass(frozen=True)
class Form(Generic[T]):
    """How things of one kind become rows."""

    columns: Sequence[str]  # of CSV
    csv_row: Callable[[T], Iterable[Any]]
    json_row: Callable[[T], Mapping[str, Any]]
    heading: str  # of the table
    # The thing, columns of the terminal, whether it has colours.
    table_line: Callable[[T, int | None, bool], str]


@contextmanager
def rows_writer(format: Format, output: Path | None, form: Form[T]) -> Iterator[Callable[[T], None]]:
    """A function that writes one row at once, so that a reader behind a pipe need not wait.

    Args:
        output: the file, which appears when it is complete; standard output without one.
        form: what makes rows.
    """
    with opened(output) as out:

        def put(text: str) -> None:
            out.write(text)
            out.flush()

        if format is Format.csv:
            put(_csv_line(form.columns))
            yield lambda thing: put(_csv_line(form.csv_row(thing)))
        elif format is Format.jsonl:
            yield lambda thing: put(_json(form.json_row(thing)) + "\n")
        elif format is Format.json:
            separator = "[\n "

            def write(thing: T) -> None:
                nonlocal separator
                put(separator + _json(form.json_row(thing)))
                separator = ",\n "

            yield write
            put("[]\n" if separator == "[\n " else "\n]\n")
        else:
            width = shutil.get_terminal_size().columns if out.isatty() else None
            coloured = (
                out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
            )
            put(form.heading + "\n")
            yield lambda thing: put(form.table_line(thing, width, coloured) + "\n")


def writer(
    format: Format, output: Path | None, rows: Rows
) -> AbstractContextManager[Callable[[Verdict], None]]:
    """A function that writes one verdict at once, as `rows_writer`."""
    form = Form[Verdict](
        columns=rows.csv_columns(),
        csv_row=lambda verdict: rows.csv_row(rows.of(verdict)),
        json_row=lambda verdict: json_row(rows.of(verdict)),
        heading=_TABLE_ROW.format("verdict", "p-value", "score", "face", "path"),
        table_line=lambda verdict, width, coloured: table_line(
            rows.of(verdict), width=width, coloured=coloured
        ),
    )
    return rows_writer(format, output, form)


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name when it is complete."""
    if output is None:
        yield sys.stdout
        return
    target = Path(os.path.realpath(output))
    place = nullcontext(output) if streamed(output) else replacing(target)
    try:
        with place as part, part.open("w", encoding="utf-8", errors=ENCODING_ERRORS, newline="") as out:
            yield out
    except OSError as error:
        raise CamerabornError(f"{output}: cannot be written ({error.strerror}): give another -o") from error


def streamed(output: Path | None) -> bool:
    """Whether rows go out as they come: to standard output, a device or a pipe; only a file can be put in place."""
    return output is None or is_stream(output)


def text_outputs(output: Path | None, *, filled: Path | None = None, overwrite: bool = False) -> Outputs:
    """The outputs of a verb whose -o is text.

    Raises:
        CamerabornError: its ending is a picture's.
        OverwriteError: something is there.
    """
    endings = re.findall(r"\.([a-z0-9]+)", output.name.lower()) if output is not None else []
    if endings and is_of_media(f".{endings[-1]}"):  # as .jpg, x.jpg_large, x.jpg~ and x.jpg@100w
        raise CamerabornError(
            f"{output}: ends like a picture or a video, but text is written to it: end it in .csv, .json or .jsonl"
        )
    return Outputs(output, filled=filled, overwrite=overwrite)


def format_of(format: Format | None, output: Path | None) -> Format:
    """The format that was asked for, or that of the output's ending.

    Raises:
        CamerabornError: the two contradict, or the ending is that of another kind of table.
    """
    ending = output.suffix.lower() if output else ""
    if ending in OTHER_TABLES:
        raise CamerabornError(f"{output}: {ending} is not written: end it in .csv, .json, .jsonl or .txt")
    by_ending = _BY_ENDING.get(ending)
    if format is not None and by_ending not in (format, None):
        raise CamerabornError(
            f"{output}: ends as {by_ending} does, and --format says {format}: leave one out"
        )
    return format or by_ending or Format.table


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    # The module quotes only the line breaks of its own terminator: ask for both, then keep the common one.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()[:-2] + "\n"


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def table_line(row: Row, *, width: int | None = None, coloured: bool = False) -> str:
    """One line for people; in a `width` of columns a long path keeps its end, an error is kept whole."""
    word = {"flagged": "FLAGGED", "not flagged": "not flagged"}.get(row.verdict, row.scope)
    if row.needed_px is not None:
        word += f" (<{row.needed_px}px)"
    if row.error:
        return f"{word:<18}  {printable(row.error)}"  # which begins with the path
    p = "" if row.p_value is None else f"{row.p_value:.3f}"
    score = "" if row.score is None else f"{row.score:.2f}"
    face = ""
    if row.box is not None:
        x0, y0, x1, y1 = row.box
        which = "whole" if row.face is None else f"{row.face}:"
        face = f"{which} {max(x1 - x0, y1 - y0):.0f}px"
    columns = _TABLE_ROW.format(word, p, score, face, "")
    line = columns + shortened(printable(row.path), width and width - len(columns))
    if row.start_s is not None:
        line += f"  {row.start_s:.1f}-{row.end_s:.1f} s"
    line += "".join(f"  ({printable(note)})" for note in row.notes)
    return f"{_RED}{word}{_PLAIN}{line[len(word) :]}" if coloured and row.flagged else line


def shortened(text: str, width: int | None) -> str:
    """The end of a long path, in so many columns; the whole where the width is not known."""
    if width is None or len(text) <= width:
        return text
    return "..." + text[-max(width - 3, 12) :]
