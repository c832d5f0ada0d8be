"""`cameraborn data manipulate`: artificially manipulated faces, to learn from or to look at."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cameraborn.cli.common import (
    EXIT_NOTHING_READ,
    LARGEST_SIDE,
    Argument,
    Jobs,
    Option,
    meaningless,
    progress,
    say,
    seed_of,
)
from cameraborn.cli.data import data
from cameraborn.cli.failures import keeping
from cameraborn.cli.numbers import finite
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import CamerabornError, PictureError, counted
from cameraborn.files import Outputs
from cameraborn.pseudo.names import MANIPULATIONS

if TYPE_CHECKING:
    from cameraborn.data.manifest import Row
    from cameraborn.photo.faces import FaceFinder
    from cameraborn.pseudo.variants import FaceCut, VariantFolder, VariantOptions

_PREVIEWED = 6  # faces on the contact sheet


@data.command("manipulate")
def manipulate_(
    context: typer.Context,
    manifest: Annotated[Path, Argument(help="Manifest file of photographs with faces.", dir_okay=False)],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder for the pictures and their manifest.", file_okay=False),
    ] = None,
    preview: Annotated[
        Path | None,
        Option(
            help="Picture file (PNG) for a contact sheet of the first faces; without -o nothing else is written.",
            dir_okay=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        Option(
            help=f"Manipulation to make: {', '.join(MANIPULATIONS)}; may be repeated.",
            show_default="all but nose",
        ),
    ] = None,
    match_resampling: Annotated[
        bool,
        Option(help="Resample originals as their manipulations are, so that sharpness tells nothing."),
    ] = True,
    both_eyes: Annotated[
        bool, Option("--both-eyes", help="Mirror both eyes instead of the right one alone.")
    ] = False,
    vertical_only: Annotated[
        bool, Option("--vertical-only", help="Turn mouth and nose upside down without mirroring them.")
    ] = False,
    crop_scale: Annotated[
        float,
        Option(
            min=1,
            max=10,
            callback=finite,
            help="Side of the cut, as a multiple of the side of the face's box.",
        ),
    ] = 1.7,
    side: Annotated[
        int,
        Option(
            min=0,
            max=LARGEST_SIDE,
            help="Side in pixels to which smaller cuts are enlarged meanwhile; 0 enlarges none.",
        ),
    ] = 224,
    seed: Annotated[int, seed_of("the manipulations")] = 0,
    jobs: Jobs = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an older picture of --preview.")] = False,
) -> None:
    """Cut out faces and manipulate them: flipped eyes, mouths and noses, distorted faces.

    The files are named as in the released data of AIGFD-EXIF: ID_0.png has its mouth turned over, ID_1.png its mouth
    mirrored, ID_2.png its eye mirrored, ID_3.png is distorted, and ID_4.png has its nose turned over. A run that was
    interrupted goes on when started again.

    Example: a folder of manipulated faces, and a contact sheet to look at.

    \b
      cameraborn data manipulate photos.jsonl -o manipulated --preview sheet.png
    """
    if output is None and preview is None:
        raise CamerabornError("nothing to write: give -o FOLDER, --preview PNG, or both")
    if preview is None:
        meaningless(context, "without --preview", "overwrite")
    if kind and "eye" not in kind:
        meaningless(context, "without the eye among --kind", "both_eyes")
    if kind and not {"mouth-vertical", "nose"} & {*kind}:
        meaningless(context, "without mouth-vertical or nose among --kind", "vertical_only")
    if find_spec("cv2") is None:
        raise CamerabornError("manipulating needs OpenCV: pip install 'cameraborn[train]'")
    import cv2

    from cameraborn.data.manifest import read_manifest
    from cameraborn.photo.faces import FaceFinder
    from cameraborn.pseudo.manipulate import KINDS, PAPER_KINDS, ManipulationOptions
    from cameraborn.pseudo.variants import VariantOptions

    cv2.setNumThreads(1)  # several pictures at a time are faster than several threads a picture
    for name in kind or ():
        if name not in MANIPULATIONS:
            raise CamerabornError(f"--kind {name}: {MANIPULATIONS.unknown(name)}")
    options = VariantOptions(
        kinds=tuple(name for name in KINDS if name in (kind or PAPER_KINDS)),
        crop_scale=crop_scale,
        seed=seed,
        manipulation=ManipulationOptions(
            side=side or None,
            match_resampling=match_resampling,
            eyes="both" if both_eyes else "right",
            upside_down="vertical" if vertical_only else "both-axes",
        ),
    )
    outputs = Outputs(preview, filled=output, overwrite=overwrite)
    outputs.reads(manifest)
    # Reads all of it: a broken line is met before any work.
    total = sum(1 for _ in outputs.watched(read_manifest(manifest), lambda row: row.path))
    finder = FaceFinder()
    if preview is not None:
        _preview(read_manifest(manifest), preview, finder, options)
    if output is not None:
        _fill(read_manifest(manifest), total, output, finder, options, jobs)


def _preview(rows: Iterator[Row], path: Path, finder: FaceFinder, options: VariantOptions) -> None:
    from cameraborn.pseudo.contact_sheet import contact_sheet
    from cameraborn.pseudo.variants import cut_face, write_whole

    faces: list[FaceCut] = []
    for row in rows:
        try:
            faces.append(cut_face(row, finder, options.crop_scale))
        except PictureError as error:
            say(f"left out: {error}")
        if len(faces) == _PREVIEWED:
            break
    if not faces:
        raise CamerabornError(f"{path}: not written: no face could be read from the manifest")
    buffer = io.BytesIO()
    contact_sheet(faces, options).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
    say(f"{path}: {counted(len(faces), 'face')}")


def _fill(
    rows: Iterator[Row],
    total: int,
    folder: Path,
    finder: FaceFinder,
    options: VariantOptions,
    jobs: int | None,
) -> None:
    from cameraborn.pseudo.variants import VariantFolder, cut_face, named, write_variants

    def make(item: tuple[str, Row]) -> tuple[list[Row], str | None]:
        name, row = item
        if name in filled.done:
            return [], None
        try:
            made = write_variants(cut_face(row, finder, options.crop_scale), name, folder, options)
        except PictureError as error:
            return [], str(error)
        lacking = [kind for kind in options.kinds if kind not in {row.manipulation for row in made}]
        return made, f"{row.path}: its landmarks do not allow: {', '.join(lacking)}" if lacking else None

    with progress("manipulating", total) as advance, VariantFolder(folder, asdict(options)) as filled:
        made = map_in_order(Call(make), named(rows), jobs)
        faces, written = fill(filled, made, advance, ("face", "faces"), "no face could be read")
    say(f"{filled.manifest}: {counted(faces, 'face')}; {counted(written, 'manipulated picture')} written")


def fill(
    filled: VariantFolder,
    made: Iterable[tuple[list[Row], str | None]],
    advance: Callable[[int], None],
    what: tuple[str, str],
    nothing: str,
) -> tuple[int, int]:
    """Record what is made of each picture, and complete the folder.

    Args:
        filled: the folder.
        made: rows, the original's first, and why there are none or too few.
        advance: told how many are done.
        what: an original and several, for people.
        nothing: what is said of a folder without any.

    Returns:
        How many originals the folder has, and how many other pictures this run wrote.
    """
    folder, others = filled.manifest.parent, 0
    if filled.done:
        say(f"{folder}: going on; {what[1]} done already: {len(filled.done)}")
    with keeping(folder, lambda: max(0, len(filled.done) - 1), *what):  # the last one is made again
        for number, (rows, problem) in enumerate(made, 1):
            if problem:
                say(f"left out: {problem}")
            if rows:
                filled.add(rows)
                others += len(rows) - 1
            advance(number)
        if not filled.done:
            say(f"{folder}: {nothing}")
            raise typer.Exit(EXIT_NOTHING_READ)
        filled.finish()
    return len(filled.done), others
