"""`cameraborn fit`, `calibrate` and `verify`: the model of photographs in a bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import BadParameter

from cameraborn.cli.common import (
    Argument,
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
    say,
)
from cameraborn.detect.bundle import read_bundle, write_bundle
from cameraborn.detect.conformal import describe_class, smallest_rate
from cameraborn.detect.detector import default_bundle, load
from cameraborn.detect.evidence.em import Covariance


@app.command()
def fit(
    photos: Photos,
    output: Annotated[Path, Option("--output", "-o", help="Folder of the new bundle.", file_okay=False)],
    bundle: BundlePath = None,
    name: Annotated[str | None, Option(help="Name of the new bundle.", show_default="its folder's")] = None,
    components: Annotated[
        str,
        Option(
            metavar="<int or auto>",
            help="Gaussians in the mixture; auto takes the number under which held-out photographs are likeliest.",
        ),
    ] = "1",
    dimensions: Annotated[
        int, Option(min=0, help="Principal components kept; 0 models the features as they are.")
    ] = 32,
    covariance: Annotated[
        Covariance, Option(help="A matrix each, one for all, or variances.")
    ] = Covariance.full,
    shrinkage: Annotated[
        float, Option(min=0, max=1, help="Of the covariances towards a sphere, when photographs are few.")
    ] = 0,
    copies: Annotated[
        int, Option(min=0, help="Randomly shrunk and recompressed copies of each photograph.")
    ] = 4,
    handled: Annotated[
        bool,
        Option(
            "--handled",
            help="Copies that were enlarged, blurred, sharpened or given noise as well, as in calibrate.",
        ),
    ] = False,
    whole_image: WholeImage = False,
    faceless: Annotated[
        bool,
        Option(
            "--faceless", help="Take the middle of photographs that show no face instead of leaving them out."
        ),
    ] = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Of the random copies.")] = 0,
) -> None:
    """Model your own photographs: fit the mixture of a bundle to them."""
    from cameraborn.fit import learn

    options = learn.LearnOptions(
        whole_image=whole_image, copies=copies, handled=handled, faceless=faceless, jobs=jobs, seed=seed
    )
    with learning("fitting") as report:
        fitted = learn.fit(
            read_bundle(bundle or default_bundle()),
            learn.at_most(learn.find_photographs(photos, split=split, kinds=kind or ()), per_source),
            components=_count_or_auto(components),
            dimensions=dimensions or None,
            covariance=covariance,
            shrinkage=shrinkage,
            options=options,
            report=report,
        )
    info = fitted.info.model_copy(update={"name": name or output.name})
    write_bundle(info, fitted.files, output)
    say(
        f"{output}: mixture fitted ({len(fitted.mixture.weights)} Gaussian(s)); now "
        f"'cameraborn calibrate PHOTOS --bundle {output}', with photographs that were not fitted to"
    )


@app.command()
def calibrate(
    photos: Photos,
    bundle: Annotated[Path, Option("--bundle", help="Fitted bundle, a folder or zip.")],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the new bundle.", file_okay=False, show_default="--bundle"),
    ] = None,
    copies: Annotated[
        int,
        Option(min=0, help="Randomly delivered copies of each photograph, beside the photograph as it is."),
    ] = 24,
    class_size: Annotated[
        int, Option(min=1, help="Photographs that a class of condition needs; smaller classes are merged.")
    ] = 60,
    two_sided: Annotated[
        bool, Option("--two-sided", help="Take a likelihood that is too high for suspicious too.")
    ] = False,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = sys.maxsize,
    jobs: Jobs = None,
    seed: Annotated[int, Option(help="Of the random conditions.")] = 0,
) -> None:
    """Measure held-out photographs, so that p-values hold."""
    from cameraborn.fit import learn

    options = learn.LearnOptions(whole_image=whole_image, copies=copies, jobs=jobs, seed=seed)
    with learning("calibrating") as report:
        calibrated = learn.calibrate(
            read_bundle(bundle),
            learn.at_most(learn.find_photographs(photos, split=split, kinds=kind or ()), per_source),
            options=options,
            class_size=class_size,
            tail="both" if two_sided else "upper",
            report=report,
        )
    write_bundle(calibrated.info, calibrated.files, output or bundle)
    calibration = calibrated.calibration
    for cells, scores in zip(calibration.classes, calibration.scores, strict=True):
        say(f"{len(scores)} photographs stand for {describe_class(cells, calibration.grid)}")
    lowest = smallest_rate(calibration.smallest, calibration.tail)
    say(f"{output or bundle}: calibrated; false-alarm rates from {lowest:.2g} can be asked for")


@app.command()
def verify(
    bundle: Annotated[
        Path | None, Argument(help="Bundle, a folder or zip.", show_default="the one that ships")
    ] = None,
) -> None:
    """Check that a bundle is whole and scores here as at its maker's."""
    detector = load(bundle, verify=True)
    info = detector.bundle.info
    print(f"{info.name}: whole; {len(detector.bundle.golden)} golden pictures score as recorded")


def _count_or_auto(text: str) -> int | None:
    if text == "auto":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise BadParameter(f"{text!r} is neither a number from 1 nor auto.", param_hint="--components")
