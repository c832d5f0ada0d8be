"""`cameraborn bench`: detectors on test sets, honestly compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from cameraborn.cli.common import (
    EXIT_NOTHING_READ,
    Argument,
    Engine,
    EngineName,
    Jobs,
    Option,
    Verbs,
    app,
    complain,
    contradicting,
    jobs_of,
    meaningless,
    progress,
    say,
)
from cameraborn.cli.failures import keeping, lines_in

if TYPE_CHECKING:
    from cameraborn.bench.config import BenchConfig
    from cameraborn.bench.run import Tally


class _RunByDefault(typer.core.TyperGroup):
    """`bench CONFIG` is `bench run CONFIG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (its class is not public)
        """Put `run` in front of what is no verb."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


bench = Verbs(
    cls=_RunByDefault,
    help="Measure detectors on test sets: 'bench CONFIG' measures, 'bench report RUN' writes the report.\n\n"
    "Example: cameraborn bench configs/bench_folders.toml, with pictures of yours in my-set/real and my-set/gan",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(bench, name="bench")

Config = Annotated[
    Path, Argument(metavar="CONFIG", help="TOML file that says what is measured.", dir_okay=False)
]
EncoderName = Annotated[
    str | None,
    Option(
        "--encoder",
        metavar="NAME",
        help="Encoder to measure as well, see docs/rivals.md.",
        show_default="none",
    ),
]
RivalName = Annotated[
    str | None,
    Option(
        "--rival", metavar="NAME", help="Rival to measure as well, see docs/rivals.md.", show_default="none"
    ),
]
Weights = Annotated[
    list[Path] | None,
    Option(
        "--weights",
        help="Weights of that encoder or rival, of import-checkpoint or a training; may be repeated.",
        dir_okay=False,
    ),
]
OverwriteOthers = Annotated[
    bool,
    Option(
        "--overwrite",
        help="Replace files of these names, though they are not as this command wrote them.",
    ),
]


class Protocol(StrEnum):
    """Name of a paper whose protocol is measured as well."""

    aigfd = "aigfd"


@bench.command()
def run(
    context: typer.Context,
    config: Config,
    protocol: Annotated[
        Protocol | None,
        Option(
            help="Protocol of a paper to measure as well: a mixture on each bundle's features, with its threshold "
            "from the photographs that it was fitted to.",
            show_default="none",
        ),
    ] = None,
    encoder: EncoderName = None,
    rival: RivalName = None,
    weights: Weights = None,
    jobs: Jobs = None,
    engine: EngineName = Engine.local,
) -> None:
    """Measure detectors on test sets under degradations.

    An interrupted run goes on where it stopped. The word 'run' may be left out.

    Example: cameraborn bench configs/bench_folders.toml, with pictures of yours in my-set/real and my-set/gan.
    --protocol aigfd needs a [protocol] in the configuration, such as that of configs/bench_dev.toml.

    Exit codes: 0 done, 1 not one picture could be read, 2 usage.
    """
    from cameraborn.bench import protocol as papers
    from cameraborn.bench.config import refuse_unmeasured
    from cameraborn.bench.folder import check_folder
    from cameraborn.bench.record import SCORES
    from cameraborn.bench.run import run as measure

    settings = _read(context, config, encoder, rival, weights)
    check_folder(settings.output)
    if protocol is None:
        refuse_unmeasured(settings)
    else:
        papers.section_of(settings)  # before anything is measured
    who = jobs_of(engine, jobs)
    with _keeping(settings):
        with progress("measuring", None) as advance:
            tallies = [measure(settings, jobs=who, advance=advance)]
        if protocol is not None:
            with progress("protocol", None) as advance:
                tallies.append(papers.run_protocol(settings, jobs=who, advance=advance))
    for tally in tallies:
        _say(tally)
    say(f"{settings.output / SCORES}: complete; now 'cameraborn bench report {settings.output}'")
    if not any(tally.scored + tally.abstained + tally.known for tally in tallies):
        raise typer.Exit(EXIT_NOTHING_READ)


@bench.command()
def report(
    folder: Annotated[
        Path, Argument(metavar="RUN", help="Output folder of a configuration.", file_okay=False)
    ],
    overwrite: OverwriteOthers = False,
) -> None:
    """Write report.html, report.md, tables/*.csv and figures/*.png from the scores of a run.

    An older report is replaced, unless somebody has changed it. If the run is not finished, the report and a line on
    standard error say so.

    Example: cameraborn bench report runs/bench_folders, once configs/bench_folders.toml was measured.
    """
    from cameraborn.bench.folder import refuse_pipes, written_by_us
    from cameraborn.bench.record import read_record
    from cameraborn.report.report import write_report

    refuse_pipes(folder)
    read_record(folder)  # whose folder it is comes first
    with written_by_us(folder, "report.html", "report.md", "tables", "figures", overwrite=overwrite):
        page = write_report(folder, complain)
    say(f"{page}: written, with report.md, tables/ and figures/ next to it")


def _study(study: str) -> Callable[..., None]:
    """The verb that writes one of `report.studies.STUDIES`."""

    def write(
        context: typer.Context,
        config: Config,
        encoder: EncoderName = None,
        rival: RivalName = None,
        weights: Weights = None,
        jobs: Jobs = None,
        engine: EngineName = Engine.local,
        overwrite: OverwriteOthers = False,
    ) -> None:
        from cameraborn.bench.folder import check_folder, written_by_us
        from cameraborn.report.paper_tables import FOLDER
        from cameraborn.report.studies import STUDIES

        settings = _read(context, config, encoder, rival, weights)
        check_folder(settings.output)
        with (
            written_by_us(settings.output, FOLDER, overwrite=overwrite),
            _keeping(settings),
            progress("measuring", None) as advance,
        ):
            paths = STUDIES[study](settings, jobs=jobs_of(engine, jobs), advance=advance, tell=say)
        for path in paths:
            say(f"{path}: written")

    return write


for _verb, _name, _config, _text in (
    (
        "tables",
        "tables",
        "bench_rivals",
        "Tables I and II of AIGFD-EXIF, with the printed figures; rows whose weights are missing stay empty.",
    ),
    ("table1", "table1", "bench_dev", "Table I of AIGFD-EXIF: accuracy and AP of detectors on generators."),
    (
        "table2",
        "table2",
        "bench_dev",
        "Table II of AIGFD-EXIF: AUC of one mixture on each encoder's features, and of linear probes.",
    ),
    ("table3", "table3", "bench_tasks", "Table III of AIGFD-EXIF: accuracy, AUC and AP of pretext tasks."),
    (
        "fig4",
        "figure4",
        "bench_dev",
        "Figure 4 of AIGFD-EXIF: likelihood and BIC over the number of Gaussians.",
    ),
    ("fig5", "figure5", "bench_dev", "Figure 5 of AIGFD-EXIF: photographs and fakes in the plane, by t-SNE."),
):
    _example = f"Example: cameraborn bench {_verb} configs/{_config}.toml, with manifests of yours in it."
    bench.command(_verb, help=f"{_text}\n\n{_example}")(_study(_name))


@contextmanager
def _keeping(settings: BenchConfig) -> Iterator[None]:
    """After a failure, say which rows are kept of a run that is not finished, or which features if there is no row."""
    from cameraborn.bench.cache import features_in
    from cameraborn.bench.record import SCORES, is_finished

    scores, cache = settings.output / SCORES, settings.features

    def rows() -> int:
        return max(0, lines_in(scores) - 1)  # without the heading

    with (
        keeping(cache, lambda: 0 if rows() else features_in(cache), "feature"),
        keeping(scores, lambda: 0 if is_finished(settings.output) else rows(), "row"),
    ):
        yield


def _read(
    context: typer.Context,
    config: Path,
    encoder: str | None,
    rival: str | None,
    weights: list[Path] | None,
) -> BenchConfig:
    """The configuration, with an encoder or a rival besides those that it lists."""
    from cameraborn.bench.config import read_config, with_detector

    settings = read_config(config)
    encoder, rival = contradicting(context, encoder=encoder, rival=rival)
    if encoder is None and rival is None:
        meaningless(context, "without --encoder or --rival, whose they are", "weights")
        return settings
    kind, name = ("rival", rival) if encoder is None else ("encoder", encoder)
    return with_detector(settings, kind, str(name), weights or [])


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
    say(f"results: {words}")
