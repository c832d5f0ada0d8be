"""`cameraborn provenance`: what files say of their own origin, beside the verdict and never mixed into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cameraborn.cli.common import (
    EXIT_NOTHING_READ,
    EXIT_SOME_UNREADABLE,
    Argument,
    Option,
    Overwrite,
    app,
    complain,
    file_or_standard_output,
    format_asked,
    meaningless,
    passed_over,
    progress,
    say,
)
from cameraborn.cli.failures import printable
from cameraborn.cli.inputs import STANDARD_INPUT, StandardInput, inputs, path_of
from cameraborn.cli.output import Form, Format, rows_writer, shortened, text_outputs
from cameraborn.errors import PictureError
from cameraborn.photo.sniff import Census

if TYPE_CHECKING:
    from cameraborn.photo.provenance import Provenance

_TABLE_ROW = "{:<17} {}"
# Of CSV; in JSON `traces` and `c2pa` are objects, and lists are lists.
COLUMNS = (
    "path",
    "says",
    "summary",
    "generators",
    "traces",
    "source_type",
    "camera",
    "camera_check",
    "doubts",
    "editor",
    "software",
    "c2pa",
    "c2pa_claim_generator",
    "c2pa_signer",
    "c2pa_signer_verified",
    "notes",
    "error",
)


@app.command()
def provenance(
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH",
            help="Files, folders (recursively), globs; - reads paths, or one picture, from standard input.",
        ),
    ],
    context: typer.Context,
    format: Annotated[
        Format | None, Option(help="Format of the rows.", show_default="by the ending of -o, else table")
    ] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", callback=file_or_standard_output, help="File for the rows.", dir_okay=False),
    ] = None,
    null: Annotated[
        bool,
        Option("--null", "-0", help="Names on standard input end in a zero byte, as of 'find -print0'."),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Tell what files say of their own origin: a generator's marks, a camera's EXIF, a C2PA manifest.

    No verdict depends on it. Absence of metadata proves nothing, as they are easily removed, and what is there can be
    forged.

    Exit codes: 0 done, 1 nothing could be read, 2 usage, 4 some inputs could not be read.

    Example: cameraborn provenance uploads/ -o provenance.csv
    """
    from cameraborn.photo.provenance import PROVES_NOTHING, Provenance

    if STANDARD_INPUT not in paths:
        meaningless(context, "without - for standard input", "null")
    if output is None:
        meaningless(context, "without -o", "overwrite")
    outputs = text_outputs(output, overwrite=overwrite)
    census, counts = Census(), Counter[str]()
    pictures = outputs.watched(inputs(paths, census, null=null), path_of)
    if outputs.replace and STANDARD_INPUT not in paths:
        pictures = iter(list(pictures))  # nothing is written where it must not be
    form = Form[Provenance](
        COLUMNS, _csv_row, Provenance.to_mapping, _TABLE_ROW.format("file says", "path"), _line
    )
    with (
        progress("reading", None) as advance,
        rows_writer(format_asked(context, format, output), output, form) as write,
    ):
        for done, picture in enumerate(pictures, start=1):
            found = _of(picture)
            write(found)
            counts[found.says] += 1
            advance(done)
    _tell(counts, PROVES_NOTHING)
    passed_over(census)
    if counts["unreadable"] == counts.total():
        raise typer.Exit(EXIT_NOTHING_READ)
    if counts["unreadable"]:
        raise typer.Exit(EXIT_SOME_UNREADABLE)


def _of(picture: str | StandardInput) -> Provenance:
    from cameraborn.photo.provenance import read_provenance, unreadable

    try:
        return read_provenance(picture)
    except PictureError as error:
        return unreadable(picture if isinstance(picture, str) else STANDARD_INPUT, error)


def _csv_row(found: Provenance) -> Iterator[Any]:
    cells: dict[str, Any] = {
        **found.to_mapping(),
        "generators": tuple(dict.fromkeys(trace.generator for trace in found.traces)),
        "traces": tuple(f"{trace.place}: {trace.excerpt}" for trace in found.traces),
        "c2pa": found.c2pa and found.c2pa.signature,
        "c2pa_claim_generator": found.c2pa and found.c2pa.claim_generator,
        "c2pa_signer": found.c2pa and found.c2pa.signer,
        "c2pa_signer_verified": found.c2pa and found.c2pa.signer_verified,
    }
    for name in COLUMNS:
        cell = cells[name]
        yield "; ".join(cell) if isinstance(cell, tuple) else cell


def _line(found: Provenance, width: int | None, coloured: bool) -> str:  # no colours: it is no verdict
    """One line for people: what the file says, its path, and why."""
    if found.error is not None:
        return _TABLE_ROW.format(found.says, printable(found.error))  # which begins with the path
    begin = _TABLE_ROW.format(found.says, "")
    path = shortened(printable(found.path), width and width - len(begin))
    details = [
        found.summary,
        *(f"in {trace.place}" for trace in found.traces),
        *found.doubts[1:],
        *found.notes,
    ]
    return begin + path + "".join(f"  ({printable(detail)})" for detail in details)


def _tell(counts: Counter[str], caution: str) -> None:
    if not counts:
        complain("no pictures found: give picture files, or a folder that holds some")
        return
    total = counts.total()
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    say(f"{total} picture{'s' * (total > 1)}: {said} ({caution})")
