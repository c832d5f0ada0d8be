"""`cameraborn fit-binary`: a detector that has also seen generated pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cameraborn.cli.common import (
    BundlePath,
    Jobs,
    Kind,
    NewBundle,
    NewName,
    Option,
    PerSource,
    Photos,
    Split,
    WholeImage,
    app,
    needs_torch,
    reporting,
    say,
)
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle, write_bundle


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
    output: NewBundle,
    bundle: BundlePath = None,
    name: NewName = None,
    pseudo_outliers: Annotated[
        float,
        Option(metavar="SHARE", help="Share of the photographs, the least likely, that count as generated."),
    ] = 0.05,
    components: Annotated[
        int, Option(min=1, help="Number of Gaussians in the mixture that tells how likely a photograph is.")
    ] = 10,
    dimensions: Annotated[
        int, Option(min=1, help="Number of principal components kept for the mixture.")
    ] = 32,
    copies: Annotated[
        int, Option(min=0, help="Number of randomly shrunk and recompressed copies of each picture.")
    ] = 4,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    generated_split: Annotated[
        str, Option(help="Split of the generated rows to take.", show_default="every split")
    ] = "",
    generated_kind: Annotated[
        list[str] | None, Option(help="Kind of the generated rows to take; may be repeated.")
    ] = None,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Random seed of the copies and of the training.")] = 0,
) -> None:
    """Train a two-layer classifier on a bundle's features: photographs against generated pictures.

    It finds what it has seen better than a mixture does, and may miss what it has not.
    """
    needs_torch()
    from cameraborn.binary import fit
    from cameraborn.binary.perceptron import PerceptronOptions
    from cameraborn.fit.photographs import cap_per_source, find_generated, find_photographs
    from cameraborn.fit.views import ViewOptions

    with reporting("encoding", "photographs") as report:
        fitted = fit.fit_binary(
            read_bundle(bundle or default_bundle()),
            cap_per_source(find_photographs(photos, split=split, kinds=kind or ()), per_source),
            find_generated(generated, split=generated_split, kinds=generated_kind or ()),
            components=components,
            dimensions=dimensions,
            perceptron=PerceptronOptions(pseudo_outliers=pseudo_outliers, seed=seed),
            options=ViewOptions(whole_image=whole_image, copies=copies, jobs=jobs, seed=seed),
            report=report,
        )
    write_bundle(fitted.with_info(name=name or output.name), output)
    say(
        f"{output}: classifier trained; now 'cameraborn calibrate PHOTOS --bundle {output}', "
        "with photographs that were not trained on"
    )
