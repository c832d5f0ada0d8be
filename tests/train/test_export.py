"""The rules of what a bundle of a network is, and what of a run it needs."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.store import read_bundle
from cameraborn.errors import CamerabornError
from cameraborn.train.export import BundleOptions, ExportedNetwork, preprocessing_of, write_exported


def network(**changes):
    usual = {
        "encoder": nn.Flatten(),
        "weights": (),
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


TWO_SIDES = {"sides": (256, 128)}


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"evidence": (BINARY,)}, TWO_SIDES, "--side 128: a head was trained on features of one size"),
        (FACES, TWO_SIDES, "--side 256: the network was trained on crops of 224 pixels"),
        ({"side": 128}, {"sides": (256, 96)}, "--side 96: the network sees patches of 128 pixels"),
        (
            {"side": 128},
            {"smallest_side": 127},
            "--smallest-side 127: the network sees patches of 128 pixels",
        ),
        ({}, {"crop_scale": 0.0}, "--crop-scale 0: not above 0"),
        ({}, {"crop_scale": math.nan}, "--crop-scale nan: not above 0"),
    ],
)
def test_options_that_do_not_go_with_the_network_are_refused_before_its_graph_is_made(
    tmp_path, changes, options, message
):
    refused = network(**changes)
    with pytest.raises(CamerabornError, match=message):
        write_exported(refused, BundleOptions("a bundle", **options), tmp_path / "bundle")
    assert "onnx" not in vars(refused)
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_sizes_that_go_with_the_network():
    least = BundleOptions("a bundle", sides=(128,), smallest_side=128)
    assert preprocessing_of(network(side=128), least).smallest_side == 128
    faces = BundleOptions("a bundle", smallest_side=64)
    assert preprocessing_of(network(**FACES), faces).smallest_side == 64


def test_the_graph_keeps_as_many_bits_of_a_weight_as_asked_for():
    patches = nn.Sequential(nn.Conv2d(3, 256, 16, stride=16), nn.Flatten(2), nn.Linear(16, 8))
    encoder = nn.Sequential(patches, nn.Flatten(), nn.Linear(2048, 512)).eval()
    sizes = [len(network(encoder=encoder, weight_bits=bits).onnx) for bits in (4, 16, 32)]
    assert sizes[0] < 0.6 * sizes[1]
    assert sizes[1] < 0.8 * sizes[2]


def test_a_graph_of_fewer_bits_is_compressed_in_the_bundle(tmp_path):
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 8)).eval()
    with torch.no_grad():
        layers[1].weight.copy_(torch.randint(-2, 3, (8, 3 * 64 * 64)) * 2.0**-8)
    for bits, file in ((4, "network.onnx.gz"), (16, "network.onnx.gz"), (32, "network.onnx")):
        made = network(encoder=layers, weight_bits=bits)
        write_exported(made, BundleOptions("a bundle"), tmp_path / str(bits))
        bundle = read_bundle(tmp_path / str(bits))
        assert [one.file for one in bundle.info.networks] == [file]
        assert bundle.graph(bundle.info.networks[0]) == made.onnx
        assert (len(bundle.files[file]) < 0.8 * len(made.onnx)) == (bits < 32)


def test_a_small_export_has_half_the_precision_and_nothing_to_train_on():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12288, 8)).eval()
    large = network(encoder=encoder, weights=(b"weights",))
    assert large.small.weights == ()
    assert len(large.small.onnx) < 0.6 * len(large.onnx)
    assert [network(weight_bits=bits).small.weight_bits for bits in (4, 16, 32)] == [4, 16, 16]
