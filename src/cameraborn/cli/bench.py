"""`cameraborn bench`: detectors on test sets, honestly compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from cameraborn.cli.common import EXIT_NOTHING_READ, Argument, Jobs, Option, app, progress, say

if TYPE_CHECKING:
    from cameraborn.bench.run import Tally


class _RunByDefault(typer.core.TyperGroup):
    """`bench CONFIG` is `bench run CONFIG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (its class is not public)
        """Put `run` in front of what is no verb."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


bench = typer.Typer(
    cls=_RunByDefault,
    help="Measure detectors: 'bench CONFIG' measures, 'bench report RUN' says what came of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(bench, name="bench")

Config = Annotated[Path, Argument(metavar="CONFIG", help="What is measured: a TOML file.", dir_okay=False)]


class Protocol(StrEnum):
    """Whose protocol is measured beside ours."""

    aigfd = "aigfd"


@bench.command()
def run(
    config: Config,
    protocol: Annotated[
        Protocol | None,
        Option(
            help="Also the papers': a mixture, and its threshold from the same photographs.",
            show_default="ours alone",
        ),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Measure detectors on test sets under degradations; goes on where it was interrupted.

    The word 'run' may be left out. Exit codes: 0 done, 1 not one picture could be read, 2 usage.
    """
    from cameraborn.bench import protocol as papers
    from cameraborn.bench.config import read_config
    from cameraborn.bench.record import SCORES
    from cameraborn.bench.run import run as measure

    settings = read_config(config)
    if protocol is not None:
        papers.section_of(settings)  # before anything is measured
    with _pictures("measuring") as advance:
        tally = measure(settings, jobs=jobs, advance=advance)
    tallies = [tally]
    if protocol is not None:
        with _pictures("protocol") as advance:
            tallies.append(papers.run_protocol(settings, jobs=jobs, advance=advance))
    for part in tallies:
        _say(part)
    say(f"{settings.output / SCORES}: complete; now 'cameraborn bench report {settings.output}'")
    if not any(part.scored + part.abstained + part.known for part in tallies):
        raise typer.Exit(EXIT_NOTHING_READ)


@bench.command()
def report(
    folder: Annotated[
        Path, Argument(metavar="RUN", help="A configuration's output folder.", file_okay=False)
    ],
) -> None:
    """Write report.html, report.md, tables/*.csv and figures/*.png from a run's scores."""
    from cameraborn.report.report import write_report

    say(f"{write_report(folder)}: written, with report.md, tables/ and figures/ beside it")


@bench.command()
def table1(config: Config, jobs: Jobs = None) -> None:
    """Detectors by generator, as the papers count (their Table I): CSV and picture."""
    from cameraborn.bench.config import read_config
    from cameraborn.report import studies

    _write(studies.table1, read_config(config), jobs)


@bench.command()
def table2(config: Config, jobs: Jobs = None) -> None:
    """Each bundle's features through one and the same mixture (their Table II)."""
    from cameraborn.bench.config import read_config
    from cameraborn.report import studies

    _write(studies.table2, read_config(config), jobs)


@bench.command()
def table3(config: Config, jobs: Jobs = None) -> None:
    """What a pretext task is worth, for bundles of different tasks (their Table III)."""
    from cameraborn.bench.config import read_config
    from cameraborn.report import studies

    _write(studies.table3, read_config(config), jobs)


@bench.command()
def fig4(config: Config, jobs: Jobs = None) -> None:
    """The number of Gaussians on held-out photographs, with BIC (their Fig. 4)."""
    from cameraborn.bench.config import read_config
    from cameraborn.report import studies

    _write(studies.figure4, read_config(config), jobs)


@bench.command()
def fig5(config: Config, jobs: Jobs = None) -> None:
    """Photographs and generated pictures in the plane, by t-SNE (their Fig. 5)."""
    from cameraborn.bench.config import read_config
    from cameraborn.report import studies

    _write(studies.figure5, read_config(config), jobs)


def _write(study: Callable[..., list[Path]], settings: object, jobs: int | None) -> None:
    with _pictures("measuring") as advance:
        paths = study(settings, jobs=jobs, advance=advance)
    for path in paths:
        say(f"{path}: written")


@contextmanager
def _pictures(word: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that learns its total as it goes."""
    with progress(word, None) as advance:
        yield lambda done, total: advance(done)


def _say(tally: Tally) -> None:
    for problem in tally.problems:
        say(problem)
    if tally.errors > len(tally.problems):
        say(f"... and {tally.errors - len(tally.problems)} more errors: see the rows with an error")
    counts = {
        "scored": tally.scored,
        "known already": tally.known,
        "not judged": tally.abstained,
        "seen in training": tally.seen,
        "errors": tally.errors,
    }
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "scored")
    say(f"judgements: {words}")
