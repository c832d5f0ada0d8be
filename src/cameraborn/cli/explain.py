"""`cameraborn explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cameraborn.cli.common import Argument, BundlePath, Option, WholeImage, app, say
from cameraborn.detect.detector import load


@app.command()
def explain(
    picture: Annotated[Path, Argument(metavar="PICTURE", help="The picture to explain.")],
    output: Annotated[
        Path, Option("--output", "-o", help="File to draw into: .png, .pdf or .svg.", dir_okay=False)
    ],
    face: Annotated[int, Option(min=0, help="Number of the face, as score gives it.")] = 0,
    bundle: BundlePath = None,
    whole_image: WholeImage = False,
) -> None:
    """Draw what moved the score of one face, and where it lies among photographs."""
    from cameraborn.detect.explain import explain as explained
    from cameraborn.detect.explain_plot import portray

    explanation = explained(load(bundle), picture, face=face, whole_image=whole_image)
    portray(explanation, output)
    say(f"{output}: drawn")
