"""Fitting: photographs become the evidence of a bundle.

A density of their features is the first channel. Channels that a network brought with it are brought to a common scale
with it. Fitting also learns what post-processing operations leave in photographs, so that calibration can compare each
with those that look processed alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cameraborn.degrade.random import OPERATIONS
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.channel import Features, select
from cameraborn.detect.evidence.combine import Standard
from cameraborn.detect.evidence.density import (
    Density,
    Mixture,
    check_enough,
    choose_components,
    fit_mixture,
)
from cameraborn.detect.evidence.em import Covariance
from cameraborn.detect.evidence.kinds import PHOTOGRAPHS
from cameraborn.detect.operations import learn_operation_classifier
from cameraborn.detect.schema import software_versions
from cameraborn.engine.journal import Journal
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import Example
from cameraborn.fit.views import (
    Once,
    Report,
    ViewOptions,
    features_of,
    no_usable_face,
    take_views_and_examples,
)

CANDIDATES = (1, 2, 3, 4, 6, 8, 12, 16)  # numbers of components to choose from


def fit(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    components: int | None,
    dimensions: int | None,
    covariance: Covariance = Covariance.full,
    shrinkage: float = 0.0,
    options: ViewOptions,
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> Bundle:
    """A copy of the bundle with evidence fitted to the photographs.

    An older calibration is dropped. All other channels stay; where one that has seen generated pictures makes the
    score, it goes on doing so, and the density stands beside it. The mixture's options are those of `fit_mixture`.
    Without a number of `components`, it is that of `CANDIDATES` under which photographs held out from the fit are
    likeliest. An interrupted run goes on from its `journal`.

    Raises:
        CalibrationError: too few of the photographs show a face that can be used.
    """
    photographs, columns = list(photographs), bundle.columns_of(PHOTOGRAPHS)
    width = dimensions or sum(end - first for first, end in columns)
    # Before hours of work: of those that can be read and are no copies there are not more.
    check_enough(len({one.path for one in photographs}), components or 1, width, covariance, shrinkage)
    once = Once()
    views, examples = take_views_and_examples(bundle, photographs, options, report, journal, once)
    if not views:
        raise no_usable_face("none of the photographs")
    features = features_of(views)
    views_each = len(views) / len({view.sha256 for view in views})

    def fit_to(some: Features, K: int) -> Mixture:
        check_enough(round(len(some) / views_each), K, dimensions or some.shape[1], covariance, shrinkage)
        return fit_mixture(
            some,
            components=K,
            dimensions=dimensions,
            covariance=covariance,
            shrinkage=shrinkage,
            seed=options.seed,
        )

    read = select(features, columns)
    if components is None:
        groups = [view.sha256 for view in views]
        choices = choose_components(read, CANDIDATES, fit_to, groups=groups, seed=options.seed)
        components = max(choices, key=lambda choice: choice.held_out_log_likelihood).components
    density = Density(PHOTOGRAPHS, columns, fit_to(read, components))
    fitted = with_what_was_learnt(bundle.with_evidence(density), once.hashes, examples, options)
    surprises = fitted.surprises(features)
    return fitted.with_combination({name: Standard.of(surprises[name]) for name in _that_score(fitted)})


def _that_score(bundle: Bundle) -> tuple[str, ...]:
    """What makes the score: the same where it has seen generated pictures, else all channels, the density first."""
    with_fakes = {channel.name for channel in bundle.evidence if channel.has_seen_fakes}
    if with_fakes & set(bundle.info.combined):
        return bundle.info.combined
    names = (channel.name for channel in bundle.evidence)
    return PHOTOGRAPHS, *(name for name in names if name not in {PHOTOGRAPHS, *with_fakes})


def with_what_was_learnt(
    bundle: Bundle, hashes: Iterable[str], examples: Sequence[Example], options: ViewOptions
) -> Bundle:
    """The bundle with a classifier of operations, and with these hashes marked as seen; not calibrated any more.

    Raises:
        CalibrationError: there are no examples of operations.
    """
    if not examples:
        raise no_usable_face("hardly any of the photographs")
    statistics, operations = zip(*examples, strict=True)
    classifier = learn_operation_classifier(
        np.stack(statistics), operations, len(OPERATIONS), seed=options.seed
    )
    return (
        bundle.without_calibration()
        .with_operations(classifier)
        .with_seen(hashes)
        .with_info(versions=software_versions())
    )
