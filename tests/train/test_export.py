"""The rules of what a bundle of a network is, and what of a run it needs."""

import numpy as np
import pytest

from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.errors import CamerabornError
from cameraborn.train.export import BundleOptions, ExportedNetwork, preprocessing_of


def network(**changes):
    usual = {
        "onnx": b"",
        "weights": b"",
        "description": "a network",
        "features": 8,
        "tasks": (),
        "manifest_sha256": "",
        "seen": (),
        "input_kind": "patches",
        "side": 64,
    }
    return ExportedNetwork(**usual | changes)


LAYERS = {"0.weight": np.zeros((2, 8)), "0.bias": np.zeros(2)}
BINARY = BinaryClassifier.from_tensors("generators", ((0, 8),), LAYERS)
FACES = {"input_kind": "crop", "side": 224, "crop_scale": 1.3, "antialias": False}


@pytest.mark.parametrize(
    ("changes", "sides", "smallest", "crop_scale"),
    [
        ({}, (256, 128), 160, 1.5),
        ({"evidence": (BINARY,)}, (256,), 160, 1.5),
        (FACES, (224,), 64, 1.3),
    ],
)
def test_what_is_usual_for_a_network(changes, sides, smallest, crop_scale):
    usual = preprocessing_of(network(**changes), BundleOptions("a bundle"))
    assert (usual.sides, usual.smallest_side, usual.crop_scale) == (sides, smallest, crop_scale)
    assert usual.input == network(**changes).input_kind
    assert usual.antialias == network(**changes).antialias


def test_options_decide():
    options = BundleOptions("a bundle", crop_scale=2.0, sides=(64, 96, 64), smallest_side=70)
    made = preprocessing_of(network(), options)
    assert (made.sides, made.smallest_side, made.crop_scale) == ((96, 64), 70, 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evidence": (BINARY,)}, "--side 128: a head was trained on features of one size"),
        (FACES, "--side 256: the network was trained on crops of 224 pixels"),
    ],
)
def test_options_that_do_not_go_with_the_network(changes, message):
    with pytest.raises(CamerabornError, match=message):
        preprocessing_of(network(**changes), BundleOptions("a bundle", sides=(256, 128)))
