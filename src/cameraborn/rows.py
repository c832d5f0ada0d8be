"""Rows of verdicts in and out of the command line: expanding paths, writing tables, CSV and JSON."""

from __future__ import annotations

import csv
import glob
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from cameraborn.detect.detector import Verdict
from cameraborn.errors import CamerabornError
from cameraborn.photo.decode import SUPPORTED_EXTENSIONS

COLUMNS = tuple(Verdict.__dataclass_fields__)
_HEADER = f"{'verdict':<19} {'p-value':>7} {'score':>9}  {'face':<14} path"


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
            yield from (line for line in (line.rstrip("\r\n") for line in sys.stdin) if line)
        elif os.path.isdir(path):  # noqa: PTH112 (strings all the way: a folder may hold 100,000)
            yield from _walk(path)
        elif glob.has_magic(path) and not os.path.exists(path):  # noqa: PTH110
            yield from sorted(glob.iglob(path, recursive=True)) or [path]  # noqa: PTH207
        else:
            yield path


def _walk(folder: str) -> Iterator[str]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in SUPPORTED_EXTENSIONS:  # noqa: PTH122
            yield entry.path


@contextmanager
def writer(format: Format, output: Path | None) -> Iterator[Callable[[Verdict], None]]:
    """A function that writes one verdict; rows go to standard output, or to a file that appears when complete."""
    if output is None:
        with _formatted(format, sys.stdout) as write:
            yield write
        return
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out, _formatted(format, out) as write:
            yield write
        part.replace(output)
    except OSError as error:
        raise CamerabornError(f"{output}: cannot be written ({error.strerror}): give another -o") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _formatted(format: Format, out: TextIO) -> Iterator[Callable[[Verdict], None]]:
    if format is Format.csv:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        yield lambda verdict: table.writerow(_flat(verdict))
    elif format is Format.jsonl:
        yield lambda verdict: print(_json(verdict), file=out)
    elif format is Format.json:
        started = False

        def write(verdict: Verdict) -> None:
            nonlocal started
            out.write((",\n " if started else "[\n ") + _json(verdict))
            started = True

        yield write
        out.write("\n]\n" if started else "[]\n")
    else:
        print(_HEADER, file=out)
        yield lambda verdict: print(table_line(verdict), file=out)
    out.flush()


def _flat(verdict: Verdict) -> dict[str, Any]:
    row = verdict.to_mapping()
    row["box"] = "" if verdict.box is None else " ".join(f"{side:.1f}" for side in verdict.box)
    row["flagged"] = "" if verdict.flagged is None else str(verdict.flagged).lower()
    return row


def _json(verdict: Verdict) -> str:
    row = verdict.to_mapping()
    row["box"] = None if verdict.box is None else [round(side, 1) for side in verdict.box]
    return json.dumps(row, ensure_ascii=False)


def table_line(verdict: Verdict) -> str:
    """One line for people."""
    if verdict.scope == "ok":
        word = "FLAGGED" if verdict.flagged else "not flagged"
    else:
        word = verdict.scope
    p = "" if verdict.p_value is None else f"{verdict.p_value:.3f}"
    score = "" if verdict.score is None else f"{verdict.score:.1f}"
    face = ""
    if verdict.face is not None and verdict.box is not None:
        x0, y0, x1, y1 = verdict.box
        face = f"{verdict.face}: {x1 - x0:.0f}x{y1 - y0:.0f} px"
    return f"{word:<19} {p:>7} {score:>9}  {face:<14} {verdict.error or verdict.path}"
