"""What every verb shares: the application, exit codes, options, progress, one line an error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from cameraborn.cli.output import printable
from cameraborn.errors import CamerabornError

EXIT_NOTHING_READ, EXIT_USAGE, EXIT_FLAGGED = 1, 2, 3
# As a shell reports programs ended by SIGINT, SIGPIPE and SIGTERM.
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE, EXIT_TERMINATED = 130, 141, 143


def say(line: str) -> None:
    """Print one line on standard error."""
    print(printable(line), file=sys.stderr)


class Terminated(KeyboardInterrupt):
    """Someone asked the process to end (SIGTERM), as batch systems do: what Ctrl-C tidies up is tidied up."""


def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """What SIGTERM does."""
    raise Terminated


def interrupted(error: KeyboardInterrupt) -> NoReturn:
    """End at once, as a program that SIGINT or SIGTERM ends."""
    terminated = isinstance(error, Terminated)
    say(f"cameraborn: {'terminated' if terminated else 'interrupted'}")
    # Worker threads may be inside a large picture; nothing of theirs is worth waiting for.
    os._exit(EXIT_TERMINATED if terminated else EXIT_INTERRUPTED)


# As a reader meets them in the help; a verb not named here comes last.
VERBS = (
    "score",
    "explain",
    "fit",
    "fit-binary",
    "calibrate",
    "verify",
    "convert",
    "data",
    "train",
    "weights",
    "export",
    "import-checkpoint",
    "audit",
    "bench",
)


class _Group(typer.core.TyperGroup):
    """Turns every expected failure of a verb into one line and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 (its class is not public)
        """The verbs in the order of `VERBS`."""
        return sorted(super().list_commands(ctx), key=lambda name: (*VERBS, name).index(name))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (its class is not public)
        """Run the verb."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except CamerabornError as error:
            say(f"cameraborn: {error}")
            raise typer.Exit(EXIT_USAGE) from error
        except KeyboardInterrupt as error:
            interrupted(error)
        except BrokenPipeError:
            # The reader went away, as `head` does: say nothing more, also when Python flushes at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_BROKEN_PIPE) from None
        except OSError as error:
            if error.filename is None:
                raise
            say(f"cameraborn: {os.fsdecode(error.filename)}: {error.strerror}: check the path and the disk")
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
Option, Argument = typer.Option, typer.Argument
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
NewName = Annotated[str | None, Option(help="Name of the new bundle.", show_default="its folder's")]
Jobs = Annotated[
    int | None,
    Option("--jobs", min=1, help="Number of pictures worked on at a time.", show_default="one a processor"),
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
        help="Largest number of photographs of one source (folder, or manifest's source).",
        show_default="all",
    ),
]
Kind = Annotated[list[str] | None, Option(help="Kind of the manifest rows to take; may be repeated.")]


_FIRST_ESTIMATE, _EACH = 10.0, 50.0  # seconds until the first line on time, and so many more between two


@contextmanager
def progress(word: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on standard error if that is a terminal; it yields a function that sets how much is done, of how much."""
    if not sys.stderr.isatty():
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
    word: str, counted: str = "", total: int | None = None
) -> Iterator[Callable[[str, str | None], None]]:
    """Counts pictures on a terminal, and gives a line to each one that is left out.

    Where there is no terminal, a line each minute says how many of the `total` are done, and how long the rest takes.
    The last line tells how many there were, if `counted` says what they are.
    """
    with progress(word, total) as advance:
        done = left_out = 0
        started = told = time.monotonic()

        def report(path: str, problem: str | None) -> None:
            nonlocal done, left_out, told
            done += 1
            left_out += problem is not None
            advance(done, total)
            now = time.monotonic()
            if total and now - told > _FIRST_ESTIMATE + _EACH * (told > started) and not sys.stderr.isatty():
                left = (total - done) * (now - started) / done
                say(f"{word}: {done}/{total}, about {duration(left)} left")
                told = now
            if problem:
                say(f"left out: {problem}")

        yield report
    if counted:
        say(f"{done} {counted}, {left_out} left out")


def duration(seconds: float) -> str:
    """For people: `40 seconds`, `6 minutes`, `2.5 hours`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def needs_torch() -> None:
    """Say how to install what training needs, if it is missing."""
    _needs("training", "train", "torch", "tensorboard", "onnxscript")


def needs_matplotlib() -> None:
    """Say how to install what drawing needs, if it is missing."""
    _needs("drawing", "plots", "matplotlib")


def _needs(work: str, extra: str, *packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise CamerabornError(f"{work} needs {', '.join(missing)}: pip install 'cameraborn[{extra}]'")
