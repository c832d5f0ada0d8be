"""`cameraborn train`, `export` and `import-checkpoint`: networks."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cameraborn.cli.common import (
    LARGEST_SIDE,
    Argument,
    NewBundle,
    NewName,
    Option,
    Overwrite,
    app,
    needs_torch,
    progress,
    say,
)
from cameraborn.cli.numbers import finite
from cameraborn.errors import CamerabornError, RecipeError
from cameraborn.files import Outputs

if TYPE_CHECKING:
    from cameraborn.train.export import ExportedNetwork


@app.command(epilog="Example: cameraborn train configs/tiny.toml -o runs/tiny")
def train(
    recipe: Annotated[
        Path, Argument(help="Recipe of the training, a TOML file; see configs/.", dir_okay=False)
    ],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the run.", show_default="runs/RECIPE", file_okay=False),
    ] = None,
    init: Annotated[
        Path | None,
        Option(
            help="Weights to start from: a run's, or a published checkpoint (see import-checkpoint).",
            show_default="the recipe's",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Train a network as a recipe says, or go on with a run that was interrupted.

    It continues from the last checkpoint, to the bit. On several accelerators or machines:
    torchrun --nproc-per-node 8 -m cameraborn train RECIPE.
    """
    needs_torch()
    from cameraborn.train.loop import Progress
    from cameraborn.train.processes import is_main
    from cameraborn.train.recipe import kind_of

    folder, kind = output or Path("runs") / recipe.stem, kind_of(recipe)
    run = _KINDS.get(kind, _pretext)(recipe, init)
    with progress("training", None) as advance:
        last = time.monotonic()

        def report(now: Progress) -> None:
            nonlocal last
            advance(now.step, now.steps)
            if not sys.stderr.isatty() and (time.monotonic() - last > 30 or now.step == now.steps):
                last = time.monotonic()
                loss = f"loss {now.loss:.4f}, " if math.isfinite(now.loss) else ""  # none was logged yet
                say(f"step {now.step}/{now.steps}, {loss}{now.seconds_left / 60:.1f} min left")

        figures = run(folder, report)
    if not is_main():
        return
    for figure, value in figures.items():
        if math.isfinite(value):
            print(f"{figure}: {value:.3f}")
    if kind == "rival":
        say(f'{folder}: trained; now name it in a benchmark: weights = ["{folder / "network.safetensors"}"]')
        return
    follows = "data reconstruct MANIFEST --autoencoders" if kind == "autoencoders" else "export"
    say(f"{folder}: trained; now 'cameraborn {follows} {folder} -o FOLDER'")


_Run = Callable[[Path, Callable[[Any], None]], dict[str, float]]  # of a folder and a report of progress


def _loop(objective: Any, settings: Any, init: Path | None, field: str = "init") -> _Run:  # noqa: ANN401 (training's)
    """The one loop with an objective; the command line's first weights take the place of the recipe's `field`."""
    from cameraborn.train import loop

    settings = settings if init is None else settings.model_copy(update={field: init})
    return partial(loop.train, objective, settings, notice=say)


def _pretext(recipe: Path, init: Path | None) -> _Run:
    """What runs a recipe of pretext training."""
    from cameraborn.pretext.objective import PretextObjective
    from cameraborn.pretext.recipe import Recipe

    return _loop(PretextObjective, Recipe.read(recipe), init)


def _binary(recipe: Path, init: Path | None) -> _Run:
    """What runs a binary detector's recipe."""
    from cameraborn.binary.objective import BinaryObjective
    from cameraborn.binary.recipe import BinaryRecipe

    return _loop(BinaryObjective, BinaryRecipe.read(recipe), init, "weights")


def _generators(recipe: Path, init: Path | None) -> _Run:
    """What runs the recipe of a detector of known generators."""
    from cameraborn.binary.generators import GeneratorsObjective
    from cameraborn.binary.generators_recipe import GeneratorsRecipe

    settings = GeneratorsRecipe.read(recipe)
    return lambda folder, report: _loop(partial(GeneratorsObjective, folder=folder), settings, init)(
        folder, report
    )


def _autoencoders(recipe: Path, init: Path | None) -> _Run:
    """What runs a recipe of autoencoders."""
    from cameraborn.pseudo.autoencoders import AutoencodersRecipe, train_autoencoders

    if init is not None:
        raise CamerabornError(f"--init {init}: autoencoders start from nothing: leave it out")
    return partial(train_autoencoders, AutoencodersRecipe.read(recipe))


def _rival(recipe: Path, init: Path | None) -> _Run:
    """What runs a rival's recipe."""
    from cameraborn.rivals.recipe import RivalRecipe
    from cameraborn.rivals.train import train_rival

    settings = RivalRecipe.read(recipe)
    more = () if init is None else (init,)
    return partial(train_rival, settings.model_copy(update={"weights": (*settings.weights, *more)}))


_KINDS: dict[str, Callable[[Path, Path | None], _Run]] = {
    "binary": _binary,
    "autoencoders": _autoencoders,
    "generators": _generators,
    "rival": _rival,
}


@app.command("import-checkpoint")
def import_checkpoint_(
    file: Annotated[
        Path, Argument(help="Published checkpoint, a file of torch or safetensors.", dir_okay=False)
    ],
    output: Annotated[
        Path,
        Option("--output", "-o", help="File of weights, .safetensors.", dir_okay=False),
    ],
    layout: Annotated[
        str,
        Option(
            help="Layout of the checkpoint: aigfd, blades, exif-as-language, sdaie, sdaie-binary, "
            "efficientnet-lite0, torchvision, timm, "
            "or auto, which tells these by the names in the file; or one of docs/rivals.md."
        ),
    ] = "auto",
    new_fc: Annotated[
        bool,
        Option("--new-fc", help="Replace the file's last layer by a fresh one to 768 features."),
    ] = False,
    sentences: Annotated[
        Path | None,
        Option(
            help="Table of the sentences that BLADES' text tower was taught (columns task, answer, sentence): it "
            "is kept too, for recipes with prompts.",
            show_default="none: the text tower is left behind",
            dir_okay=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a published checkpoint into weights to start from, or to score with.

    Reads AIGFD-EXIF, BLADES (OC, BC), SDAIE, EXIF-as-Language, EfficientNet-Lite0, ResNet-50 of torchvision and timm,
    and the rivals and encoders of docs/rivals.md. Nothing in the file is run; a name in it that is not known, or one
    that is missing, is an error.

    Example: cameraborn import-checkpoint BC.pth -o blades.safetensors
    """
    needs_torch()
    from cameraborn import rivals
    from cameraborn.data.manifest import sha256_of
    from cameraborn.pretext.prompts import OURS, read_sentences
    from cameraborn.train.run_folder import write_tensors
    from cameraborn.train.weights import ENDING, import_checkpoint, is_of_a_layout

    if output.suffix != ENDING:
        raise CamerabornError(
            f"{output}: weights are written as safetensors, and read by their ending: end it in {ENDING}"
        )
    Outputs(output, overwrite=overwrite).reads(file, sentences)
    if layout in rivals.LAYOUTS:
        for option, given in (("new-fc", new_fc), ("sentences", sentences is not None)):
            if given:
                raise CamerabornError(
                    f"--{option}: not for layout {layout}, whose layers are all kept: leave it out"
                )
        _import_of_rivals(file, layout, output)
        return
    _known_layout(layout)
    known = read_sentences(sentences) if sentences is not None else None
    try:
        imported = import_checkpoint(file, layout, new_fc=new_fc, text=known is not None)
    except RecipeError as error:
        if layout == "auto" and (line := _rivals_layout(file)):
            ours = is_of_a_layout(file)  # but for its last layer
            raise RecipeError(f"{error}; or, for a rival: {line}" if ours else f"{file}: {line}") from error
        raise
    if imported.layout == "cameraborn":
        raise CamerabornError(
            f"{file}: weights of a run, which stand beside the record of what they have seen: give 'train --init' or "
            "'export' the file where it is"
        )
    if known is not None and not any(name.startswith("heads.text.") for name in imported.tensors):
        raise CamerabornError(f"--sentences: {file} holds no text tower of BLADES: leave it out")
    output.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"layout": imported.layout, "sha256": sha256_of(file)}
    write_tensors(imported.tensors, output, metadata | ({"sentences": json.dumps(known)} if known else {}))
    heads = sorted({name.split(".")[1] for name in imported.tensors if not name.startswith("encoder.")})
    say(
        f"{output}: {imported.layout}, an encoder"
        + (f" and {', '.join(heads)}" if heads else "")
        + f"; {len(imported.dropped)} other tensors left behind; now 'cameraborn train RECIPE --init {output}', "
        f"or 'cameraborn export {output} --recipe RECIPE -o BUNDLE'"
    )
    if imported.layout == "blades" and known is None:
        say(f"{output}: without its text tower; {OURS}")


def _import_of_rivals(file: Path, layout: str, output: Path) -> None:
    from cameraborn.rivals.weights import import_published, write_imported

    imported = import_published(file, layout)
    write_imported(imported, output)
    say(
        f"{output}: {imported.network}, from a file of sha256 {imported.sha256}; now name it in a benchmark or a "
        f'recipe: weights = ["{output}"]'
    )
    if imported.notice:
        say(imported.notice)


def _rivals_layout(file: Path) -> str:
    """Which layout of rivals the keys of a file are those of, in a line; or nothing."""
    from cameraborn.rivals.weights import layouts_with_keys_of

    found = layouts_with_keys_of(file)
    if len(found) > 1:
        return f"its keys are those of layouts {', '.join(found)}: give the one that it was published in as --layout"
    return f"its keys are those of layout {found[0]}: give --layout {found[0]}" if found else ""


def _known_layout(layout: str) -> None:
    from cameraborn import rivals
    from cameraborn.registry import unknown_name
    from cameraborn.train.weights import LAYOUTS

    if layout not in (known := (*LAYOUTS, "auto")):
        raise CamerabornError(unknown_name("layout", layout, (*known, *rivals.LAYOUTS)))


def _of_run(run: Path, second_encoder: Path | None) -> ExportedNetwork:
    from cameraborn.binary.export import export_binary, is_binary, refuse_rival
    from cameraborn.pretext.export import export_run

    refuse_rival(run)
    if not is_binary(run):
        return export_run(run, second_encoder)
    if second_encoder is not None:
        raise CamerabornError(
            f"--second-encoder {second_encoder}: a binary detector stands alone: leave it out"
        )
    return export_binary(run)


def _of_checkpoint(file: Path, recipe: Path | None, layout: str, new_fc: bool) -> ExportedNetwork:
    from cameraborn.binary.export import export_binary_checkpoint
    from cameraborn.binary.recipe import BinaryRecipe
    from cameraborn.pretext.export_checkpoint import export_checkpoint
    from cameraborn.pretext.recipe import Recipe
    from cameraborn.train.recipe import kind_of

    _known_layout(layout)
    if recipe is None:
        raise CamerabornError(
            f"{file}: a checkpoint does not say how faces are cut: give its --recipe, see configs/"
        )
    if (kind := kind_of(recipe)) == "generators":
        raise CamerabornError(f"{recipe}: a detector of generators is exported from its run: give the folder")
    if kind == "binary":
        return export_binary_checkpoint(file, BinaryRecipe.read(recipe), layout)
    return export_checkpoint(file, Recipe.read(recipe), layout, new_fc=new_fc)


@app.command()
def export(
    run: Annotated[
        Path,
        Argument(
            metavar="RUN",
            help="Folder of a finished run; or a checkpoint, published or imported, and its --recipe.",
        ),
    ],
    output: NewBundle,
    recipe: Annotated[
        Path | None,
        Option(
            help="Recipe of a checkpoint: its network, how faces are cut, and a kind, if it is binary.",
            show_default="the run's own",
            dir_okay=False,
        ),
    ] = None,
    layout: Annotated[
        str,
        Option(help="Layout of a checkpoint, see import-checkpoint."),
    ] = "auto",
    new_fc: Annotated[
        bool,
        Option("--new-fc", help="Replace a checkpoint's last layer by a fresh one to 768 features."),
    ] = False,
    second_encoder: Annotated[
        Path | None,
        Option(
            help="Folder of another finished run of patches, whose features are appended.", file_okay=False
        ),
    ] = None,
    name: NewName = None,
    crop_scale: Annotated[
        float | None,
        Option(
            callback=finite,
            help="Side of the crop over the longer side of the face.",
            show_default="1.5; for a network of faces, the recipe's",
        ),
    ] = None,
    side: Annotated[
        list[int] | None,
        Option(
            min=64,
            max=LARGEST_SIDE,
            help="Side that crops are shrunk to, pixels; may be repeated.",
            show_default="256 and 128; for a binary detector, 256; for a network of faces, the recipe's",
        ),
    ] = None,
    smallest_side: Annotated[
        int | None,
        Option(
            min=64,
            max=LARGEST_SIDE,
            help="Smallest side of a crop that is scored, pixels.",
            show_default="160; for a network of faces, 64",
        ),
    ] = None,
    unit_length: Annotated[
        bool | None,
        Option(
            "--unit-length/--any-length",
            help="Divide features by their length, or do not.",
            show_default="as BLADES does, for its networks alone",
        ),
    ] = None,
    small: Annotated[
        bool,
        Option(
            "--small",
            help="Keep the network in half precision and nothing to train on from: a fourth of the size or less.",
        ),
    ] = False,
    weights_licence: Annotated[str, Option(help="Licence of the weights, for the card.")] = "not stated",
    data_licence: Annotated[
        str, Option(help="Licence and origin of the photographs, for the card.")
    ] = "not stated",
    overwrite: Overwrite = False,
) -> None:
    """Make a bundle of a trained network, which is fitted and calibrated next.

    The data that it was trained on need not be there any more: the run recorded what it learnt from. What a published
    checkpoint has seen is not known: keep its training pictures out of calibration and tests yourself.

    Example: the detector of a published checkpoint.

    \b
      cameraborn export OC.pth --recipe configs/blades_paper.toml -o blades
    """
    needs_torch()
    from cameraborn.train.export import BundleOptions, write_exported

    Outputs(output, overwrite=overwrite).reads(run, second_encoder, recipe)
    if run.is_dir():
        for option, given in (("recipe", recipe), ("layout", layout != "auto"), ("new-fc", new_fc)):
            if given:
                raise CamerabornError(f"--{option}: {run} is a run, which has its own: leave it out")
        network = _of_run(run, second_encoder)
    else:
        if second_encoder is not None:
            raise CamerabornError(
                f"--second-encoder {second_encoder}: a checkpoint stands alone: leave it out"
            )
        network = _of_checkpoint(run, recipe, layout, new_fc)
    options = BundleOptions(
        name=name or output.name,
        crop_scale=crop_scale,
        sides=tuple(side or ()),
        smallest_side=smallest_side,
        unit_length=unit_length,
        licences={"weights": weights_licence, "data": data_licence},
    )
    write_exported(network.small if small else network, options, output)
    follows = (
        f"calibrate PHOTOS --bundle {output}"
        if network.is_binary
        else f"fit PHOTOS --bundle {output} -o BUNDLE"
    )
    unknown = "" if network.seen else "what it has seen is not known; "
    say(f"{output}: exported; {unknown}now 'cameraborn {follows}'")
