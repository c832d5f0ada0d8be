"""The command line: one verb a function, errors in one line, exit codes as documented."""

from __future__ import annotations

import io
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from cameraborn import __version__
from cameraborn.detect.bundle import BundleInfo, Preprocessing, read_bundle, write_bundle
from cameraborn.detect.conformal import check_rate
from cameraborn.detect.detector import Verdict, default_bundle, load
from cameraborn.errors import CamerabornError
from cameraborn.rows import ENCODING_ERRORS, Format, expand, printable, writer

EXIT_NOTHING_READ, EXIT_USAGE, EXIT_FLAGGED = 1, 2, 3
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 130, 141  # as a shell reports programs ended by SIGINT and SIGPIPE


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)


def _interrupted() -> NoReturn:
    _say("cameraborn: interrupted")
    # Worker threads may be inside a large picture; nothing of theirs is worth waiting for.
    os._exit(EXIT_INTERRUPTED)


class _Group(typer.core.TyperGroup):
    """Turns every expected failure of a verb into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (its class is not public)
        """Run the verb."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except CamerabornError as error:
            _say(f"cameraborn: {error}")
            raise typer.Exit(EXIT_USAGE) from error
        except KeyboardInterrupt:
            _interrupted()
        except BrokenPipeError:
            # The reader went away, as `head` does: say nothing more, also when Python flushes at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_BROKEN_PIPE) from None
        except OSError as error:
            if error.filename is None:
                raise
            _say(f"cameraborn: {os.fsdecode(error.filename)}: {error.strerror}: check the path and the disk")
            raise typer.Exit(EXIT_USAGE) from error
        return result


app = typer.Typer(
    name="cameraborn",
    cls=_Group,
    help="Was this face born in a camera? Flags AI-generated faces at a false-alarm rate you choose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data = typer.Typer(help="Make and check manifests of pictures.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data")

Option, Argument = typer.Option, typer.Argument
BundlePath = Annotated[
    Path | None, Option("--bundle", help="Bundle, a folder or zip.", show_default="the one that ships")
]
Jobs = Annotated[
    int | None, Option("--jobs", min=1, help="Pictures at a time.", show_default="one a processor")
]
WholeImage = Annotated[bool, Option("--whole-image", help="Take whole pictures; look for no faces.")]
Photos = Annotated[
    list[Path], Argument(metavar="PHOTOS", help="Genuine photographs: files, folders, manifests (.jsonl).")
]
Split = Annotated[str, Option(help="Only manifest rows of this split.", show_default="every split")]
PerSource = Annotated[
    int,
    Option(
        min=1, help="Photographs of one source (folder, or manifest's source) at most.", show_default="all"
    ),
]
Kind = Annotated[list[str] | None, Option(help="Only manifest rows of this kind; may be repeated.")]


@app.command()
def score(
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH", help="Files, folders (recursively), globs; - reads paths from standard input."
        ),
    ],
    false_alarm: Annotated[
        float, Option(metavar="RATE", help="Share of photographs that you accept to see flagged.")
    ] = 0.05,
    format: Annotated[
        Format | None, Option(help="How rows are written.", show_default="by the ending of -o, else table")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="File for the rows.", dir_okay=False)
    ] = None,
    bundle: BundlePath = None,
    whole_image: WholeImage = False,
    jobs: Jobs = None,
    fail_on_flag: Annotated[
        bool, Option("--fail-on-flag", help="Exit with 3 if anything is flagged.")
    ] = False,
) -> None:
    """Judge every face in the pictures, a row a face.

    Exit codes: 0 done, 1 nothing could be read, 2 usage, 3 something was flagged (only with --fail-on-flag).
    """
    detector = load(bundle)
    check_rate(false_alarm, len(detector.bundle.calibration_scores))
    tally = _Tally(false_alarm)
    total = None if "-" in paths or not sys.stderr.isatty() else sum(1 for _ in expand(paths))
    # The bar comes first: while it is shown, standard output is what prints above it.
    with _progress("scoring", total) as advance, writer(format or _format_of(output), output) as write:
        verdicts = detector.score_many(
            expand(paths), false_alarm_rate=false_alarm, whole_image=whole_image, jobs=jobs
        )
        with closing(verdicts):  # type: ignore[type-var]
            for verdict in verdicts:
                write(verdict)
                tally.add(verdict)
                advance(tally.pictures)
    tally.say()
    if not tally.read:
        raise typer.Exit(EXIT_NOTHING_READ)
    if fail_on_flag and tally.flagged:
        raise typer.Exit(EXIT_FLAGGED)


@app.command()
def fit(
    photos: Photos,
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    bundle: BundlePath = None,
    name: Annotated[str | None, Option(help="Name of the new bundle.", show_default="its folder's")] = None,
    components: Annotated[int, Option(min=1, help="Gaussians in the mixture.")] = 1,
    dimensions: Annotated[int, Option(min=1, help="Principal components kept.")] = 32,
    copies: Annotated[
        int, Option(min=0, help="Randomly shrunk and recompressed copies of each photograph.")
    ] = 4,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Of the random copies.")] = 0,
) -> None:
    """Model your own photographs: fit the mixture of a bundle to them."""
    from cameraborn.detect import learn

    options = learn.LearnOptions(whole_image=whole_image, copies=copies, jobs=jobs, seed=seed)
    with _learning("fitting") as report:
        fitted = learn.fit(
            read_bundle(bundle or default_bundle()),
            learn.at_most(learn.find_photographs(photos, split=split, kinds=kind or ()), per_source),
            components=components,
            dimensions=dimensions,
            options=options,
            report=report,
        )
    info = fitted.info.model_copy(update={"name": name or output.name})
    write_bundle(info, fitted.files, output)
    _say(
        f"{output}: mixture fitted; now 'cameraborn calibrate PHOTOS --bundle {output}', "
        "with photographs that were not fitted to"
    )


@app.command()
def calibrate(
    photos: Photos,
    bundle: Annotated[Path, Option("--bundle", help="Fitted bundle, a folder or zip.")],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the new bundle.", file_okay=False, show_default="--bundle"),
    ] = None,
    copies: Annotated[
        int, Option(min=0, help="Random deliveries to draw from, beside the photograph as it is.")
    ] = 1,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Of the random deliveries.")] = 0,
) -> None:
    """Measure held-out photographs, so that p-values hold."""
    from cameraborn.detect import learn

    options = learn.LearnOptions(whole_image=whole_image, copies=copies, jobs=jobs, seed=seed)
    with _learning("calibrating") as report:
        calibrated = learn.calibrate(
            read_bundle(bundle),
            learn.at_most(learn.find_photographs(photos, split=split, kinds=kind or ()), per_source),
            options=options,
            report=report,
        )
    write_bundle(calibrated.info, calibrated.files, output or bundle)
    n = len(calibrated.calibration)
    _say(
        f"{output or bundle}: calibrated on {n} photographs; "
        f"false-alarm rates from {1 / (n + 1):.2g} can be asked for"
    )


@app.command()
def verify(
    bundle: Annotated[
        Path | None, Argument(help="Bundle, a folder or zip.", show_default="the one that ships")
    ] = None,
) -> None:
    """Check that a bundle is whole and scores here as at its maker's."""
    detector = load(bundle, verify=True)
    info = detector.bundle.info
    print(f"{info.name}: whole; {len(detector.bundle.golden)} golden pictures score as recorded")


@app.command()
def train(
    recipe: Annotated[Path, Argument(help="TOML file, see configs/.", dir_okay=False)],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the run.", show_default="runs/RECIPE", file_okay=False),
    ] = None,
) -> None:
    """Train a network as a recipe says, or go on with it.

    An interrupted run continues from its last checkpoint, to the bit.
    """
    _needs_torch()
    from cameraborn.pretext.recipe import read_recipe
    from cameraborn.pretext.train import Progress as Step
    from cameraborn.pretext.train import train as run

    folder = output or Path("runs") / recipe.stem
    settings = read_recipe(recipe)
    with _progress("training", settings.optimise.steps) as advance:
        last = time.monotonic()

        def report(step: Step) -> None:
            nonlocal last
            advance(step.step)
            if not sys.stderr.isatty() and (time.monotonic() - last > 30 or step.step == step.steps):
                last = time.monotonic()
                _say(
                    f"step {step.step}/{step.steps}, loss {step.loss:.4f}, "
                    f"{step.seconds_left / 60:.1f} min left"
                )

        figures = run(settings, folder, report)
    for figure, value in figures.items():
        print(f"{figure}: {value:.3f}")
    _say(f"{folder}: trained; now 'cameraborn export {folder} -o BUNDLE'")


@app.command()
def export(
    run: Annotated[Path, Argument(help="Folder of a finished run.", file_okay=False)],
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    name: Annotated[str | None, Option(help="Name of the bundle.", show_default="its folder's")] = None,
    crop_scale: Annotated[float, Option(help="Side of the crop over the longer side of the face.")] = 1.5,
    side: Annotated[
        list[int] | None,
        Option(min=64, help="Size crops are shrunk to, pixels; may be repeated.", show_default="256 and 128"),
    ] = None,
    smallest_side: Annotated[int, Option(min=64, help="Smaller crops are too small to judge, pixels.")] = 160,
    weights_licence: Annotated[str, Option(help="Licence of the weights, for the card.")] = "not stated",
    data_licence: Annotated[
        str, Option(help="Licence and origin of the photographs, for the card.")
    ] = "not stated",
) -> None:
    """Make a bundle of a trained network; fit and calibrate come next."""
    _needs_torch()
    from cameraborn.detect.learn import seen_file, software_versions
    from cameraborn.pretext.export import export_run

    network = export_run(run)
    info = BundleInfo(
        name=name or output.name,
        network=network.description,
        features=network.features,
        preprocessing=Preprocessing(
            crop_scale=crop_scale,
            sides=tuple(sorted(set(side or (256, 128)), reverse=True)),
            smallest_side=smallest_side,
        ),
        tasks=network.tasks,
        manifest_sha256=network.manifest_sha256,
        licences={"code": "Apache-2.0", "weights": weights_licence, "data": data_licence},
        versions=software_versions(),
    )
    files = {
        "network.onnx": network.onnx,
        "weights.safetensors": network.weights,
        "seen.txt": seen_file(network.seen),
    }
    write_bundle(info, files, output)
    _say(f"{output}: exported; now 'cameraborn fit PHOTOS --bundle {output} -o BUNDLE'")


@data.command("import")
def import_(
    layout: Annotated[
        str, Argument(help="How the data lies: folder, or rows (JSON Lines beside the files).")
    ],
    sources: Annotated[list[Path], Argument(help="Folders or files of that layout.")],
    output: Annotated[Path, Option("--output", "-o", help="Manifest to write.", dir_okay=False)],
    permitted_only: Annotated[
        bool, Option("--permitted-only", help="Leave out rows for research only.")
    ] = False,
    exclude: Annotated[
        list[str] | None, Option(help="Leave out files whose path ends so; may be repeated.")
    ] = None,
) -> None:
    """Make a manifest of pictures."""
    from cameraborn.photo.adapters import ADAPTERS
    from cameraborn.photo.manifest import Row, write_manifest

    if layout not in ADAPTERS:
        raise CamerabornError(f"{layout}: not a layout: choose from {', '.join(sorted(ADAPTERS))}")
    endings = tuple(exclude or ())

    def rows(advance: Callable[[int], None]) -> Iterator[Row]:
        count = 0
        for source in sources:
            for row in ADAPTERS[layout](source):
                if (permitted_only and row.research_only) or (endings and row.path.endswith(endings)):
                    continue
                count += 1
                advance(count)
                yield row

    with _progress("importing", None) as advance:
        found = rows(advance)
        first = next(found, None)
        if first is None:  # before anything is written: an older manifest stays
            raise CamerabornError(f"{sources[0]}: no picture found: check the path and the layout")
        count = write_manifest(itertools.chain([first], found), output)
    _say(f"{output}: {count} rows")


@data.command()
def split(
    manifest: Annotated[Path, Argument(help="Manifest to split, in place.", dir_okay=False)],
    shares: Annotated[
        list[str], Argument(metavar="SPLIT=SHARE", help="For example train=0.75 calibration=0.25.")
    ],
    research_only: Annotated[
        str, Option(help="Split that takes all rows for research only.", show_default="divided as the others")
    ] = "",
    seed: Annotated[int, Option(help="Of the division.")] = 0,
) -> None:
    """Divide the groups of a manifest between splits; a group is never torn."""
    from cameraborn.photo.manifest import read_manifest, split_by_group, write_manifest

    try:
        wanted = {name: float(share) for name, _, share in (text.partition("=") for text in shares)}
    except ValueError as error:
        raise CamerabornError(
            f"{' '.join(shares)}: not shares: write them as train=0.75 calibration=0.25"
        ) from error
    rows = list(read_manifest(manifest))
    # A group with one such row goes as a whole: no group is ever torn.
    groups = {row.group for row in rows if research_only and row.research_only}
    apart = [row.model_copy(update={"split": research_only}) for row in rows if row.group in groups]
    divided = split_by_group([row for row in rows if row.group not in groups], wanted, seed=seed)
    write_manifest(divided + apart, manifest)
    for name in [*wanted, *([research_only] if apart and research_only not in wanted else [])]:
        members = [row for row in divided + apart if row.split == name]
        _say(f"{name}: {len(members)} rows of {len({row.group for row in members})} groups")


@data.command("verify")
def verify_(
    manifest: Annotated[Path, Argument(help="Manifest to check.", dir_okay=False)],
) -> None:
    """See that every file of a manifest is there and unchanged."""
    from cameraborn.photo.manifest import read_manifest, verify_manifest

    problems = 0
    for row, problem in verify_manifest(read_manifest(manifest)):
        problems += 1
        print(printable(f"{row.path}: {problem}"))
    if problems:
        raise typer.Exit(EXIT_NOTHING_READ)
    _say(f"{manifest}: every file is as it was imported")


def _version(asked: bool) -> None:
    if asked:
        print(f"cameraborn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


class _Tally:
    """Counts verdicts, and says what they come to."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
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
            _say("no pictures found: give picture files, or a folder that holds some")
            return
        counts = {
            "flagged": self.flagged,
            "not flagged": self.judged - self.flagged,
            "not judged": self.abstained,
            "unreadable": self.pictures - self.read,
        }
        _say(
            f"{self.pictures} picture{'s' if self.pictures > 1 else ''}: "
            + ", ".join(f"{count} {word}" for word, count in counts.items() if count or "flagged" in word)
            + (
                f" (a false-alarm rate of {self.rate:g} flags about {100 * self.rate:g} of 100 photographs)"
                if self.judged
                else ""
            )
        )


def _format_of(output: Path | None) -> Format:
    endings = {".csv": Format.csv, ".json": Format.json, ".jsonl": Format.jsonl}
    return endings.get(output.suffix.lower(), Format.table) if output else Format.table


@contextmanager
def _progress(word: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error if that is a terminal; what it gives sets how much is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    # Only here: without a terminal nobody should wait for these imports.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # soft_wrap: rows printed above the bar are not broken into lines.
    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(word, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _learning(word: str) -> Iterator[Callable[[str, str | None], None]]:
    """Reports photographs: a count on a terminal, a line for each one left out."""
    with _progress(word, None) as advance:
        done = left_out = 0

        def report(path: str, problem: str | None) -> None:
            nonlocal done, left_out
            done += 1
            left_out += problem is not None
            advance(done)
            if problem:
                _say(f"left out: {problem}")

        yield report
    _say(f"{done} photographs, {left_out} left out")


def _needs_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "tensorboard", "onnxscript") if find_spec(name) is None]
    if missing:
        raise CamerabornError(f"training needs {', '.join(missing)}: pip install 'cameraborn[train]'")


def main() -> None:
    """The entry point."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is not for a screen is UTF-8 everywhere; no file name may crash either.
        sys.stdout.reconfigure(
            encoding=None if sys.stdout.isatty() else "utf-8", errors=ENCODING_ERRORS, line_buffering=True
        )
    try:
        app()
    except KeyboardInterrupt:
        _interrupted()


if __name__ == "__main__":
    main()
