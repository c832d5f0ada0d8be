"""`cameraborn score`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cameraborn.cli.common import (
    EXIT_FLAGGED,
    EXIT_NOTHING_READ,
    Argument,
    BundlePath,
    Evidence,
    Jobs,
    Option,
    WholeImage,
    app,
    progress,
    say,
)
from cameraborn.cli.output import Format, writer
from cameraborn.detect.conformal import check_discovery_rate
from cameraborn.detect.detector import control_discoveries, load
from cameraborn.detect.verdict import Verdict
from cameraborn.photo.files import expand


@app.command()
def score(
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH", help="Files, folders (recursively), globs; - reads paths from standard input."
        ),
    ],
    false_alarm: Annotated[
        float, Option(metavar="RATE", help="Share of photographs that you accept to be flagged.")
    ] = 0.05,
    fdr: Annotated[
        float | None,
        Option(
            metavar="RATE",
            help="False-discovery rate of the whole set, instead: on average at most this share of what is flagged are "
            "photographs. Rows are written at the end.",
            show_default="off",
        ),
    ] = None,
    format: Annotated[
        Format | None, Option(help="Format of the rows.", show_default="by the ending of -o, else table")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="File for the rows.", dir_okay=False)
    ] = None,
    bundle: BundlePath = None,
    evidence: Evidence = None,
    whole_image: WholeImage = False,
    jobs: Jobs = None,
    fail_on_flag: Annotated[
        bool, Option("--fail-on-flag", help="Exit with 3 if anything is flagged.")
    ] = False,
) -> None:
    """Judge every face in the pictures, a row a face.

    Exit codes: 0 done, 1 nothing could be read, 2 usage, 3 something was flagged (only with --fail-on-flag).

    Example: cameraborn score uploads/ --false-alarm 0.01 -o verdicts.csv
    """
    detector = load(bundle, evidence=evidence)
    detector.check_rate(false_alarm)
    if fdr is not None:
        check_discovery_rate(fdr)
    tally = _Tally(false_alarm, fdr)
    pictures = expand(paths)
    total = None
    if sys.stderr.isatty() and "-" not in paths:
        listed = list(pictures)  # once, so that the bar has an end
        pictures, total = iter(listed), len(listed)
    # The bar comes first: while it is shown, standard output is what prints above it.
    with (
        progress("scoring", total) as advance,
        writer(format or _format_of(output), output, detector.channels) as write,
    ):
        verdicts = detector.score_many(
            pictures, false_alarm_rate=false_alarm, whole_image=whole_image, jobs=jobs
        )
        with closing(verdicts):  # type: ignore[type-var]
            counted = _counted(verdicts, advance)
            for verdict in counted if fdr is None else control_discoveries(counted, fdr):
                write(verdict)
                tally.add(verdict)
    tally.say()
    if not tally.read:
        raise typer.Exit(EXIT_NOTHING_READ)
    if fail_on_flag and tally.flagged:
        raise typer.Exit(EXIT_FLAGGED)


def _counted(verdicts: Iterator[Verdict], advance: Callable[[int], None]) -> Iterator[Verdict]:
    pictures = 0
    for verdict in verdicts:
        pictures += not verdict.face
        advance(pictures)
        yield verdict


class _Tally:
    """Counts of verdicts, and a summary of them."""

    def __init__(self, rate: float, fdr: float | None) -> None:
        self.promise = (
            f"a false-alarm rate of {rate:g} flags about {100 * rate:g} of 100 photographs"
            if fdr is None
            else f"a false-discovery rate of {fdr:g}: about {100 * fdr:g} of 100 flagged are photographs, or fewer"
        )
        self.pictures = self.read = self.judged = self.flagged = self.abstained = 0

    def add(self, verdict: Verdict) -> None:
        if not verdict.face:  # a picture's first row
            self.pictures += 1
            self.read += verdict.scope != "unreadable"
        self.judged += verdict.scope == "ok"
        self.flagged += verdict.flagged is True
        self.abstained += verdict.scope not in ("ok", "unreadable")

    def say(self) -> None:
        if not self.pictures:
            say("no pictures found: give picture files, or a folder that holds some")
            return
        counts = {
            "flagged": self.flagged,
            "not flagged": self.judged - self.flagged,
            "not judged": self.abstained,
            "unreadable": self.pictures - self.read,
        }
        say(
            f"{self.pictures} picture{'s' if self.pictures > 1 else ''}: "
            + ", ".join(f"{count} {word}" for word, count in counts.items() if count or "flagged" in word)
            + (f" ({self.promise})" if self.judged else "")
        )


def _format_of(output: Path | None) -> Format:
    endings = {".csv": Format.csv, ".json": Format.json, ".jsonl": Format.jsonl}
    return endings.get(output.suffix.lower(), Format.table) if output else Format.table
