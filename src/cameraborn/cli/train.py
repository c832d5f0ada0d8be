"""`cameraborn train`, `export` and `import-checkpoint`: networks."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cameraborn.cli.common import Argument, Option, app, needs_torch, progress, say
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.channel import repeated
from cameraborn.detect.evidence.density import Density
from cameraborn.detect.evidence.kinds import PHOTOGRAPHS
from cameraborn.detect.schema import BundleInfo, Channel, Preprocessing, software_versions
from cameraborn.detect.store import write_bundle
from cameraborn.errors import CamerabornError


@app.command()
def train(
    recipe: Annotated[Path, Argument(help="TOML file, see configs/.", dir_okay=False)],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the run.", show_default="runs/RECIPE", file_okay=False),
    ] = None,
    init: Annotated[
        Path | None,
        Option(
            help="Weights to start from: of a run, or a checkpoint of others (see import-checkpoint).",
            show_default="the recipe's",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Train a network as a recipe says, or go on with it.

    An interrupted run continues from its last checkpoint, to the bit. On several accelerators or machines:
    torchrun --nproc-per-node 8 -m cameraborn train RECIPE.
    """
    needs_torch()
    from cameraborn.pretext.recipe import kind_of
    from cameraborn.pretext.train import Progress as Step
    from cameraborn.train.processes import is_first

    folder = output or Path("runs") / recipe.stem
    steps, run = {"binary": _binary, "autoencoders": _autoencoders}.get(kind_of(recipe), _pretext)(
        recipe, init
    )
    with progress("training", steps) as advance:
        last = time.monotonic()

        def report(step: Step) -> None:
            nonlocal last
            advance(step.step)
            if not sys.stderr.isatty() and (time.monotonic() - last > 30 or step.step == step.steps):
                last = time.monotonic()
                loss = f"loss {step.loss:.4f}, " if math.isfinite(step.loss) else ""  # none was logged yet
                say(f"step {step.step}/{step.steps}, {loss}{step.seconds_left / 60:.1f} min left")

        figures = run(folder, report)
    if not is_first():
        return
    for figure, value in figures.items():
        if math.isfinite(value):
            print(f"{figure}: {value:.3f}")
    follows = "data reconstruct MANIFEST --autoencoders" if kind_of(recipe) == "autoencoders" else "export"
    say(f"{folder}: trained; now 'cameraborn {follows} {folder} -o FOLDER'")


@app.command("import-checkpoint")
def import_checkpoint_(
    file: Annotated[Path, Argument(help="Checkpoint of others, of torch or safetensors.", dir_okay=False)],
    output: Annotated[
        Path, Option("--output", "-o", help="Weights for 'train --init', .safetensors.", dir_okay=False)
    ],
    layout: Annotated[
        str,
        Option(
            help="aigfd, blades, exif-as-language, sdaie, sdaie-binary, torchvision, timm or auto: found by the "
            "names in it."
        ),
    ] = "auto",
    new_fc: Annotated[
        bool,
        Option("--new-fc", help="Put a fresh last layer to 768 features in place of the file's."),
    ] = False,
) -> None:
    """Turn a published checkpoint into weights to start from.

    Reads AIGFD-EXIF, BLADES (OC, BC), SDAIE, EXIF-as-Language, and ResNet-50 of torchvision and timm. Nothing in the
    file is run; a name in it that is not known, or one that is missing, is an error.
    """
    needs_torch()
    from cameraborn.data.manifest import sha256_of
    from cameraborn.pretext.run_folder import write_tensors
    from cameraborn.train.weights import LAYOUTS, import_checkpoint

    if layout not in (*LAYOUTS, "auto"):
        raise CamerabornError(f"{layout}: not a layout: choose from {', '.join(LAYOUTS)} or auto")
    imported = import_checkpoint(file, layout, new_fc=new_fc)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(imported.tensors, output, {"layout": imported.layout, "sha256": sha256_of(file)})
    heads = sorted({name.split(".")[1] for name in imported.tensors if not name.startswith("encoder.")})
    say(
        f"{output}: {imported.layout}, an encoder"
        + (f" and {', '.join(heads)}" if heads else "")
        + f"; {len(imported.dropped)} other tensors left behind; now 'cameraborn train RECIPE --init {output}'"
    )


_Run = Callable[[Path, Callable[[Any], None]], dict[str, float]]  # of a folder and a report of progress


def _pretext(recipe: Path, init: Path | None) -> tuple[int, _Run]:
    """How many steps a recipe has, and what runs it."""
    from cameraborn.pretext.recipe import read_recipe
    from cameraborn.pretext.selection import select_rows
    from cameraborn.pretext.train import train as run

    settings = read_recipe(recipe)
    if init is not None:
        settings = settings.model_copy(update={"init": init})
    # The length of a bar is worth reading the manifest for.
    steps = settings.optimise.steps or settings.optimise.steps_for(len(select_rows(settings)[0]))
    return steps, partial(run, settings)


def _binary(recipe: Path, init: Path | None) -> tuple[int, _Run]:
    """The same of a classifier's recipe."""
    from cameraborn.binary.dataset import labelled_rows
    from cameraborn.binary.recipe import read_binary_recipe
    from cameraborn.binary.train import train_binary

    settings = read_binary_recipe(recipe)
    if init is not None:
        settings = settings.model_copy(update={"weights": init})
    rows, _ = labelled_rows(settings.data, settings.optimise.pictures)
    return settings.optimise.steps_for(len(rows)), partial(train_binary, settings)


def _autoencoders(recipe: Path, init: Path | None) -> tuple[int, _Run]:
    """The same of a recipe of autoencoders."""
    from cameraborn.pretext.autoencoders import read_autoencoders_recipe, train_autoencoders

    if init is not None:
        raise CamerabornError(f"--init {init}: autoencoders start from nothing: leave it out")
    settings = read_autoencoders_recipe(recipe)
    return settings.steps, partial(train_autoencoders, settings)


@app.command()
def export(
    run: Annotated[Path, Argument(help="Folder of a finished run.", file_okay=False)],
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    beside: Annotated[
        Path | None,
        Option(help="Another finished run, of patches too, whose features follow.", file_okay=False),
    ] = None,
    name: Annotated[str | None, Option(help="Name of the bundle.", show_default="its folder's")] = None,
    crop_scale: Annotated[
        float | None,
        Option(
            help="Side of the crop over the longer side of the face.",
            show_default="1.5; of faces, the recipe's",
        ),
    ] = None,
    side: Annotated[
        list[int] | None,
        Option(
            min=64,
            help="Size crops are shrunk to, pixels; may be repeated.",
            show_default="256 and 128; of a classifier, 256; of faces, the recipe's",
        ),
    ] = None,
    smallest_side: Annotated[
        int | None,
        Option(
            min=64, help="Smaller crops are too small to judge, pixels.", show_default="160; of faces, 64"
        ),
    ] = None,
    weights_licence: Annotated[str, Option(help="Licence of the weights, for the card.")] = "not stated",
    data_licence: Annotated[
        str, Option(help="Licence and origin of the photographs, for the card.")
    ] = "not stated",
) -> None:
    """Make a bundle of a trained network; fit and calibrate come next."""
    needs_torch()
    from cameraborn.binary.export import export_binary, is_binary
    from cameraborn.pretext.export import export_run

    binary = is_binary(run)
    if beside is not None and binary:
        raise CamerabornError(f"--beside {beside}: a classifier stands alone: leave it out")
    network = export_binary(run) if binary else export_run(run, beside)
    faces = network.input_kind == "crop"
    if binary and side and len(set(side)) > 1:
        raise CamerabornError(
            f"--side {side[1]}: a head was trained on features of one size: give one --side"
        )
    usual = (network.side,) if faces else (256,) if binary else (256, 128)
    if faces and side and set(side) != {network.side}:
        raise CamerabornError(
            f"--side {side[0]}: the network was trained on crops of {network.side} pixels: leave it out"
        )
    sides = tuple(sorted(set(side or usual), reverse=True))
    info = BundleInfo(
        name=name or output.name,
        network=network.description,
        features=network.features,
        preprocessing=Preprocessing(
            input=network.input_kind,
            crop_scale=crop_scale or (network.crop_scale if faces else 1.5),
            sides=sides,
            smallest_side=smallest_side or (64 if faces else 160),
            antialias=network.antialias,
        ),
        tasks=network.tasks,
        manifest_sha256=network.manifest_sha256,
        licences={"code": "Apache-2.0", "weights": weights_licence, "data": data_licence},
        versions=software_versions(),
    )
    bundle = Bundle.of_network(info, network.onnx, network.weights, network.beside).with_seen(network.seen)
    if network.density_columns:
        columns = repeated(network.density_columns, network.features, len(sides))
        bundle = bundle.with_channel(Channel(name=PHOTOGRAPHS, kind=Density.kind, columns=columns))
    for channel in network.evidence:
        bundle = bundle.with_evidence(channel)
    if binary:
        bundle = bundle.with_combination({channel.name: None for channel in network.evidence})
    write_bundle(bundle, output)
    follows = f"calibrate PHOTOS --bundle {output}" if binary else f"fit PHOTOS --bundle {output} -o BUNDLE"
    say(f"{output}: exported; now 'cameraborn {follows}'")
