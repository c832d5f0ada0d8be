"""Calibrating: the scores of held-out photographs, in every condition, become the bundle's p-values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
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
from cameraborn.errors import CalibrationError
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import View
from cameraborn.fit.views import (
    Report,
    ViewOptions,
    features_of,
    no_usable_face,
    random_generator,
    take_views,
)

# Edges in pixels that divide the sizes of faces, and of whole pictures.
FACE_SIZE_EDGES, WHOLE_SIZE_EDGES = (130,), (320, 640)
_COLOURLESS_SHARE = 0.05  # of the calibration photographs, to say that colourless pictures are covered


def calibrate(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    options: ViewOptions,
    class_size: int = 60,
    tail: Tail = "upper",
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> Bundle:
    """A copy of the bundle with the scores of held-out photographs and golden scores.

    Each photograph is observed in many conditions (`handled` and `every_operation` are always on: a rate holds for what
    calibration has seen), so it contributes one score to every category that one of its views falls in. Categories with
    fewer than `class_size` photographs are merged. In a category a photograph counts once, because two views of it are
    not independent: as it is in its own category, elsewhere by a view drawn at random, seeded by the photograph itself.
    An interrupted run goes on from its `journal`.

    Raises:
        CalibrationError: a photograph was used to fit, or none is usable.
        BundleError: the bundle is not fitted.
    """
    options = replace(options, handled=True, every_operation=True)
    held_out: dict[str, list[CalibrationRow]] = {}  # rows of a photograph's views
    colourless = 0
    for views in take_views(bundle, photographs, options, report, journal):
        first = views[0]
        if bundle.has_seen(first.sha256):
            raise CalibrationError(
                f"{first.photograph.path}: the network or the evidence has already seen this photograph: "
                "calibrate on photographs that were held out"
            )
        if first.sha256[:SEEN_DIGITS] not in held_out:
            held_out[first.sha256[:SEEN_DIGITS]] = calibration_rows(bundle, views)
            colourless += not first.colour
    if not held_out:
        raise no_usable_face("none of the photographs")
    bundle = with_held_out_standards(bundle, [rows[0] for rows in held_out.values()])
    held_out = {photograph: with_scores(bundle, rows) for photograph, rows in held_out.items()}
    sizes = WHOLE_SIZE_EDGES if options.whole_image else FACE_SIZE_EDGES
    operations = () if bundle.operation_classifier is None else tuple(OPERATIONS)
    taxonomy = taxonomy_of(held_out.values(), sizes, operations, class_size)
    rows = [row for views in held_out.values() for row in one_per_category(views, taxonomy, options)]
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


def calibration_rows(bundle: Bundle, views: Sequence[View]) -> list[CalibrationRow]:
    """What calibration keeps of views; not scored yet."""
    surprises = bundle.surprises(features_of(views))
    return [
        CalibrationRow(
            math.nan,
            view.photograph.source,
            view.sha256[:SEEN_DIGITS],
            int(view.condition.size),
            view.condition.jpeg_quality,
            view.condition.noise,
            view.condition.operation,
            {name: float(surprise[number]) for name, surprise in surprises.items()},
        )
        for number, view in enumerate(views)
    ]


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


def one_per_category(
    views: Sequence[CalibrationRow], taxonomy: Taxonomy, options: ViewOptions
) -> Iterator[CalibrationRow]:
    """Of one photograph's views, one in each category that any of them is in: as it is, else one at random."""
    rng = random_generator(views[0].photograph, options.seed + 1)
    place_of = [taxonomy.category_of(row.condition) for row in views]
    for place in range(len(taxonomy.categories)):
        inside = [row for row, of in zip(views, place_of, strict=True) if of == place]
        if inside:
            drawn = inside[int(rng.integers(len(inside)))]
            yield views[0] if inside[0] is views[0] else drawn
