"""`cameraborn fit`, `fit-binary` and `calibrate`: evidence for bundles, learnt from photographs."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Annotated

from typer import BadParameter, Context

from cameraborn.cli.common import (
    LARGEST,
    MOST,
    BundlePath,
    Engine,
    EngineName,
    Jobs,
    Kind,
    NewBundle,
    NewName,
    Option,
    Overwrite,
    PerSource,
    Photos,
    Split,
    WholeImage,
    app,
    contradicting,
    jobs_of,
    meaningless,
    needs_torch,
    passed_over,
    reporting,
    say,
    seed_of,
)
from cameraborn.cli.keep import kept_views, part_of_views
from cameraborn.cli.numbers import finite
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.evidence.em import Covariance
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import CamerabornError, OverwriteError, counted
from cameraborn.files import Outputs
from cameraborn.photo.sniff import Census

CopiesSeed = Annotated[int, seed_of("the copies")]
path_of = attrgetter("path")


@app.command()
def fit(
    context: Context,
    photos: Photos,
    output: NewBundle,
    bundle: BundlePath = None,
    name: NewName = None,
    components: Annotated[
        str,
        Option(
            metavar="<int or auto>",
            help="Number of Gaussians in the mixture; auto: the one under which held-out photographs are likeliest.",
        ),
    ] = "1",
    dimensions: Annotated[
        int,
        Option(
            min=0, max=MOST, help="Number of principal components kept; 0 models the features as they are."
        ),
    ] = 32,
    covariance: Annotated[
        Covariance, Option(help="Covariances: a matrix each, one for all, or variances alone.")
    ] = Covariance.full,
    shrinkage: Annotated[
        float,
        Option(
            min=0,
            max=1,
            callback=finite,
            help="Shrinkage of the covariances towards a sphere, when photographs are few.",
        ),
    ] = 0,
    copies: Annotated[
        int,
        Option(min=0, max=MOST, help="Number of randomly shrunk and recompressed copies of each photograph."),
    ] = 4,
    operations: Annotated[
        bool,
        Option(
            "--operations",
            help="Also enlarge, blur, sharpen and add noise to the copies, as calibrate does.",
        ),
    ] = False,
    whole_image: WholeImage = False,
    faceless: Annotated[
        bool,
        Option(
            "--faceless", help="Take the middle of photographs without a face instead of leaving them out."
        ),
    ] = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = LARGEST,
    jobs: Jobs = None,
    engine: EngineName = Engine.local,
    seed: CopiesSeed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Model your own photographs: fit the density of a bundle to them; its other channels of evidence stay.

    What was done is kept in OUTPUT.views.part: after an interruption, the same command goes on from there.

    Example: cameraborn fit my-photos/ -o my-bundle
    """
    from cameraborn.fit import density, photographs, views

    _refuse_filters(context, photos, "split", "kind")
    whole_image, faceless = contradicting(context, whole_image=whole_image, faceless=faceless)
    if not copies:
        (operations,) = meaningless(context, "without copies", "operations")
    outputs = Outputs(output, overwrite=overwrite)
    bundle = bundle or default_bundle()
    outputs.reads(bundle, *photos)
    options = views.ViewOptions(
        whole_image=whole_image,
        copies=copies,
        operations=operations,
        faceless=faceless,
        jobs=jobs_of(engine, jobs),
        seed=seed,
    )
    census = Census()
    found = photographs.find_photographs(photos, split=split, kinds=kind or (), census=census)
    chosen = list(photographs.cap_per_source(outputs.watched(found, path_of), per_source))
    start = read_bundle(bundle)
    with kept_views("fit", start, output, options, overwrite=overwrite) as journal:
        with reporting("fitting", "photograph", len(chosen)) as report:
            fitted = density.fit(
                start,
                chosen,
                components=_count_or_auto(components),
                dimensions=dimensions or None,
                covariance=covariance,
                shrinkage=shrinkage,
                options=options,
                report=report,
                journal=journal,
            )
        passed_over(census)
        write_bundle(fitted.with_info(name=name or output.name), output)
    say(
        f"{output}: evidence fitted ({', '.join(channel.name for channel in fitted.evidence)}); now "
        f"'cameraborn calibrate PHOTOS --bundle {output}', with photographs that were not fitted to"
    )


@app.command("fit-binary")
def fit_binary(
    context: Context,
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
        Option(
            metavar="SHARE",
            callback=finite,
            help="Share of the photographs, the least likely, that count as generated.",
        ),
    ] = 0.05,
    components: Annotated[
        int,
        Option(
            min=1, max=MOST, help="Number of Gaussians in the mixture that tells how likely a photograph is."
        ),
    ] = 10,
    dimensions: Annotated[
        int, Option(min=1, max=MOST, help="Number of principal components kept for the mixture.")
    ] = 32,
    copies: Annotated[
        int,
        Option(min=0, max=MOST, help="Number of randomly shrunk and recompressed copies of each picture."),
    ] = 4,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = LARGEST,
    generated_split: Annotated[
        str, Option(help="Split of the generated rows to take.", show_default="every split")
    ] = "",
    generated_kind: Annotated[
        list[str] | None, Option(help="Kind of the generated rows to take; may be repeated.")
    ] = None,
    jobs: Jobs = None,
    engine: EngineName = Engine.local,
    seed: Annotated[int, seed_of("the copies and of the training")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train a two-layer classifier on a bundle's features: photographs against generated pictures.

    It finds what it has seen better than a mixture does, and may miss what it has not.

    Example: cameraborn fit-binary photos/ --generated fakes/ -o my-bundle
    """
    needs_torch()
    from cameraborn.binary import fit
    from cameraborn.binary.perceptron import PerceptronOptions
    from cameraborn.fit.photographs import cap_per_source, find_generated, find_photographs
    from cameraborn.fit.views import ViewOptions

    _refuse_filters(context, photos, "split", "kind")
    _refuse_filters(context, generated, "generated_split", "generated_kind")
    outputs = Outputs(output, overwrite=overwrite)
    bundle = bundle or default_bundle()
    outputs.reads(bundle, *photos, *generated)
    census = Census()
    found = find_photographs(photos, split=split, kinds=kind or (), census=census)
    genuine = list(cap_per_source(outputs.watched(found, path_of), per_source))
    found = find_generated(generated, split=generated_split, kinds=generated_kind or (), census=census)
    fakes = list(outputs.watched(found, path_of))
    start = read_bundle(bundle)
    options = ViewOptions(whole_image=whole_image, copies=copies, jobs=jobs_of(engine, jobs), seed=seed)
    with kept_views("fit-binary", start, output, options, overwrite=overwrite) as journal:
        with reporting("encoding", "picture", len(genuine) + len(fakes)) as report:
            fitted = fit.fit_binary(
                start,
                genuine,
                fakes,
                components=components,
                dimensions=dimensions,
                perceptron=PerceptronOptions(pseudo_outliers=pseudo_outliers, seed=seed),
                options=options,
                report=report,
                journal=journal,
            )
        passed_over(census)
        write_bundle(fitted.with_info(name=name or output.name), output)
    say(
        f"{output}: classifier trained; now 'cameraborn calibrate PHOTOS --bundle {output}', "
        "with photographs that were not trained on"
    )


@app.command()
def calibrate(
    context: Context,
    photos: Photos,
    bundle: Annotated[
        Path | None,
        Option(
            "--bundle", help="Fitted bundle to calibrate, a folder or zip.", show_default="the one that ships"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Folder of the new bundle.", file_okay=False, show_default="--bundle"),
    ] = None,
    copies: Annotated[
        int,
        Option(
            min=0,
            max=MOST,
            help="Number of randomly processed copies of each photograph, in addition to it as it is.",
        ),
    ] = 24,
    class_size: Annotated[
        int,
        Option(
            min=1,
            max=MOST,
            help="Number of photographs that a category of condition needs; smaller ones are merged.",
        ),
    ] = 60,
    apart: Annotated[
        list[Path] | None,
        Option(
            "--apart",
            help="Bundle that differs only in being fitted without some photographs, which it then judges "
            "instead, so that they can calibrate too; may be repeated.",
            metavar="BUNDLE",
        ),
    ] = None,
    two_sided: Annotated[
        bool, Option("--two-sided", help="Flag a likelihood that is too high as well.")
    ] = False,
    whole_image: WholeImage = False,
    split: Split = "",
    kind: Kind = None,
    per_source: PerSource = LARGEST,
    jobs: Jobs = None,
    engine: EngineName = Engine.local,
    seed: CopiesSeed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Measure held-out photographs, so that p-values hold.

    What was done is kept in OUTPUT.views.part: after an interruption, the same command goes on from there.

    Example: cameraborn calibrate my-photos/ -o my-bundle
    """
    from cameraborn.fit import calibrate as calibration_of
    from cameraborn.fit import photographs, views

    _refuse_filters(context, photos, "split", "kind")
    if bundle is None and output is None:
        raise BadParameter(
            "give the new bundle's folder; the bundle that ships stays.", param_hint="--output"
        )
    bundle = bundle or default_bundle()
    if output is None and not bundle.is_dir() and bundle.exists():
        raise CamerabornError(
            f"{bundle}: a zip is not changed in place: give the new bundle's folder with -o"
        )
    outputs = Outputs(output, filled=bundle if output is None else None, overwrite=overwrite)
    outputs.reads(None if output is None else bundle, *photos, *(apart or ()))
    options = views.ViewOptions(whole_image=whole_image, copies=copies, jobs=jobs_of(engine, jobs), seed=seed)
    census = Census()
    found = photographs.find_photographs(photos, split=split, kinds=kind or (), census=census)
    chosen = list(photographs.cap_per_source(outputs.watched(found, path_of), per_source))
    start, target = read_bundle(bundle), output or bundle
    others = [read_bundle(other) for other in apart or ()]
    would_lose = output is None and start.info.coverage is not None and not part_of_views(bundle).exists()
    if would_lose and not overwrite:
        raise OverwriteError(f"{bundle}: is calibrated already: give -o, or --overwrite to calibrate it anew")
    with kept_views("calibrate", start, target, options, overwrite=overwrite) as journal:
        with reporting("looking", "photograph", len(chosen)) as report:
            held_out = calibration_of.observe_held_out(
                start, chosen, options=options, apart=others, report=report, journal=journal
            )
        calibrated = calibration_of.calibrate_on(
            start,
            held_out,
            options=options,
            class_size=class_size,
            tail="both" if two_sided else "upper",
            apart=others,
            again=lambda total: reporting("calibrating", total=total),
            journal=journal,
        )
        passed_over(census)
        write_bundle(calibrated, target)
    calibration = calibrated.calibration
    for cells, scores in zip(calibration.taxonomy.categories, calibration.scores, strict=True):
        stand = f"{counted(len(scores), 'photograph')} {'stands' if len(scores) == 1 else 'stand'}"
        say(f"{stand} for {describe_category(cells, calibration.taxonomy)}")
    lowest = smallest_rate(calibration.smallest, calibration.tail)
    say(f"{target}: calibrated; false-alarm rates from {lowest:.2g} can be asked for")


def _refuse_filters(context: Context, paths: list[Path], *filters: str) -> None:
    """Only rows of manifests have a split and a kind."""
    if not any(path.suffix == ".jsonl" for path in paths):
        meaningless(context, "without a manifest (.jsonl)", *filters)


def _count_or_auto(text: str) -> int | None:
    if text == "auto":
        return None
    if text.isdecimal() and len(text) < 10 and 0 < int(text) <= MOST:
        return int(text)
    raise BadParameter(
        f"{text!r} is neither a number from 1 nor auto; {MOST} at most.", param_hint="--components"
    )
