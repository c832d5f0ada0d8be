"""A bundle becomes a binary detector: its network's features of photographs and generated pictures, and a head on them.

As in BLADES (arXiv 2507.22824) the network stays as it is and features have unit length. Both classes are looked at
after the same random conditions, or the head would learn which class was recompressed. What comes out scores,
calibrates and verifies like any bundle: its p-values are of held-out photographs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from cameraborn.binary.perceptron import PerceptronOptions, fit_perceptron
from cameraborn.data.manifest import read_manifest
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.density import fit_mixture
from cameraborn.errors import CalibrationError
from cameraborn.fit.learn import (
    LearnOptions,
    Photograph,
    Report,
    View,
    find_photographs,
    look,
    look_and_handle,
    operation_classifier_of,
    seen_file,
    software_versions,
)


def fit_binary(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    generated: Iterable[Photograph],
    *,
    components: int,
    dimensions: int,
    perceptron: PerceptronOptions,
    options: LearnOptions,
    report: Report = lambda path, problem: None,
) -> Bundle:
    """A copy of the bundle with a head, and the mixture that told its pseudo-outliers; an older calibration is dropped.

    Raises:
        CalibrationError: a class has too few usable pictures, or both hold the same one.
    """
    bundle = with_unit_length(bundle)
    photo_views, examples = look_and_handle(bundle, list(photographs), options, report)
    generated_views = list(look(bundle, generated, options, report))
    _check_classes(photo_views, generated_views)
    x, z = features_of(photo_views), features_of(generated_views)
    mixture = fit_mixture(x, components=components, dimensions=dimensions, seed=options.seed)
    head = fit_perceptron(x, z, mixture.log_likelihood(x), perceptron)
    seen = bundle.files.get("seen.txt", b"").decode().split()
    files = {
        name: data for name, data in bundle.files.items() if name not in ("calibration.csv", "golden.json")
    }
    files["mixture.safetensors"] = safetensors.numpy.save(mixture.tensors())
    files["head.safetensors"] = safetensors.numpy.save(head)
    operation_classifier = operation_classifier_of(examples, options)
    files["recogniser.safetensors"] = safetensors.numpy.save(operation_classifier.tensors())
    files["seen.txt"] = seen_file([*seen, *(view.sha256 for view in (*photo_views, *generated_views))])
    info = bundle.info.model_copy(update={"coverage": None, "versions": software_versions()})
    return Bundle(info, files, bundle.origin)


def find_generated(
    paths: Sequence[Path], *, split: str = "", kinds: Sequence[str] = ()
) -> Iterator[Photograph]:
    """The generated pictures of files, folders (all that is in them) and manifests (rows labelled so).

    Raises:
        ManifestError: a manifest is broken.
        CalibrationError: a path does not exist, or holds none of that split and kind.
    """
    for path in paths:
        if path.suffix != ".jsonl":
            yield from find_photographs([path])
            continue
        found = 0
        for row in read_manifest(path):
            if row.label == "generated" and split in ("", row.split) and (not kinds or row.kind in kinds):
                found += 1
                yield Photograph(row.path, row.generator or row.source)
        if not found:
            raise CalibrationError(
                f"{path}: no row labelled generated of that split and kind: check the manifest, --generated-split and "
                "--generated-kind"
            )


def with_unit_length(bundle: Bundle) -> Bundle:
    """The same network, its features divided by their length."""
    preprocessing = bundle.info.preprocessing.model_copy(update={"unit_length": True})
    return Bundle(
        bundle.info.model_copy(update={"preprocessing": preprocessing}), bundle.files, bundle.origin
    )


def features_of(views: Sequence[View]) -> NDArray[np.float32]:
    """The features of views: [N D]."""
    return np.stack([view.feature for view in views])


def _check_classes(photographs: Sequence[View], generated: Sequence[View]) -> None:
    for word, views in (("photographs", photographs), ("generated pictures", generated)):
        if not views:
            raise CalibrationError(
                f"none of the {word} shows a usable face: give others, or use --whole-image"
            )
    photo_paths = {view.sha256: view.photograph.path for view in photographs}
    for view in generated:
        if view.sha256 in photo_paths:
            raise CalibrationError(
                f"{view.photograph.path}: is also among the photographs, as {photo_paths[view.sha256]}: "
                "a picture is one or the other, give each once"
            )
