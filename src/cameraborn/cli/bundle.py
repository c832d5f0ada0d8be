"""`cameraborn verify`, `convert` and `merge`: bundles as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import BadParameter

from cameraborn.cli.common import Argument, NewBundle, NewName, Option, Overwrite, app, number_of, say
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.files import Outputs
from cameraborn.library import load


@app.command()
def verify(
    bundle: Annotated[
        Path | None, Argument(help="Bundle to check, a folder or zip.", show_default="the one that ships")
    ] = None,
) -> None:
    """Check that a bundle is whole and scores here as at its maker's.

    Example: cameraborn verify my-bundle
    """
    detector = load(bundle, verify=True)
    info = detector.bundle.info
    print(f"{info.name}: whole; {len(detector.bundle.golden)} golden pictures score as recorded")


@app.command()
def convert(
    old: Annotated[Path, Argument(metavar="OLD", help="Bundle of an older release, a folder or zip.")],
    output: NewBundle,
    overwrite: Overwrite = False,
) -> None:
    """Convert a bundle of an older release (schema 2 or 3) to this one; its scores stay what they are.

    Example: cameraborn convert old-bundle -o new-bundle
    """
    from cameraborn.detect.convert import convert_bundle

    Outputs(output, overwrite=overwrite).reads(old)
    converted = convert_bundle(old)
    write_bundle(converted, output)
    load(output, verify="golden.json" in converted.files)
    say(f"{output}: converted")


@app.command()
def merge(
    bundles: Annotated[
        list[Path],
        Argument(metavar="BUNDLE...", help="Fitted bundles, folders or zips; the first one leads."),
    ],
    output: NewBundle,
    name: NewName = None,
    score_by: Annotated[
        list[str] | None,
        Option(
            metavar="CHANNEL[=WEIGHT]",
            help="Channel that makes the score, and its weight there; may be repeated. "
            "The others are reported next to it.",
            show_default="all that made one",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Put the evidence of several bundles into one, to be calibrated again.

    Example: cameraborn merge one-bundle another-bundle -o both
    """
    from cameraborn.detect.merge import merge as merged_of

    if len(bundles) < 2:
        raise BadParameter("give two bundles or more.", param_hint="BUNDLE...")
    Outputs(output, overwrite=overwrite).reads(*bundles)
    merged = merged_of([read_bundle(bundle) for bundle in bundles], _weights(score_by or ()))
    write_bundle(merged.with_info(name=name or output.name), output)
    say(
        f"{output}: holds {', '.join(channel.name for channel in merged.evidence)}; now "
        f"'cameraborn calibrate PHOTOS --bundle {output}', with photographs that none of them has seen"
    )


def _weights(texts: Sequence[str]) -> dict[str, float | None]:
    """The weight of each channel of a score, as `NAME` or `NAME=WEIGHT`."""
    weights: dict[str, float | None] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if name in weights:
            raise BadParameter(f"channel {name!r} is given twice.", param_hint="--score-by")
        weights[name] = number_of(number) if equals else None
        if equals and not 0 < number_of(number) < math.inf:
            raise BadParameter(f"{number!r} is no weight: give a number above 0.", param_hint="--score-by")
    return weights
