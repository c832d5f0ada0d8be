"""`cameraborn explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Context

from cameraborn.cli.common import (
    MOST,
    Argument,
    BundlePath,
    Evidence,
    Option,
    Overwrite,
    WholeImage,
    app,
    contradicting,
    say,
)
from cameraborn.files import Outputs
from cameraborn.library import load


@app.command()
def explain(
    context: Context,
    picture: Annotated[Path, Argument(metavar="PICTURE", help="Picture to explain.")],
    output: Annotated[
        Path, Option("--output", "-o", help="File to draw into: .png, .pdf or .svg.", dir_okay=False)
    ],
    face: Annotated[int, Option(min=0, max=MOST, help="Number of the face, as in the rows of score.")] = 0,
    bundle: BundlePath = None,
    evidence: Evidence = None,
    whole_image: WholeImage = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw what moved the score of one face, and where it lies among photographs.

    Example: cameraborn explain portrait.jpg -o why.png
    """
    from cameraborn.detect.detector import default_bundle
    from cameraborn.detect.explain import explain as explained
    from cameraborn.detect.explain_plot import plot_explanation

    face, whole_image = contradicting(context, face=face, whole_image=whole_image)
    Outputs(output, overwrite=overwrite).reads(picture, bundle or default_bundle())
    explanation = explained(load(bundle, evidence=evidence), picture, face=face, whole_image=whole_image)
    plot_explanation(explanation, output)
    say(f"{output}: drawn")
