"""`cameraborn audit`: what gives the label of a data set away, and a copy that does not."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from typer import Context

from cameraborn.cli.common import (
    LARGEST_SIDE,
    Argument,
    Jobs,
    Kind,
    Option,
    Overwrite,
    Split,
    app,
    file_or_standard_output,
    meaningless,
    reporting,
    say,
    seed_of,
)
from cameraborn.cli.failures import printable
from cameraborn.cli.keep import kept_measurements
from cameraborn.cli.output import Format, format_of, opened, text_outputs
from cameraborn.errors import CamerabornError, ManifestError
from cameraborn.files import refuse_foreign

if TYPE_CHECKING:
    from cameraborn.data.audit import Audit
    from cameraborn.data.cue_audit import CueAudit

_ROW = "{:<19}{:>6}{:>14}  {:<9}  {:<22}{}"
_SHOWN = 10  # sets of copies in the table; the JSON has all


class AuditFormat(StrEnum):
    """How an audit is written."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def audit(
    context: Context,
    manifest: Annotated[Path, Argument(help="Manifest file of the data set.", dir_okay=False)],
    split: Split = "",
    kind: Kind = None,
    format: Annotated[
        AuditFormat | None,
        Option(
            help="Output format: a table, the cues as CSV, or everything as JSON.",
            show_default="by the ending of -o, else table",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            callback=file_or_standard_output,
            help="File to write the audit to.",
            dir_okay=False,
        ),
    ] = None,
    equalise: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Folder for a copy of the data set in which all pictures had the same treatment.",
            file_okay=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        Option(
            min=16,
            max=LARGEST_SIDE,
            help="Side of the copy's pictures in pixels.",
            show_default="the smallest picture's",
        ),
    ] = None,
    quality: Annotated[int, Option(min=1, max=100, help="JPEG quality of the copy's pictures.")] = 90,
    jobs: Jobs = None,
    seed: Annotated[int, seed_of("the cross-validation and the bootstrap")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Find what gives the label away without looking at the pictures.

    Measures how well format, size, compression, metadata, sharpness and colour alone tell generated pictures from
    photographs, and searches for near-duplicates across splits and labels.

    An interrupted audit with -o goes on with the same command.

    Example: an audit of a manifest of yours, and a copy of the set in which size and encoding give nothing away.

    \b
      cameraborn audit test-set.jsonl --equalise equal/
    """
    from cameraborn.data.audit import audit as audit_rows
    from cameraborn.data.equalise import TREATMENT, Treatment
    from cameraborn.data.equalise import equalise as equalise_rows
    from cameraborn.data.select import Selection, select

    if equalise is None:
        meaningless(context, "without --equalise", "size", "quality")
    else:
        refuse_foreign(equalise, (TREATMENT,))  # before anything is measured
    if output is None:
        meaningless(context, "without -o", "overwrite")
    outputs = text_outputs(output, filled=equalise, overwrite=overwrite)
    outputs.reads(manifest)
    write = _writer(format, output)
    wanted = Selection(split=split, kinds=kind or ())
    if next(select(manifest, wanted), None) is None:
        raise ManifestError(f"{manifest}: no row {wanted}: check --split and --kind")
    with kept_measurements(output, overwrite=overwrite) as journal:
        with reporting("auditing") as report:
            rows = outputs.watched(select(manifest, wanted), lambda row: row.path)
            found = audit_rows(rows, jobs=jobs, seed=seed, report=report, journal=journal)
        with opened(output) as out:
            write(found, out)
    if equalise is not None:
        treatment = Treatment(size or found.smallest_side, quality)
        with reporting("equalising") as report:
            count = equalise_rows(select(manifest, wanted), equalise, treatment, jobs=jobs, report=report)
        say(f"{equalise / 'manifest.jsonl'}: {count} pictures of {treatment.size} x {treatment.size}")


def _writer(format: AuditFormat | None, output: Path | None) -> Callable[[Audit, TextIO], None]:
    """What writes an audit in the format that was asked for, or that of the output's ending."""
    wanted = format_of(Format(format) if format else None, output)
    if wanted is Format.jsonl:
        raise CamerabornError(f"{output}: an audit is one object, no lines: end it in .json, .csv or .txt")
    return {Format.table: _write_table, Format.csv: _write_csv, Format.json: _write_json}[wanted]


def _write_table(found: Audit, out: TextIO) -> None:
    lines = [
        f"{found.photos} photographs, {found.generated} generated"
        + (f", {found.unreadable} left out" if found.unreadable else ""),
        "",
        _ROW.format("cue", "AUC", "interval", "gen. is", "photographs", "generated"),
        *(_cue_line(cue) for cue in (found.together, *found.cues)),
        "",
        found.verdict,
        *(f"Note: {note}." for note in found.notes),
        "",
        *_copies_lines(found),
    ]
    if found.advice:
        lines += ["", "What to do:", *(f"- {line}" for line in found.advice)]
    out.writelines(line.rstrip() + "\n" for line in lines)


def _cue_line(cue: CueAudit) -> str:
    auc = "" if cue.auc is None else f"{cue.auc:.2f}"
    interval = "" if cue.low is None else f"{cue.low:.2f} to {cue.high:.2f}"
    return _ROW.format(cue.name, auc, interval, cue.direction, cue.photo, cue.generated)


def _copies_lines(found: Audit) -> Iterator[str]:
    if not found.copies:
        yield "No near-duplicates across splits or labels."
        return
    across = {
        "splits": sum(len(copies.splits) > 1 for copies in found.copies),
        "labels": sum(len(copies.labels) > 1 for copies in found.copies),
    }
    yield f"Near-duplicates: {across['splits']} across splits, {across['labels']} across labels."
    for copies in found.copies[:_SHOWN]:
        yield "  " + "  ".join(printable(path) for path in copies.paths)
    if len(found.copies) > _SHOWN:
        yield f"  and {len(found.copies) - _SHOWN} more: --format json names all"


def _write_csv(found: Audit, out: TextIO) -> None:
    from cameraborn.data.cue_audit import CueAudit

    table = csv.writer(out, lineterminator="\n")
    table.writerow(CueAudit.__dataclass_fields__)
    table.writerows(astuple(cue) for cue in (found.together, *found.cues))


def _write_json(found: Audit, out: TextIO) -> None:
    json.dump(asdict(found), out, ensure_ascii=False, indent=1)
    out.write("\n")
