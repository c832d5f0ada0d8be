"""`cameraborn weights`: how the tasks' weights went over training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cameraborn.cli.common import Argument, Option, Overwrite, app, needs_matplotlib, needs_torch, say
from cameraborn.files import Outputs


@app.command()
def weights(
    run: Annotated[
        Path, Argument(help="Folder of a run whose recipe has a section [bilevel].", file_okay=False)
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="File of the plot (.png, .svg, .pdf).",
            show_default="RUN/weights.png",
            dir_okay=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Plot the tasks' weights over training, learnt by bi-level optimisation.

    Example: cameraborn weights runs/joint_cpu
    """
    needs_torch()
    needs_matplotlib()
    from cameraborn.pretext.weights_plot import draw_weights

    Outputs(output, overwrite=overwrite).reads(run)  # without -o the picture is the run's own
    picture = output or run / "weights.png"
    draw_weights(run / "log.jsonl", picture)
    say(f"{picture}: drawn")
