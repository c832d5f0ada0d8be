"""`cameraborn fit-binary`: a detector that has also seen generated pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cameraborn.cli.common import (
    BundlePath,
    Jobs,
    Kind,
    Option,
    PerSource,
    Photos,
    Split,
    WholeImage,
    app,
    learning,
    needs_torch,
    say,
)
from cameraborn.detect.bundle import read_bundle, write_bundle
from cameraborn.detect.detector import default_bundle


@app.command("fit-binary")
def fit_binary(
    photos: Photos,
    generated: Annotated[
        list[Path],
        Option(
            "--generated",
            metavar="PATH",
            help="Generated pictures: a file, folder or manifest (rows labelled so); may be repeated.",
        ),
    ],
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    bundle: BundlePath = None,
    name: Annotated[str | None, Option(help="Name of the new bundle.", show_default="its folder's")] = None,
    pseudo_outliers: Annotated[
        float,
        Option(metavar="SHARE", help="Share of the photographs, the least likely, that count as generated."),
    ] = 0.05,
    components: Annotated[int, Option(min=1, help="Gaussians in the mixture that says how likely.")] = 10,
    dimensions: Annotated[int, Option(min=1, help="Principal components kept for it.")] = 32,
    copies: Annotated[
        int, Option(min=0, help="Randomly shrunk and recompressed copies of each picture.")
    ] = 4,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    generated_split: Annotated[
        str, Option(help="Only generated rows of this split.", show_default="every split")
    ] = "",
    generated_kind: Annotated[
        list[str] | None, Option(help="Only generated rows of this kind; may be repeated.")
    ] = None,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Of the random copies and the training.")] = 0,
) -> None:
    """Train a two-layer head on a bundle's features: photographs against generated pictures.

    It finds what it has seen better than a mixture does, and may miss what it has not.
    """
    needs_torch()
    from cameraborn.binary import fit
    from cameraborn.binary.perceptron import PerceptronOptions
    from cameraborn.fit import learn

    with learning("looking") as report:
        fitted = fit.fit_binary(
            read_bundle(bundle or default_bundle()),
            learn.at_most(learn.find_photographs(photos, split=split, kinds=kind or ()), per_source),
            fit.find_generated(generated, split=generated_split, kinds=generated_kind or ()),
            components=components,
            dimensions=dimensions,
            perceptron=PerceptronOptions(pseudo_outliers=pseudo_outliers, seed=seed),
            options=learn.LearnOptions(whole_image=whole_image, copies=copies, jobs=jobs, seed=seed),
            report=report,
        )
    write_bundle(fitted.info.model_copy(update={"name": name or output.name}), fitted.files, output)
    say(
        f"{output}: head trained; now 'cameraborn calibrate PHOTOS --bundle {output}', "
        "with photographs that were not trained on"
    )
