"""A bundle becomes a binary detector: its network's features of photographs and generated pictures, and a classifier.

As in BLADES (arXiv 2507.22824) the network stays as it is and features have unit length. Both classes are observed
after the same random operations, or the classifier would learn which class was recompressed. What comes out scores,
calibrates and verifies like any bundle: its p-values are of held-out photographs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cameraborn.binary.perceptron import PerceptronOptions, fit_perceptron
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.density import Density, check_enough, fit_mixture
from cameraborn.detect.evidence.kinds import GENERATORS, PHOTOGRAPHS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.engine.journal import Journal
from cameraborn.fit.density import with_what_was_learnt
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import View
from cameraborn.fit.views import (
    Once,
    Report,
    ViewOptions,
    features_of,
    no_usable_face,
    take_views,
    take_views_and_examples,
)


def fit_binary(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    generated: Iterable[Photograph],
    *,
    components: int,
    dimensions: int,
    perceptron: PerceptronOptions,
    options: ViewOptions,
    report: Report = lambda path, problem: None,
    journal: Journal | None = None,
) -> Bundle:
    """A copy of the bundle with a classifier of known generators, which alone makes the score.

    The mixture that told its pseudo-outliers is kept as a channel beside it. Older evidence, which was for features of
    any length, and an older calibration are dropped. An interrupted run goes on from its `journal`.

    Raises:
        CalibrationError: a class has too few usable pictures, or both hold the same one.
    """
    bundle = with_unit_length(bundle)
    once = Once()
    photo_views, examples = take_views_and_examples(bundle, list(photographs), options, report, journal, once)
    once.turn_to_generated()
    taken = take_views(bundle, generated, options, report, journal, once=once)
    generated_views = [view for views in taken for view in views]
    _check_classes(photo_views, generated_views)
    advice = "give more photographs, or lower --components or --dimensions"
    check_enough(len({view.sha256 for view in photo_views}), components, dimensions, advice=advice)
    x, z = features_of(photo_views), features_of(generated_views)
    mixture = fit_mixture(x, components=components, dimensions=dimensions, seed=options.seed)
    tensors = fit_perceptron(x, z, mixture.log_likelihood(x), perceptron)
    columns = ((0, bundle.info.width),)
    fitted = (
        bundle.without_evidence(record.name for record in bundle.info.channels)
        .with_evidence(Density(PHOTOGRAPHS, columns, mixture))
        .with_evidence(BinaryClassifier.from_tensors(GENERATORS, columns, tensors))
        .with_combination({GENERATORS: None})
    )
    return with_what_was_learnt(fitted, once.hashes, examples, options)


def with_unit_length(bundle: Bundle) -> Bundle:
    """The same networks, the features of each divided by their length."""
    networks = tuple(
        one.model_copy(update={"preprocessing": one.preprocessing.model_copy(update={"unit_length": True})})
        for one in bundle.info.networks
    )
    return bundle.with_info(networks=networks)


def _check_classes(photographs: Sequence[View], generated: Sequence[View]) -> None:
    for word, views in (("photographs", photographs), ("generated pictures", generated)):
        if not views:
            raise no_usable_face(f"none of the {word}")
