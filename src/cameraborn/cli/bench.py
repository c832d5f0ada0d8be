"""`cameraborn bench`: detectors on test sets, honestly compared."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from cameraborn.cli.common import Argument, Jobs, Option, app, progress, say


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
        Option(help="Also the papers': a mixture and its threshold on the same photographs.", show_default="ours alone"),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Measure detectors on test sets under degradations; goes on where it was interrupted.

    The word 'run' may be left out.
    """
    from cameraborn.bench.config import read_config
    from cameraborn.bench.run import SCORES, run as measure

    settings = read_config(config)
    tally = measure(settings, jobs=jobs)
    say(f"{settings.output / SCORES}: {tally}")
