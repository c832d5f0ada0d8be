"""`cameraborn train` and `export`: networks."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

from cameraborn.cli.common import Argument, Option, app, needs_torch, progress, say
from cameraborn.detect.bundle import BundleInfo, Preprocessing, write_bundle


@app.command()
def train(
    recipe: Annotated[Path, Argument(help="TOML file, see configs/.", dir_okay=False)],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the run.", show_default="runs/RECIPE", file_okay=False),
    ] = None,
) -> None:
    """Train a network as a recipe says, or go on with it.

    An interrupted run continues from its last checkpoint, to the bit.
    """
    needs_torch()
    from cameraborn.pretext.recipe import read_recipe
    from cameraborn.pretext.train import Progress as Step
    from cameraborn.pretext.train import train as run

    folder = output or Path("runs") / recipe.stem
    settings = read_recipe(recipe)
    with progress("training", settings.optimise.steps) as advance:
        last = time.monotonic()

        def report(step: Step) -> None:
            nonlocal last
            advance(step.step)
            if not sys.stderr.isatty() and (time.monotonic() - last > 30 or step.step == step.steps):
                last = time.monotonic()
                say(
                    f"step {step.step}/{step.steps}, loss {step.loss:.4f}, "
                    f"{step.seconds_left / 60:.1f} min left"
                )

        figures = run(settings, folder, report)
    for figure, value in figures.items():
        print(f"{figure}: {value:.3f}")
    say(f"{folder}: trained; now 'cameraborn export {folder} -o BUNDLE'")


@app.command()
def export(
    run: Annotated[Path, Argument(help="Folder of a finished run.", file_okay=False)],
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    name: Annotated[str | None, Option(help="Name of the bundle.", show_default="its folder's")] = None,
    crop_scale: Annotated[float, Option(help="Side of the crop over the longer side of the face.")] = 1.5,
    side: Annotated[
        list[int] | None,
        Option(min=64, help="Size crops are shrunk to, pixels; may be repeated.", show_default="256 and 128"),
    ] = None,
    smallest_side: Annotated[int, Option(min=64, help="Smaller crops are too small to judge, pixels.")] = 160,
    weights_licence: Annotated[str, Option(help="Licence of the weights, for the card.")] = "not stated",
    data_licence: Annotated[
        str, Option(help="Licence and origin of the photographs, for the card.")
    ] = "not stated",
) -> None:
    """Make a bundle of a trained network; fit and calibrate come next."""
    needs_torch()
    from cameraborn.detect.learn import seen_file, software_versions
    from cameraborn.pretext.export import export_run

    network = export_run(run)
    info = BundleInfo(
        name=name or output.name,
        network=network.description,
        features=network.features,
        preprocessing=Preprocessing(
            crop_scale=crop_scale,
            sides=tuple(sorted(set(side or (256, 128)), reverse=True)),
            smallest_side=smallest_side,
        ),
        tasks=network.tasks,
        manifest_sha256=network.manifest_sha256,
        licences={"code": "Apache-2.0", "weights": weights_licence, "data": data_licence},
        versions=software_versions(),
    )
    files = {
        "network.onnx": network.onnx,
        "weights.safetensors": network.weights,
        "seen.txt": seen_file(network.seen),
    }
    write_bundle(info, files, output)
    say(f"{output}: exported; now 'cameraborn fit PHOTOS --bundle {output} -o BUNDLE'")
