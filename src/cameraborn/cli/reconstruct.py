"""`cameraborn data reconstruct`: photographs reconstructed by autoencoders and published decoders, to learn from."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context

from cameraborn.cli.common import (
    LARGEST_SIDE,
    MOST,
    Argument,
    Jobs,
    Option,
    meaningless,
    needs_torch,
    progress,
    say,
    seed_of,
)
from cameraborn.cli.data import data
from cameraborn.cli.manipulate import fill
from cameraborn.cli.numbers import finite
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import CamerabornError, PictureError, counted
from cameraborn.files import Outputs

if TYPE_CHECKING:
    from cameraborn.data.manifest import Row
    from cameraborn.pseudo.decoders import Reconstruct

HELD_OUT = "calibration"  # the split that is never reconstructed by decoders


@data.command("reconstruct")
def reconstruct_(
    context: Context,
    manifest: Annotated[Path, Argument(help="Manifest file of the photographs.", dir_okay=False)],
    output: Annotated[
        Path, Option("--output", "-o", help="Folder for the pictures and their manifest.", file_okay=False)
    ],
    autoencoders: Annotated[
        Path | None,
        Option(help="Folder of a run of 'cameraborn train' with kind = \"autoencoders\".", file_okay=False),
    ] = None,
    decoders: Annotated[
        Path | None,
        Option(
            help="Folder of published decoders: NAME_encoder.safetensors and NAME_decoder.safetensors of the TAESD "
            "family, NAME.param and NAME.bin of ncnn.",
            file_okay=False,
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        Option(
            help="Split to take photographs from; may be repeated.",
            show_default="all splits; with --decoders, all but calibration",
        ),
    ] = None,
    around_faces: Annotated[
        bool, Option("--around-faces", help="Cut photographs with a face's box to a square around the face.")
    ] = False,
    copies: Annotated[
        int, Option(min=1, max=MOST, help="Copies of each photograph; all but the first are shrunk.")
    ] = 2,
    smallest_side: Annotated[
        int, Option(min=64, max=LARGEST_SIDE, help="Smallest side of a copy, in pixels.")
    ] = 96,
    largest_side: Annotated[
        int,
        Option(
            min=64,
            max=LARGEST_SIDE,
            help="Largest side of a copy, in pixels; larger photographs are cut to their middle.",
        ),
    ] = 512,
    noise: Annotated[
        float,
        Option(min=0, callback=finite, help="Largest strength of the noise on what an autoencoder decodes."),
    ] = 0.15,
    operations: Annotated[
        float,
        Option(
            min=0,
            max=1,
            callback=finite,
            help="Share of the shrunk copies that a random post-processing operation follows.",
        ),
    ] = 0.5,
    seed: Annotated[int, seed_of("the copies")] = 0,
    jobs: Jobs = None,
) -> None:
    """Reconstruct photographs by autoencoders and decoders, for the task `reconstructed` and detectors of generators.

    The decoder of an autoencoder leaves traces in the pixels that are akin to those of generators. Each original is
    written too, after the same treatment. A run that was interrupted goes on when started again.

    Give --autoencoders, --decoders or both. With --decoders, photographs that calibrate are not reconstructed: what
    calibrates must not be learnt from.

    Example: two copies of each photograph.

    \b
      cameraborn data reconstruct photos.jsonl --autoencoders runs/autoencoders -o reconstructed
    """
    if autoencoders is None and decoders is None:
        raise CamerabornError("nothing reconstructs: give --autoencoders FOLDER, --decoders FOLDER, or both")
    if decoders is not None and HELD_OUT in (split or ()):
        raise CamerabornError(f"--split {HELD_OUT}: what calibrates must not be reconstructed: leave it out")
    if smallest_side > largest_side:
        raise CamerabornError(
            f"--smallest-side {smallest_side} is above --largest-side {largest_side}: change either"
        )
    if copies == 1:
        (operations,) = meaningless(context, "with one copy, which is not shrunk", "operations")
    needs_torch()
    from cameraborn.data.manifest import read_manifest
    from cameraborn.pseudo.reconstruct import (
        ReconstructOptions,
        copies_of,
        one_thread_a_picture,
        write_reconstructed,
    )
    from cameraborn.pseudo.variants import VariantFolder

    one_thread_a_picture()
    ready, weights = _decoders(autoencoders, decoders)
    options = ReconstructOptions(
        autoencoders=tuple(ready),
        copies=copies,
        smallest_side=smallest_side,
        largest_side=largest_side,
        noise=noise,
        operations=operations,
        seed=seed,
        around_faces=around_faces,
    )
    outputs = Outputs(filled=output)
    outputs.reads(manifest)
    listed = outputs.watched(read_manifest(manifest), lambda row: row.path)
    rows, held_out = [], 0
    for row in listed:
        if decoders is not None and row.split == HELD_OUT:
            held_out += 1
        elif not split or row.split in split:
            rows.append(row)
    if held_out and not split:
        are = "is" if held_out == 1 else "are"
        rows_of = f"{counted(held_out, 'row')} of split '{HELD_OUT}' {are}"
        say(f"{rows_of} not reconstructed: what calibrates must not be learnt from")

    def make(item: tuple[str, int, Row]) -> tuple[list[Row], str | None]:
        name, number, row = item
        if name in filled.done:
            return [], None
        try:
            return write_reconstructed(row, name, number, output, ready, options), None
        except PictureError as error:
            return [], None if number else str(error)

    settings = {**asdict(options), "autoencoders": weights}
    if not around_faces:
        del settings["around_faces"]  # folders of earlier releases do not say it
    with progress("reconstructing", copies * len(rows)) as advance, VariantFolder(output, settings) as filled:
        made = map_in_order(Call(make), copies_of(rows, copies), jobs)
        written, _ = fill(filled, made, advance, ("copy", "copies"), "no photograph could be reconstructed")
    say(f"{filled.manifest}: {counted(written, 'photograph')} and as many reconstructed")


def _decoders(
    autoencoders: Path | None, decoders: Path | None
) -> tuple[dict[str, Reconstruct], dict[str, str | list[str]]]:
    """What reconstructs, and the SHA-256 of its files, by name."""
    from cameraborn.data.manifest import sha256_of
    from cameraborn.pseudo.autoencoders import read_autoencoders
    from cameraborn.pseudo.decoders import files_of, read_decoders
    from cameraborn.pseudo.reconstruct import reconstruct

    found: dict[str, Reconstruct] = {}
    weights: dict[str, str | list[str]] = {}
    if autoencoders is not None:
        for name, autoencoder in read_autoencoders(autoencoders).items():
            found[name] = partial(reconstruct, autoencoder)
            weights[name] = sha256_of(autoencoders / f"{name}.safetensors")
    if decoders is not None:
        for name, decoder in read_decoders(decoders).items():
            if name in found:
                raise CamerabornError(
                    f"{decoders}: an autoencoder is called {name} too: rename the files of one"
                )
            found[name] = decoder
            own = [path for path in files_of(decoders) if path.name.startswith((f"{name}_", f"{name}."))]
            weights[name] = [sha256_of(path) for path in own]
    return found, weights
