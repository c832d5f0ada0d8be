"""`cameraborn score`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cameraborn.cli.common import (
    EXIT_FLAGGED,
    EXIT_NOTHING_READ,
    EXIT_SOME_UNREADABLE,
    MOST,
    Argument,
    BundlePath,
    Engine,
    EngineName,
    Evidence,
    Jobs,
    Option,
    Overwrite,
    PartsFormat,
    WholeImage,
    app,
    complain,
    contradicting,
    file_or_standard_output,
    format_asked,
    given,
    jobs_of,
    meaningless,
    passed_over,
    progress,
    say,
)
from cameraborn.cli.inputs import STANDARD_INPUT, StandardInput, inputs, inputs_of_cluster, path_of
from cameraborn.cli.keep import kept_or_streamed
from cameraborn.cli.numbers import finite
from cameraborn.cli.output import Format, text_outputs, writer
from cameraborn.detect.conformal import check_discovery_rate
from cameraborn.detect.detector import Detector, control_discoveries, default_bundle
from cameraborn.detect.rows import Rows
from cameraborn.detect.score import ScoreOptions
from cameraborn.detect.tally import Tally
from cameraborn.engine import stage
from cameraborn.errors import CamerabornError, counted
from cameraborn.library import load
from cameraborn.photo.sniff import Census

if TYPE_CHECKING:
    from cameraborn.cli.parts import PartsRun


@app.command()
def score(
    context: typer.Context,
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH",
            help="Files, folders (recursively), globs; - reads paths, or one picture, from standard input. What "
            "is named twice is judged twice.",
        ),
    ],
    false_alarm: Annotated[
        float,
        Option(metavar="RATE", help="Share of photographs that you accept to be flagged."),
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
        Path | None,
        Option(
            "--output",
            "-o",
            callback=file_or_standard_output,
            help="File for the rows; with --engine ray a folder.",
        ),
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
        Option(
            min=0.01,
            metavar="SECONDS",
            callback=finite,
            help="Time between two frames of a video that are looked at.",
        ),
    ] = 0.5,
    frames: Annotated[
        bool, Option("--frames", help="After the row of a face in a video, write one for each of its frames.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Go on with an interrupted run, whose verdicts are in OUTPUT.part.")
    ] = False,
    overwrite: Overwrite = False,
    jobs: Jobs = None,
    engine: EngineName = Engine.local,
    parts: Annotated[
        PartsFormat, Option(help="Format of the parts that --engine ray writes.")
    ] = PartsFormat.parquet,
    part_size: Annotated[
        int | None,
        Option(
            min=1, max=MOST, help="Number of inputs of a part.", show_default="1000, or fewer of a small set"
        ),
    ] = None,
    fail_on_flag: Annotated[
        bool, Option("--fail-on-flag", help="Exit with 3 if anything is flagged.")
    ] = False,
) -> None:
    """Judge every face in the pictures, a row a face. Of videos, faces are followed and scored, but never judged.

    While it writes to -o, verdicts are kept in OUTPUT.part: after an interruption, --resume goes on from there.

    With --engine ray, PATH may also be a manifest (.jsonl), a table with a column 'path' (.parquet) or an address such
    as s3://BUCKET/PREFIX, and -o is a folder or an address, for parts and a manifest of them: see docs/scale.md.

    Exit codes: 0 done, 1 nothing could be read, 2 usage, 3 something was flagged (only with --fail-on-flag), 4 some
    inputs could not be read and the others were judged.

    Example: cameraborn score uploads/ --false-alarm 0.01 -o verdicts.csv
    """
    fdr, false_alarm = contradicting(context, fdr=fdr, false_alarm=false_alarm)
    resume, overwrite = contradicting(context, resume=resume, overwrite=overwrite)
    if STANDARD_INPUT not in paths:
        meaningless(context, "without - for standard input", "null")
    if output is None:
        resume, overwrite = meaningless(context, "without -o", "resume", "overwrite")
    detector = load(bundle, evidence=evidence)
    detector.check_rate(false_alarm)
    if fdr is not None:
        check_discovery_rate(fdr)
    options = ScoreOptions(false_alarm, whole_image, every, frames)
    census = Census()
    if engine is Engine.local:
        meaningless(context, "without --engine ray", "parts", "part_size")
        if output is not None and output.is_dir():
            raise CamerabornError(f"{output}: is a directory: name a file for the rows, or give --engine ray")
        tally = _in_rows(
            detector,
            inputs(paths, census, null=null),
            options,
            format_asked(context, format, output),
            output,
            fdr=fdr,
            countable=STANDARD_INPUT not in paths,
            bundle=bundle,
            resume=resume,
            overwrite=overwrite,
            jobs=jobs,
        )
    else:
        fdr, format = meaningless(context, "with --engine ray, which writes parts", "fdr", "format")
        if output is None:
            raise CamerabornError("--engine ray writes a folder of parts: give it with -o")
        from cameraborn.cli.parts import PartsRun, place_of  # who scores here need not wait for it

        run = PartsRun(detector, options, place_of(output), parts.value, part_size)
        tally = _in_parts(
            run,
            inputs_of_cluster(paths, census, null=null),
            jobs_of(engine, jobs, at_once=1),
            jobs or os.cpu_count() or 1,
            resume=resume,
            overwrite=overwrite,
        )
    _say(tally, options, fdr)
    passed_over(census)
    if tally.pictures and not tally.videos:
        for name in ("every", "frames"):
            if given(context, name):
                say(f"--{name} did nothing: no video was read")
    if not tally.read:
        raise typer.Exit(EXIT_NOTHING_READ)
    if fail_on_flag and tally.flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if tally.read < tally.pictures or tally.folders:
        raise typer.Exit(EXIT_SOME_UNREADABLE)


def _in_rows(
    detector: Detector,
    pictures: Iterable[str | StandardInput],
    options: ScoreOptions,
    written_as: Format,
    output: Path | None,
    *,
    fdr: float | None,
    countable: bool,
    bundle: Path | None,
    resume: bool,
    overwrite: bool,
    jobs: int | None,
) -> Tally:
    """Score on this machine, a row a face into one file or standard output."""
    tally = Tally()
    kept = kept_or_streamed(detector, output, options, fdr=fdr, resume=resume)
    outputs = text_outputs(output, filled=kept.part, overwrite=overwrite or kept.may_replace)
    outputs.reads(bundle or default_bundle())
    kept.begin(overwrite=overwrite)
    pictures = outputs.watched(pictures, path_of)
    total = None
    if countable and (sys.stderr.isatty() or outputs.replace):
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
    return tally


def _in_parts(
    run: PartsRun, pictures: Iterable[str], jobs: stage.Jobs, workers: int, *, resume: bool, overwrite: bool
) -> Tally:
    """Score on a cluster, a folder of parts."""
    run.begin(resume=resume, overwrite=overwrite)
    total = None
    if sys.stderr.isatty():
        pictures = list(pictures)  # so that the bar has an end
        total = len(pictures)
    with progress("scoring", total) as advance:
        return run.score(pictures, jobs, workers, advance)


def _say(tally: Tally, options: ScoreOptions, fdr: float | None) -> None:
    """A summary: pictures first, then what was found in them, each in its own unit."""
    if not tally.pictures and not tally.folders:
        complain("no pictures found: give picture files, or a folder that holds some")
        return
    rate = options.false_alarm
    promise = (
        f"a false-alarm rate of {rate:g} flags about {100 * rate:g} of 100 photographs"
        if fdr is None
        else f"a false-discovery rate of {fdr:g}: about {100 * fdr:g} of 100 flagged are photographs, or fewer"
    )
    pictures = {"without a face": tally.faceless, "unreadable": tally.pictures - tally.read}
    judged = {
        "flagged": tally.flagged,
        "not flagged": tally.judged - tally.flagged,
        "not judged": tally.found - tally.judged,
    }
    parts = [counted(tally.pictures, "picture"), *(f"{n} {word}" for word, n in pictures.items() if n)]
    if tally.folders:
        parts.append(counted(tally.folders, "folder that cannot be opened", "folders that cannot be opened"))
    say(
        ", ".join(parts)
        + f"; {counted(tally.found, 'picture' if options.whole_image else 'face')}: "
        + ", ".join(f"{n} {word}" for word, n in judged.items() if n or "flagged" in word)
        + (f" ({promise})" if tally.judged else "")
    )
