"""Classifiers against the formula, and what is none."""

import itertools

import numpy as np
import pytest

from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.errors import BundleError


def classifier(tensors, width=5):
    return BinaryClassifier.from_tensors("generators", ((0, width),), tensors)


def tensors(*widths):
    rng = np.random.default_rng(len(widths))
    made = {}
    for number, (narrow, wide) in enumerate(itertools.pairwise(widths)):
        made[f"{2 * number}.weight"] = rng.normal(size=(wide, narrow)).astype(np.float32)
        made[f"{2 * number}.bias"] = rng.normal(size=wide).astype(np.float32)
    return made


def test_two_layers_are_a_rectified_perceptron():
    made, x = tensors(5, 7, 2), np.random.default_rng(1).normal(size=(4, 5))
    for row, score in zip(x, classifier(made).surprise(x), strict=True):
        hidden = [max(0.0, float(w @ row + b)) for w, b in zip(made["0.weight"], made["0.bias"], strict=True)]
        photo, generated = (
            float(w @ hidden + b) for w, b in zip(made["2.weight"], made["2.bias"], strict=True)
        )
        assert score == pytest.approx(generated - photo)


def test_one_layer_is_linear():
    made, x = tensors(5, 2), np.random.default_rng(1).normal(size=(4, 5))
    logits = x @ made["0.weight"].T + made["0.bias"]
    np.testing.assert_allclose(classifier(made).surprise(x), logits[:, 1] - logits[:, 0])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "one or two linear layers"),
        ({"0.weight": np.zeros((2, 3))}, "one or two linear layers"),
        ({**tensors(3, 2), "2.weight": np.zeros((2, 2)), "3.bias": np.zeros(2)}, "one or two linear layers"),
        (tensors(3, 4), "4 outputs"),
        ({**tensors(3, 2), "0.bias": np.zeros(3)}, "do not fit"),
        ({**tensors(3, 5, 2), "2.weight": np.zeros((2, 4))}, "do not fit"),
        ({**tensors(3, 2), "0.bias": np.array([0, np.nan])}, "not finite"),
    ],
)
def test_what_is_no_classifier(wrong, why):
    with pytest.raises(BundleError, match=why):
        classifier(wrong, 3)
