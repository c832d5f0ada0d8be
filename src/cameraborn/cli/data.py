"""`cameraborn data`: manifests of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cameraborn.cli.common import (
    EXIT_NOTHING_READ,
    Argument,
    Jobs,
    Option,
    Overwrite,
    Verbs,
    app,
    meaningless,
    number_of,
    passed_over,
    progress,
    reporting,
    say,
    seed_of,
)
from cameraborn.cli.failures import keeping, printable
from cameraborn.cli.output import text_outputs
from cameraborn.errors import CamerabornError, counted
from cameraborn.files import Outputs
from cameraborn.photo.sniff import Census

if TYPE_CHECKING:
    from cameraborn.data.adapters import Entry, LeftOut

data = Verbs(
    help="Make, split, check and count manifests of pictures.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data, name="data")
Manifest = Annotated[Path, Argument(metavar="MANIFEST", help="Manifest file (.jsonl).", dir_okay=False)]
FAR_OFF = 0.02  # a split's share of the rows, beyond which the user is told


class Group(StrEnum):
    """What is one group in a folder of photographs."""

    folder = "folder"
    photo = "photo"


@data.command("import")
def import_(
    layout: Annotated[
        str,
        Argument(help="Layout of the data: folder, rows, csv, tree, flickr, fdf or sdaie; see docs/data.md."),
    ],
    sources: Annotated[list[Path], Argument(help="Folders or files of that layout.")],
    output: Annotated[Path, Option("--output", "-o", help="Manifest file to write.", dir_okay=False)],
    faces: Annotated[
        bool,
        Option("--faces", help="Find faces and write a row for each face, with its box and 68 landmarks."),
    ] = False,
    exif: Annotated[
        Path | None,
        Option(
            help="EXIF data of layouts flickr and fdf: a YFCC100M-style table, or a folder of <photo id>.json.",
            show_default="as the data set has it",
        ),
    ] = None,
    group: Annotated[
        Group,
        Option(help="Group of layout folder, which no split divides: a sub-folder, or a single photograph."),
    ] = Group.folder,
    permitted_only: Annotated[
        bool, Option("--permitted-only", help="Leave out rows that are for research only.")
    ] = False,
    exclude: Annotated[
        list[str] | None, Option(help="Path ending of files to leave out; may be repeated.")
    ] = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a manifest of pictures.

    An interrupted import goes on where it stopped when the same command is given again. Exit code 1: a picture that
    the data set lists cannot be opened; it is named and has no row.

    Example: a manifest of the faces in a folder of photographs.

    \b
      cameraborn data import folder photographs/ --faces -o faces.jsonl
    """
    from cameraborn.data.adapters import LAYOUTS, LeftOut, Options
    from cameraborn.data.importing import import_manifest, unfinished
    from cameraborn.engine.journal import Journal
    from cameraborn.registry import unknown_name

    if layout not in LAYOUTS:
        raise CamerabornError(unknown_name("layout", layout, LAYOUTS))
    for name, given in (("exif", exif is not None), ("group", group is not Group.folder)):
        if given and name not in LAYOUTS[layout].takes:
            takers = ", ".join(other for other in LAYOUTS if name in LAYOUTS[other].takes)
            raise CamerabornError(f"--{name} means nothing to layout {layout}: it is for {takers}")
    endings, census = tuple(exclude or ()), Census()
    outputs = text_outputs(output, overwrite=overwrite)
    outputs.reads(*sources, exif)

    def found() -> Iterator[Entry | LeftOut]:
        for source in sources:
            for item in LAYOUTS[layout].entries(source, Options(exif=exif, group=group.value, census=census)):
                if not isinstance(item, LeftOut) and (
                    (permitted_only and item.row.research_only)
                    or (endings and item.row.path.endswith(endings))
                ):
                    continue
                yield item

    journal = unfinished(output)
    with keeping(journal, lambda: Journal.held(journal), "picture"), reporting("importing") as report:
        listed = outputs.watched(
            found(), lambda item: item.path if isinstance(item, LeftOut) else item.row.path
        )
        counts = import_manifest(listed, output, faces=faces, jobs=jobs, report=report)
    for label, rows in counts.labels.most_common():
        say(f"{label}: {counted(rows, 'row')}")
    notes = (
        ("picture", "left out", counts.left_out),
        ("picture", "without a face", counts.without_face),
        ("", "listed twice", counts.twice),
        ("picture", "known from the import that was interrupted", counts.reused),
    )
    more = "".join(
        f", {counted(number, one) if one else number} {what}" for one, what, number in notes if number
    )
    say(f"{output}: {counted(counts.rows, 'row')}{more}")
    passed_over(census)
    if counts.unopened:
        say(
            f"{counted(counts.unopened, 'picture')} of the data set cannot be opened, and gave no row: "
            "restore and import again"
        )
        raise typer.Exit(EXIT_NOTHING_READ)


@data.command()
def split(
    manifest: Annotated[
        Path, Argument(help="Manifest file to split; it is changed in place.", dir_okay=False)
    ],
    shares: Annotated[
        list[str], Argument(metavar="SPLIT=SHARE", help="Name of a split and its share of the rows.")
    ],
    research_only: Annotated[
        str,
        Option(
            help="Split that takes all rows that are for research only.", show_default="split like the others"
        ),
    ] = "",
    seed: Annotated[int, seed_of("the split")] = 0,
) -> None:
    """Divide the rows of a manifest between splits.

    All rows of a group get the same split.

    Example: three quarters of the rows for training, a quarter for calibration.

    \b
      cameraborn data split faces.jsonl train=0.75 calibration=0.25
    """
    from cameraborn.data.manifest import manifest_lines
    from cameraborn.data.splits import split_manifest

    wanted = _shares(shares)
    with progress("splitting", 2 * sum(1 for _ in manifest_lines(manifest))) as advance:
        sizes = split_manifest(manifest, wanted, research_only=research_only, seed=seed, report=advance)
    divided = sum(size.rows for name, size in sizes.items() if name in wanted)
    for name, size in sizes.items():
        line = f"{name}: {counted(size.rows, 'row')} of {counted(size.groups, 'group')}"
        got = size.rows / divided if divided else 0.0
        if name in wanted and name != research_only and abs(got - wanted[name]) > FAR_OFF:
            line += (
                f", {got:.0%} where {wanted[name]:.0%} was asked for: groups stay whole, "
                f"and its largest has {counted(size.largest, 'row')}"
            )
        say(line)


def _shares(texts: list[str]) -> dict[str, float]:
    """Split names and shares as they are written on the command line."""
    wanted: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        value = number_of(share)
        if not name or not 0 < value <= 1:
            raise CamerabornError(f"{text}: not a split and its share: write it as train=0.75")
        if name in wanted:
            raise CamerabornError(f"{name}: this split is given twice: give each one share")
        wanted[name] = value
    return wanted


@data.command("verify")
def verify_(manifest: Manifest, jobs: Jobs = None) -> None:
    """Check a manifest: broken rows, missing or changed files, rows listed twice, groups in several splits.

    Example: cameraborn data verify faces.jsonl
    """
    from cameraborn.data.manifest import manifest_lines
    from cameraborn.data.verify import verify_manifest

    problems = 0
    with progress("verifying", sum(1 for _ in manifest_lines(manifest))) as advance:
        for problem in verify_manifest(manifest, jobs=jobs, report=advance):
            problems += 1
            print(printable(problem))
    if problems:
        say(f"{manifest}: {problems} problems")
        raise typer.Exit(EXIT_NOTHING_READ)
    say(f"{manifest}: every file is as it was imported")


@data.command("stats")
def stats_(
    context: typer.Context,
    manifest: Manifest,
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="File to draw the tags' distributions to (.png, .svg or .pdf).",
            dir_okay=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Count the rows of a manifest, and show the distributions of its four numeric EXIF tags.

    Example: cameraborn data stats faces.jsonl -o stats.png
    """
    from cameraborn.cli.stats_text import check_plots, draw, lines_of
    from cameraborn.data.manifest import manifest_lines, read_manifest
    from cameraborn.data.stats import manifest_stats

    if output is None:
        meaningless(context, "without -o", "overwrite")
    else:
        check_plots(output)
    outputs = Outputs(output, overwrite=overwrite)
    outputs.reads(manifest)
    with progress("counting", sum(1 for _ in manifest_lines(manifest))) as advance:
        stats = manifest_stats(outputs.watched(read_manifest(manifest), lambda row: row.path), advance)
    print("\n".join(lines_of(stats)))
    if output is not None:
        draw(stats, manifest.name, output)
        say(f"{output}: drawn")
