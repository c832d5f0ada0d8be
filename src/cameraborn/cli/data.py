"""`cameraborn data`: manifests of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from cameraborn.cli.common import EXIT_NOTHING_READ, Argument, Option, app, progress, say
from cameraborn.errors import CamerabornError
from cameraborn.rows import printable

data = typer.Typer(help="Make and check manifests of pictures.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data")


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

    with progress("importing", None) as advance:
        found = rows(advance)
        first = next(found, None)
        if first is None:  # before anything is written: an older manifest stays
            raise CamerabornError(f"{sources[0]}: no picture found: check the path and the layout")
        count = write_manifest(itertools.chain([first], found), output)
    say(f"{output}: {count} rows")


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
        say(f"{name}: {len(members)} rows of {len({row.group for row in members})} groups")


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
    say(f"{manifest}: every file is as it was imported")
