"""What every verb shares: the application, options, progress, what is said on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import typer.core

from cameraborn.cli.config import default_config
from cameraborn.cli.failures import (
    EXIT_FLAGGED,
    EXIT_NOTHING_READ,
    EXIT_SOME_UNREADABLE,
    EXIT_USAGE,
    complain,
    in_one_line,
    quiet,
    say,
)
from cameraborn.cli.output import Format, format_of
from cameraborn.engine import stage
from cameraborn.errors import CamerabornError, CopyOfAnother, counted
from cameraborn.photo.sniff import Census

__all__ = ["EXIT_FLAGGED", "EXIT_NOTHING_READ", "EXIT_SOME_UNREADABLE", "EXIT_USAGE", "complain", "say"]

# The files of this room that define a verb. The order is the help's; a verb not named here comes last.
VERBS = {
    "score": ("score",),
    "explain": ("explain",),
    "provenance": ("provenance",),
    "serve": ("serve",),
    "fit": ("model",),
    "fit-binary": ("model",),
    "calibrate": ("model",),
    "verify": ("bundle",),
    "info": ("info",),
    "convert": ("bundle",),
    "merge": ("bundle",),
    "data": ("data", "manipulate", "reconstruct"),
    "train": ("train",),
    "weights": ("weights",),
    "export": ("train",),
    "import-checkpoint": ("train",),
    "audit": ("audit",),
    "bench": ("bench",),
}


def _be_quiet(asked: bool) -> None:
    if asked:
        quiet.set()


_Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=_be_quiet,
        expose_value=False,
        help="Say nothing on standard error but errors.",
    ),
]


def _quiet_option() -> Any:  # noqa: ANN401 (its class is not public)
    """The option --quiet, as typer makes it of a function that has it."""
    holder = typer.Typer(add_completion=False)

    @holder.command()
    def _(quiet: _Quiet = False) -> None:
        pass

    return typer.main.get_command(holder).params[0]


def _add_quiet(command: Any, option: Any) -> None:  # noqa: ANN401 (their classes are not public)
    """Give every verb the option."""
    for verb in getattr(command, "commands", {}).values():
        _add_quiet(verb, option)
    if not hasattr(command, "commands"):
        command.params.append(option)


F = TypeVar("F", bound=Callable[..., Any])


def _refuse_twice(command: Any, ctx: Any, args: list[str]) -> None:  # noqa: ANN401 (their classes are not public)
    """See that no option of one value has two, of which one would do nothing; a flag may be repeated."""
    met = set()
    for option in command.make_parser(ctx).parse_args(args=list(args))[2]:
        if option.param_type_name != "option" or option.is_flag or option.multiple:
            continue
        if option.name in met:
            raise CamerabornError(f"{max(option.opts, key=len)} is given more than once: give it once")
        met.add(option.name)


class _Verb(typer.core.TyperCommand):
    """Refuses an option that is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (its class is not public)
        """Parse, once the options have been counted."""
        _refuse_twice(self, ctx, args)
        return super().parse_args(ctx, args)


class Verbs(typer.Typer):
    """An application, or a group of verbs."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:  # noqa: ANN401 (typer's)
        """A verb, made of a function."""
        return super().command(name, **{"cls": _Verb} | settings)


class _Group(typer.core.TyperGroup):
    """Turns every expected failure of a verb into one line and an exit code."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (whatever typer gives)
        super().__init__(**settings)
        _add_quiet(self, _quiet_option())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (its class is not public)
        """Parse, once the options before the verb have been counted."""
        _refuse_twice(self, ctx, args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 (its class is not public)
        """The verbs in the order of `VERBS`."""
        return sorted(super().list_commands(ctx), key=lambda name: (*VERBS, name).index(name))

    def make_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 (whatever typer gives)
        """Parse, and show the help if asked to: here, as the parser's `main` makes of a reader that has gone a 1."""
        with in_one_line():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (its class is not public)
        """Run the verb."""
        with in_one_line():
            result = super().invoke(ctx)
            sys.stdout.flush()
        return result

    def main(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 (whatever typer gives)
        """Parse and run: what fails before there is a verb is said in the same way."""
        quiet.clear()
        with in_one_line():
            return super().main(*args, **more)


app = Verbs(
    name="cameraborn",
    cls=_Group,
    help="Was this face born in a camera? Flags AI-generated faces at a false-alarm rate you choose.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CAMERABORN"},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Option, Argument = typer.Option, typer.Argument

# What numbers may be given: beyond these nothing is meant, and libraries fail in ways of their own.
MOST_SEED = 2**32 - 1  # scikit-learn's
MOST_JOBS = 10_000
MOST = 1_000_000  # of whatever is counted
LARGEST_SIDE = 16_384  # pixels
LARGEST = 1 << 40  # bytes, pixels, or photographs of a source


def seed_of(what: str) -> Any:  # noqa: ANN401 (its class is not public)
    """The option of a random seed."""
    return Option(min=0, max=MOST_SEED, help=f"Random seed of {what}.")


BundlePath = Annotated[
    Path | None, Option("--bundle", help="Bundle to use, a folder or zip.", show_default="the one that ships")
]
Evidence = Annotated[
    str | None,
    Option(
        "--evidence",
        metavar="CHANNEL",
        help="Name of the one channel of evidence to judge by, such as photographs.",
        show_default="all, combined",
    ),
]
NewBundle = Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)]
Overwrite = Annotated[
    bool, Option("--overwrite", help="Replace what is there already, unless the command reads it.")
]
NewName = Annotated[str | None, Option(help="Name of the new bundle.", show_default="its folder's")]
Jobs = Annotated[
    int | None,
    Option(
        "--jobs",
        min=1,
        max=MOST_JOBS,
        help="Number of pictures worked on at a time.",
        show_default="one a processor",
    ),
]
WholeImage = Annotated[
    bool, Option("--whole-image", help="Take the whole of each picture instead of the faces in it.")
]
Photos = Annotated[
    list[Path], Argument(metavar="PHOTOS", help="Genuine photographs: files, folders, manifests (.jsonl).")
]
Split = Annotated[str, Option(help="Split of the manifest rows to take.", show_default="every split")]
PerSource = Annotated[
    int,
    Option(
        min=1,
        max=LARGEST,
        help="Largest number of photographs of one source (folder, or manifest's source), copies included.",
        show_default="all",
    ),
]
Kind = Annotated[list[str] | None, Option(help="Kind of the manifest rows to take; may be repeated.")]


class Engine(StrEnum):
    """Who does the work on pictures."""

    local = "local"
    ray = "ray"


EngineName = Annotated[
    Engine,
    Option(
        "--engine",
        help="Who works: threads of this machine, or Ray's workers, here or on the cluster that RAY_ADDRESS names.",
    ),
]


class PartsFormat(StrEnum):
    """Format of the parts that `score --engine ray` writes."""

    parquet = "parquet"
    jsonl = "jsonl"


def number_of(text: str) -> float:
    """The number that a text is; NaN, which lies in no range, if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


_FIRST_ESTIMATE, _EACH = 10.0, 50.0  # seconds until the first line on time, and so many more between two


@contextmanager
def progress(word: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on standard error if that is a terminal; it yields a function that sets how much is done, of how much."""
    if not sys.stderr.isatty() or quiet.is_set():
        yield lambda done, total=None: None
        return
    # Only here: without a terminal nobody should wait for these imports.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # soft_wrap: rows printed above the bar are not broken into lines.
    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(word, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)


@contextmanager
def reporting(
    word: str, one: str = "", total: int | None = None
) -> Iterator[Callable[[str, str | None], None]]:
    """Counts pictures on a terminal, and gives a line to each one that is left out or is a copy of another.

    Where there is no terminal, a line each minute says how many of the `total` are done, and how long the rest takes.
    The last line tells how many there were, if `one` says what each is.
    """
    with progress(word, total) as advance:
        done = left_out = copies = 0
        started = told = time.monotonic()

        def report(path: str, problem: str | None) -> None:
            nonlocal done, left_out, copies, told
            done += 1
            advance(done, total)
            now = time.monotonic()
            if total and now - told > _FIRST_ESTIMATE + _EACH * (told > started) and not sys.stderr.isatty():
                left = (total - done) * (now - started) / done
                say(f"{word}: {done}/{total}, about {duration(left)} left")
                told = now
            if isinstance(problem, CopyOfAnother):
                copies += 1
                say(problem)
            elif problem:
                left_out += 1
                complain(f"left out: {problem}")

        yield report
    if one:
        more = f", {counted(copies, 'copy of others', 'copies of others')}" if copies else ""
        say(f"{counted(done - copies, one)}{more}, {left_out} left out")


def duration(seconds: float) -> str:
    """For people: `40 seconds`, `6 minutes`, `2.5 hours`."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def passed_over(census: Census) -> None:
    """Say what folders hold besides pictures, if anything."""
    if (summary := census.summary()) is not None:
        say(summary)


def given(context: typer.Context, name: str) -> bool:
    """Whether an option was written on the command line, rather than taken from a default."""
    return _source(context, name) == "COMMANDLINE"


def contradicting(context: typer.Context, **values: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any option's)
    """The values of options of which each says something else, as the command line and the defaults leave them.

    One that is written on the command line switches off the others, which a file or the environment sets; those have
    their built-in default then. A flag that is not set says nothing.

    Raises:
        CamerabornError: two were written, or two were set and none was written.
    """
    said = [name for name, value in values.items() if value is not False]
    written = [name for name in said if given(context, name)]
    those = written or [name for name in said if _source(context, name) in ("ENVIRONMENT", "DEFAULT_MAP")]
    if len(those) > 1:
        one, other = (_where(context, name) for name in those[:2])
        raise CamerabornError(f"{one} and {other} contradict each other: give one of them")
    return tuple(value if name in those else _built_in(context, name) for name, value in values.items())


def meaningless(context: typer.Context, why: str, *names: str) -> tuple[Any, ...]:
    """Refuse options that would do nothing.

    Args:
        context: of the verb.
        why: "without --equalise".
        names: the options.

    Returns:
        Their built-in defaults, for verbs on which a file or the environment must have no effect here.

    Raises:
        CamerabornError: one of them was written on the command line.
    """
    for name in names:
        if given(context, name):
            raise CamerabornError(f"{_spelt(name)} means nothing {why}: leave it out")
    return tuple(_built_in(context, name) for name in names)


def format_asked(context: typer.Context, format: Format | None, output: Path | None) -> Format:
    """The format of the rows: the ending of a written -o goes before a --format that is not written.

    Raises:
        CamerabornError: the two contradict.
    """
    if given(context, "output") and not given(context, "format"):
        by_ending = format_of(None, output)
        if by_ending is not Format.table:
            return by_ending
    return format_of(format, output)


def _source(context: typer.Context, name: str) -> str:
    """Where an option's value is from, by the parser's word."""
    source = context.get_parameter_source(name)
    return "" if source is None else source.name


def _where(context: typer.Context, name: str) -> str:
    """An option as it stands where it was given."""
    source = _source(context, name)
    if source == "ENVIRONMENT":
        return f"{context.auto_envvar_prefix}_{name.upper()}"
    if source == "DEFAULT_MAP":
        file = context.find_root().params.get("config") or default_config()
        return f"{_spelt(name).removeprefix('--')} in {file}"
    return _spelt(name)


def _built_in(context: typer.Context, name: str) -> Any:  # noqa: ANN401 (any option's)
    return next(parameter.default for parameter in context.command.params if parameter.name == name)


def _spelt(name: str) -> str:
    return "--" + name.replace("_", "-")


def needs_torch() -> None:
    """Say how to install what training needs, if it is missing."""
    _needs("training", "train", "torch", "tensorboard", "onnxscript")


def needs_matplotlib() -> None:
    """Say how to install what drawing needs, if it is missing."""
    _needs("drawing", "plots", "matplotlib")


def needs_server() -> None:
    """Say how to install what the server needs, if it is missing."""
    _needs(
        "serving", "serve", "fastapi", "fastapi_offline", "uvicorn", "python_multipart", "prometheus_client"
    )


def file_or_standard_output(path: Path | None) -> Path | None:
    """What -o names; `-` is standard output, as without -o."""
    return None if path == Path("-") else path


def jobs_of(engine: Engine, jobs: int | None, *, at_once: int = 16) -> stage.Jobs:
    """Who does the work: so many threads, or so many workers of Ray, each given `at_once` items at most."""
    if engine is Engine.local:
        return jobs
    _needs("--engine ray", "cluster", "ray", "pandas", "pyarrow", "fsspec")
    from cameraborn.engine.ray import RayEngine

    return RayEngine(jobs, at_once)


def _needs(work: str, extra: str, *packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise CamerabornError(f"{work} needs {', '.join(missing)}: pip install 'cameraborn[{extra}]'")
