"""Calibrating: the scores of held-out photographs, in every condition, become the bundle's p-values.

Photographs are few, and what is held out is not learnt from. So what was learnt from can calibrate too: bundles beside
this one were fitted without a part of its photographs each, and these are judged there (cross-conformal predictors,
Vovk, arXiv 1208.0806). Where the parts are whole sources, a rate is of sources never seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from cameraborn.degrade.random import OPERATIONS
from cameraborn.detect.bundle import SEEN_DIGITS, Bundle
from cameraborn.detect.condition import Cell, Taxonomy, noise_edges
from cameraborn.detect.conformal import Tail
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.combine import Standard
from cameraborn.detect.golden import GOLDEN_NAMES
from cameraborn.detect.held_out import CalibrationRow
from cameraborn.detect.schema import Coverage, software_versions
from cameraborn.engine.journal import Journal
from cameraborn.errors import BundleError, CalibrationError
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import View
from cameraborn.fit.views import (
    Once,
    Report,
    ViewOptions,
    features_of,
    no_usable_face,
    random_generator,
    take_views,
)

# Edges in pixels that divide the sizes of faces, and of whole pictures.
FACE_SIZE_EDGES, WHOLE_SIZE_EDGES = (130,), (320, 640)
HeldOut = Mapping[str, list[View]]  # the views of each photograph, by the beginning of its SHA-256
Again = Callable[[int], AbstractContextManager[Report]]
_COLOURLESS_SHARE = 0.05  # of the calibration photographs, to say that colourless pictures are covered


def calibrate(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    options: ViewOptions,
    class_size: int = 60,
    tail: Tail = "upper",
    apart: Sequence[Bundle] = (),
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> Bundle:
    """A copy of the bundle with the scores of held-out photographs and golden scores.

    Each photograph is observed in many conditions (`operations` and `every_operation` are always on: a rate holds for
    what calibration has seen), so it contributes one score to every category that one of its views falls in. Categories
    with fewer than `class_size` photographs are merged. In a category a photograph counts once, because two views of it
    are not independent: as it is in its own category, elsewhere by a view drawn at random, seeded by the photograph.
    An interrupted run goes on from its `journal`.

    Args:
        bundle: fitted.
        photographs: held out from the bundle, or from one that stands `apart`.
        options: which views are taken.
        class_size: photographs that a category of condition needs.
        tail: what is flagged.
        apart: the same networks and channels, fitted without some of the photographs that `bundle` was fitted to.
        report: told of each photograph.
        journal: of an interrupted run.

    Raises:
        CalibrationError: a photograph was used to fit all of these bundles, or none is usable.
        BundleError: the bundle is not fitted, or one apart has other networks or channels.
    """
    held_out = observe_held_out(
        bundle, photographs, options=options, apart=apart, report=report, journal=journal
    )
    return calibrate_on(
        bundle, held_out, options=options, class_size=class_size, tail=tail, apart=apart, journal=journal
    )


def observe_held_out(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    options: ViewOptions,
    apart: Sequence[Bundle] = (),
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> HeldOut:
    """The views of held-out photographs, by the beginning of their SHA-256; networks have run on the faces alone.

    Raises:
        CalibrationError, BundleError: as `calibrate`.
    """
    options = replace(options, operations=True, every_operation=True)
    for other in apart:
        _check_alike(bundle, other)

    def check(view: View) -> None:
        _judge_of(view, bundle, apart)

    taken = take_views(bundle, photographs, options, report, journal, featured={}, once=Once(check))
    held_out = {views[0].sha256[:SEEN_DIGITS]: views for views in taken}
    if not held_out:
        raise no_usable_face("none of the photographs")
    return held_out


def calibrate_on(
    bundle: Bundle,
    held_out: HeldOut,
    *,
    options: ViewOptions,
    class_size: int = 60,
    tail: Tail = "upper",
    apart: Sequence[Bundle] = (),
    again: Again = lambda total: nullcontext(lambda path, problem: None),
    journal: Journal | None = None,
) -> Bundle:
    """What `calibrate` gives, of what `observe_held_out` has found with the same options.

    Which views stand for their photographs is told by their conditions alone. The networks, which take most of the
    time, then run on those, and not on the others.

    Args:
        bundle: fitted.
        held_out: the views.
        options: as for `observe_held_out`.
        class_size: photographs that a category of condition needs.
        tail: what is flagged.
        apart: as for `observe_held_out`.
        again: given the number of photographs that are looked at once more, a context that is told of each.
        journal: of an interrupted run.

    Raises:
        CalibrationError: a photograph has changed meanwhile, or all of the bundles were fitted to it.
        BundleError: the bundle is not fitted.
    """
    options = replace(options, operations=True, every_operation=True)
    sizes = WHOLE_SIZE_EDGES if options.whole_image else FACE_SIZE_EDGES
    operations = () if bundle.operation_classifier is None else tuple(OPERATIONS)
    unscored = {photograph: [_row(view, {}) for view in views] for photograph, views in held_out.items()}
    taxonomy = taxonomy_of(unscored.values(), sizes, operations, class_size)
    drawn = {
        photograph: list(drawn_in_categories(rows, taxonomy, options))
        for photograph, rows in unscored.items()
    }
    measured = _measured(bundle, apart, held_out, drawn, options, again, journal)
    bundle = with_held_out_standards(bundle, [rows[0] for rows in measured.values()])
    rows = [
        row
        for photograph, some in measured.items()
        for row in with_scores(bundle, [some[number] for number in drawn[photograph]])
    ]
    colourless = sum(not views[0].colour for views in held_out.values())
    coverage = Coverage(
        jpeg_quality=(
            min((row.jpeg_quality for row in rows if row.jpeg_quality is not None), default=100),
            100,
        ),
        colour=colourless < _COLOURLESS_SHARE * len(held_out),
        whole_image=options.whole_image,
        tail=tail,
        size_edges=taxonomy.size,
        noise_edges=taxonomy.noise,
        operations=taxonomy.operations,
        categories=taxonomy.categories,
    )
    calibrated = bundle.with_calibration(coverage, rows).with_info(versions=software_versions())
    golden = Detector(calibrated).golden_scores(GOLDEN_NAMES)
    return calibrated.with_golden({name: round(score, 4) for name, score in golden.items()})


def _judge_of(view: View, bundle: Bundle, apart: Sequence[Bundle]) -> Bundle:
    """The first of the bundles that was not fitted to the view's photograph.

    Raises:
        CalibrationError: all were.
    """
    for one in (bundle, *apart):
        if not any(map(one.has_seen, view.hashes)):
            return one
    raise CalibrationError(
        f"{view.photograph.path}: the network or the evidence has already seen this photograph: "
        "calibrate on photographs that were held out"
    )


def _check_alike(bundle: Bundle, other: Bundle) -> None:
    """See that features of one are those of the other, and mean the same to channels of the same names.

    Raises:
        BundleError: they are not, or do not.
    """
    ours, theirs = ([one.graph(network) for network in one.info.networks] for one in (bundle, other))
    if ours != theirs:
        raise BundleError(
            f"{other.origin}: has other networks than {bundle.origin}: give a bundle that differs from it only "
            "in the photographs that its evidence was fitted to"
        )
    channels, others = ({one.name: one.columns for one in some.evidence} for some in (bundle, other))
    if channels != others:
        raise BundleError(
            f"{other.origin}: has other channels of evidence than {bundle.origin}: give a bundle that differs "
            "from it only in the photographs that its evidence was fitted to"
        )


def _measured(
    bundle: Bundle,
    apart: Sequence[Bundle],
    held_out: HeldOut,
    drawn: Mapping[str, Sequence[int]],
    options: ViewOptions,
    again: Again,
    journal: Journal | None,
) -> dict[str, dict[int, CalibrationRow]]:
    """Of each photograph, by the numbers of the drawn views, what calibration keeps of them."""
    features: dict[str, list[View]] = dict(held_out)
    missing = {
        views[0].photograph: unknown
        for photograph, views in held_out.items()
        if (unknown := {number for number in drawn[photograph] if views[number].feature is None})
    }
    if missing:
        with again(len(missing)) as report:
            for views in take_views(bundle, missing, options, report, journal, featured=missing):
                features[views[0].sha256[:SEEN_DIGITS]] = views
    found = {}
    for photograph, numbers in drawn.items():
        views = [features[photograph][number] for number in numbers]
        if any(view.feature is None for view in views):
            raise CalibrationError(
                f"{views[0].photograph.path}: has changed while it was calibrated on: run the command again"
            )
        judge = _judge_of(views[0], bundle, apart)
        found[photograph] = dict(zip(numbers, calibration_rows(judge, views), strict=True))
    return found


def calibration_rows(bundle: Bundle, views: Sequence[View]) -> list[CalibrationRow]:
    """What calibration keeps of views, of all of which networks ran; not scored yet."""
    surprises = bundle.surprises(features_of(views))
    return [
        _row(view, {name: float(surprise[number]) for name, surprise in surprises.items()})
        for number, view in enumerate(views)
    ]


def _row(view: View, surprises: Mapping[str, float]) -> CalibrationRow:
    return CalibrationRow(
        math.nan,
        view.photograph.source,
        view.sha256[:SEEN_DIGITS],
        int(view.condition.size),
        view.condition.jpeg_quality,
        view.condition.noise,
        view.condition.operation,
        surprises,
    )


def with_held_out_standards(bundle: Bundle, rows: Sequence[CalibrationRow]) -> Bundle:
    """The bundle with the common scale of its channels measured on held-out photographs as they are, a row each.

    What a channel has learnt from surprises it less than other photographs do, each channel in a way of its own; only
    photographs that are new to all of them put them on one scale.
    """
    names = bundle.info.combined
    if len(names) == 1:
        return bundle
    return bundle.with_combination(
        {name: Standard.of(np.array([row.surprises[name] for row in rows])) for name in names}
    )


def with_scores(bundle: Bundle, rows: Sequence[CalibrationRow]) -> list[CalibrationRow]:
    """The rows with their combined scores."""
    surprises = {name: np.array([row.surprises[name] for row in rows]) for name in bundle.info.combined}
    scores = bundle.combine(surprises)
    return [replace(row, score=float(score)) for row, score in zip(rows, scores, strict=True)]


def taxonomy_of(
    held_out: Iterable[Sequence[CalibrationRow]],
    sizes: tuple[int, ...],
    operations: tuple[str, ...],
    least: int,
) -> Taxonomy:
    """The Mondrian taxonomy of photographs, of each of which some views are given.

    Noise is divided at quartiles of all views, so that each part is reached by many photographs.

    Args:
        held_out: the views of each photograph.
        sizes: edges in pixels.
        operations: names.
        least: photographs that a category needs.
    """
    rows = [row for views in held_out for row in views]
    taxonomy = Taxonomy(sizes, noise_edges([row.noise for row in rows]), operations)
    reached: dict[Cell, set[str]] = {}
    for row in rows:
        reached.setdefault(taxonomy.cell_of(row.condition), set()).add(row.photograph)
    return taxonomy.merged(reached, least)


def drawn_in_categories(
    views: Sequence[CalibrationRow], taxonomy: Taxonomy, options: ViewOptions
) -> Iterator[int]:
    """Of one photograph's views the number of one in each category that any is in: as it is, else one at random."""
    rng = random_generator(views[0].photograph, options.seed + 1)
    place_of = [taxonomy.category_of(row.condition) for row in views]
    for place in range(len(taxonomy.categories)):
        inside = [number for number, of in enumerate(place_of) if of == place]
        if inside:
            drawn = inside[int(rng.integers(len(inside)))]
            yield 0 if inside[0] == 0 else drawn
