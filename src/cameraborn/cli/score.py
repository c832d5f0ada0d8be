"""`cameraborn score`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cameraborn.cli.common import (
    EXIT_FLAGGED,
    EXIT_NOTHING_READ,
    EXIT_SOME_UNREADABLE,
    Argument,
    BundlePath,
    Evidence,
    Jobs,
    Option,
    Overwrite,
    WholeImage,
    app,
    complain,
    contradicting,
    meaningless,
    passed_over,
    progress,
    say,
)
from cameraborn.cli.inputs import STANDARD_INPUT, StandardInput, inputs
from cameraborn.cli.keep import kept_or_streamed
from cameraborn.cli.output import Format, format_of, text_outputs, writer
from cameraborn.detect.conformal import check_discovery_rate
from cameraborn.detect.detector import control_discoveries, load
from cameraborn.detect.rows import Rows
from cameraborn.detect.verdict import Verdict
from cameraborn.photo.sniff import Census


@app.command()
def score(
    context: typer.Context,
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH",
            help="Files, folders (recursively), globs; - reads paths, or one picture, from standard input.",
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
    null: Annotated[
        bool,
        Option("--null", "-0", help="Names on standard input end in a zero byte, as of 'find -print0'."),
    ] = False,
    every: Annotated[
        float,
        Option(min=0.01, metavar="SECONDS", help="Time between two frames of a video that are looked at."),
    ] = 0.5,
    frames: Annotated[
        bool, Option("--frames", help="After the row of a face in a video, write one for each of its frames.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Go on with an interrupted run, whose verdicts are in OUTPUT.part.")
    ] = False,
    overwrite: Overwrite = False,
    jobs: Jobs = None,
    fail_on_flag: Annotated[
        bool, Option("--fail-on-flag", help="Exit with 3 if anything is flagged.")
    ] = False,
) -> None:
    """Judge every face in the pictures, a row a face. Of videos, faces are followed and scored, but never judged.

    While it writes to -o, verdicts are kept in OUTPUT.part: after an interruption, --resume goes on from there.

    Exit codes: 0 done, 1 nothing could be read, 2 usage, 3 something was flagged (only with --fail-on-flag), 4 some
    inputs could not be read and the others were judged.

    Example: cameraborn score uploads/ --false-alarm 0.01 -o verdicts.csv
    """
    contradicting(context, "fdr", "false_alarm")
    if STANDARD_INPUT not in paths:
        meaningless(context, "without - for standard input", "null")
    if output is None:
        meaningless(context, "without -o", "resume", "overwrite")
    written_as = format_of(format, output)
    detector = load(bundle, evidence=evidence)
    detector.check_rate(false_alarm)
    if fdr is not None:
        check_discovery_rate(fdr)
    census, tally = Census(), _Tally(false_alarm, fdr, whole_image)
    kept = kept_or_streamed(
        detector,
        output,
        false_alarm=false_alarm,
        fdr=fdr,
        whole_image=whole_image,
        every=every,
        frames=frames,
        resume=resume,
    )
    outputs = text_outputs(output, filled=kept.part, overwrite=overwrite)
    outputs.reads(bundle)
    kept.begin(overwrite=overwrite)
    pictures: Iterable[str | StandardInput] = outputs.watched(inputs(paths, census, null=null), _path_of)
    total = None
    if STANDARD_INPUT not in paths and (sys.stderr.isatty() or outputs.replace):
        # Once, so that the bar has an end, and nothing is scored for an output that cannot be.
        pictures = list(pictures)
        total = len(pictures)
    # The bar comes first: while it is shown, standard output is what prints above it.
    with (
        progress("scoring", total) as advance,
        kept.verdicts(pictures, advance, jobs) as verdicts,
        writer(written_as, output, Rows(detector)) as write,
    ):
        for verdict in verdicts if fdr is None else control_discoveries(verdicts, fdr):
            write(verdict)
            tally.add(verdict)
    tally.say()
    passed_over(census)
    if not tally.read:
        raise typer.Exit(EXIT_NOTHING_READ)
    if fail_on_flag and tally.flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if tally.read < tally.pictures:
        raise typer.Exit(EXIT_SOME_UNREADABLE)


def _path_of(picture: str | StandardInput) -> str:
    return picture if isinstance(picture, str) else "/dev/stdin"


class _Tally:
    """Counts of pictures and of what was judged in them, and a summary of both, each in its own unit."""

    def __init__(self, rate: float, fdr: float | None, whole_image: bool) -> None:
        self.promise = (
            f"a false-alarm rate of {rate:g} flags about {100 * rate:g} of 100 photographs"
            if fdr is None
            else f"a false-discovery rate of {fdr:g}: about {100 * fdr:g} of 100 flagged are photographs, or fewer"
        )
        self.unit = "picture" if whole_image else "face"
        self.pictures = self.read = self.found = self.faceless = self.judged = self.flagged = 0

    def add(self, verdict: Verdict) -> None:
        """Count a row; those of single frames are counted with their video's."""
        if verdict.start_s is not None and verdict.frames is None:
            return
        if not verdict.face:  # a picture's first row
            self.pictures += 1
            self.read += verdict.scope != "unreadable"
            self.faceless += verdict.scope == "no-face"
        self.found += verdict.box is not None
        self.judged += verdict.scope == "ok"
        self.flagged += verdict.flagged is True

    def say(self) -> None:
        """Say it: pictures first, then what was found in them."""
        if not self.pictures:
            complain("no pictures found: give picture files, or a folder that holds some")
            return
        pictures = {"without a face": self.faceless, "unreadable": self.pictures - self.read}
        judged = {
            "flagged": self.flagged,
            "not flagged": self.judged - self.flagged,
            "not judged": self.found - self.judged,
        }
        say(
            ", ".join(
                [_count(self.pictures, "picture"), *(f"{n} {word}" for word, n in pictures.items() if n)]
            )
            + f"; {_count(self.found, self.unit)}: "
            + ", ".join(f"{n} {word}" for word, n in judged.items() if n or "flagged" in word)
            + (f" ({self.promise})" if self.judged else "")
        )


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
