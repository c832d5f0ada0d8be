"""Rows of verdicts in and out of the command line: expanding paths, writing tables, CSV and JSON.

Names of files come from strangers. A table shows what cannot be printed as an escape, so that no name can
break a line or drive a terminal; machine formats keep names whole, and quote them.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from cameraborn.detect.detector import Verdict
from cameraborn.errors import CamerabornError
from cameraborn.photo.files import pictures_in

COLUMNS = tuple(Verdict.__dataclass_fields__)
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


def expand(paths: Iterable[str]) -> Iterator[str]:
    """Files as they are, folders recursively and sorted, globs, and `-` for a list on standard input; lazily.

    What does not exist is passed on: its row will say so.
    """
    for path in paths:
        if path == "-":
            # Bytes, because names need not be text in the locale's encoding.
            for line in sys.stdin.buffer:
                if name := os.fsdecode(line.rstrip(b"\r\n")):
                    yield from _files(name)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matches(path)
        else:
            yield from _files(path)


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):  # noqa: PTH112 (strings all the way: a list may hold millions)
        yield from pictures_in(path)
    else:
        yield path


def _matches(pattern: str) -> Iterator[str]:
    whole = Path(pattern)
    if "**" in whole.parts:
        # pathlib's `**` does not follow links to folders, which may be circles; it matches folders as well.
        inside = whole.relative_to(whole.anchor) / ("*" if whole.name == "**" else "")
        found = sorted(str(path) for path in Path(whole.anchor).glob(str(inside)) if not path.is_dir())
    else:
        found = sorted(glob.glob(pattern))  # noqa: PTH207 (strings, hidden files left out as by a shell)
    for path in found or [pattern]:
        yield from _files(path)


@contextmanager
def writer(format: Format, output: Path | None) -> Iterator[Callable[[Verdict], None]]:
    """A function that writes one verdict, to standard output or to a file that appears when complete."""
    with opened(output) as out, _formatted(format, out) as write:
        yield write


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


@contextmanager
def _formatted(format: Format, out: TextIO) -> Iterator[Callable[[Verdict], None]]:
    """A function that writes one verdict, at once, so that a reader behind a pipe need not wait."""

    def put(text: str) -> None:
        out.write(text)
        out.flush()

    if format is Format.csv:
        put(_csv_line(COLUMNS))
        yield lambda verdict: put(_csv_line(_csv_row(verdict)))
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
        coloured = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
        put(_TABLE_ROW.format("verdict", "p-value", "score", "face", "path") + "\n")
        yield lambda verdict: put(table_line(verdict, width=width, coloured=coloured) + "\n")


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    # The module quotes only the line breaks of its own terminator: ask for both, then keep the common one.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()[:-2] + "\n"


def _csv_row(verdict: Verdict) -> Iterator[Any]:
    row = verdict.to_mapping()
    row["box"] = None if verdict.box is None else " ".join(f"{side:.1f}" for side in verdict.box)
    row["flagged"] = None if verdict.flagged is None else str(verdict.flagged).lower()
    return (row[column] for column in COLUMNS)


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
