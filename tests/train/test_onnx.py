"""An exported encoder is the trained one, of whatever network: ONNX against torch."""

from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch

from cameraborn.networks.registry import NETWORKS
from cameraborn.photo.onnx_session import open_session
from cameraborn.train.onnx import GROUP, four_bits, to_onnx, with_four_bit_weights, with_half_weights

from ..networks.test_registry import INPUTS, SMALL, pixels

CASES = {name: (name, SMALL.get(name, {})) for name in NETWORKS}
CASES["patch, last stage"] = ("patch", {"widths": (8, 12), "features": 10})


def features_of(encoder, kind, shown):
    with torch.no_grad():
        return encoder(shown.float()[None] if kind == "patch-set" else shown.float()).numpy()


@cache  # one export takes seconds
def exported(case):
    """The section and the encoder of a case, and its graph."""
    name, sizes = CASES[case]
    torch.manual_seed(0)
    section = NETWORKS[name](**sizes)
    encoder = section.encoder().to(memory_format=torch.channels_last)
    kind = section.input_kind
    # So that the averages of batch normalisation are of pictures.
    features_of(encoder, kind, pixels(16, *INPUTS[kind][-3:]))
    return section, encoder.eval(), to_onnx(encoder, kind, 64)


@pytest.mark.parametrize("case", CASES)
def test_onnx_computes_what_torch_does(case):
    section, encoder, graph = exported(case)
    kind = section.input_kind
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        shown = pixels(count, 3, 64, 64)
        (features,) = session.run(["features"], {kind: shown.numpy()})
        assert features.shape == (1 if kind == "patch-set" else count, section.features)
        np.testing.assert_allclose(features, features_of(encoder, kind, shown), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_file_tells_nothing_of_the_machine_that_made_it(case):
    *_, file = exported(case)
    assert b"cameraborn" not in file  # as in paths of stack traces and names of classes
    assert b"File " not in file


def test_half_weights_halve_the_file_and_hardly_move_the_feature():
    *_, whole = exported("efficientnet-lite0")
    half = with_half_weights(whole)
    assert len(half) < 0.6 * len(whole)
    shown = {"patches": pixels(4, 3, 64, 64).numpy()}
    exact, rounded = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, shown)[0]
        for file in (whole, half)
    )
    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, atol=0.02 * np.abs(exact).max())


class Layers(torch.nn.Module):
    """Two large linear layers, of tokens (MatMul) and of a picture (Gemm), behind a large first layer."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 256, 16, stride=16, bias=False)
        self.second, self.third = torch.nn.Linear(256, 512), torch.nn.Linear(512, 128)

    def forward(self, pixels):
        patches = self.first(pixels / 255).flatten(2).transpose(1, 2)
        return self.third(torch.relu(self.second(patches)).mean(dim=1))


def on_grid(weight, seed):
    """Weights [O I] of four bits: levels and scales that half precision holds, some of them its smallest."""
    rng = np.random.default_rng(seed)
    outputs, inputs = weight.shape
    levels = rng.integers(-8, 8, (outputs, inputs // GROUP, GROUP))
    scales = (rng.uniform(1e-6, 2e-2, (outputs, inputs // GROUP, 1))).astype(np.float16).astype(np.float32)
    return torch.from_numpy((levels * scales).astype(np.float32).reshape(outputs, inputs))


def four_bit_layers(seed=0):
    torch.manual_seed(seed)
    layers = Layers().eval()
    with torch.no_grad():
        for layer in (layers.second, layers.third):
            layer.weight.copy_(on_grid(layer.weight, seed))
        layers.first.weight.copy_(layers.first.weight.half().float())
    return layers


def test_weights_on_a_grid_of_four_bits_stay_what_they_are():
    layers = four_bit_layers()
    whole = to_onnx(layers, "crop", 64)
    small = with_four_bit_weights(layers, "crop", 64)
    assert len(small) < 0.4 * len(whole)
    shown = pixels(3, 3, 64, 64)
    (features,) = open_session(small, 1).run(None, {"crop": shown.numpy()})
    wanted = features_of(layers, "crop", shown)
    np.testing.assert_allclose(features, wanted, atol=1e-4 * np.abs(wanted).max())


def test_four_bits_find_the_grid_that_weights_lie_on():
    weights = on_grid(torch.empty(40, 3 * GROUP), 5).numpy().T.copy()
    levels, scales = four_bits(weights)
    assert levels.shape == weights.shape
    assert scales.shape == (3, 40)
    assert levels.min() >= -8
    assert levels.max() <= 7
    restored = levels.reshape(3, GROUP, 40) * scales.astype(np.float32)[:, None]
    np.testing.assert_array_equal(restored.reshape(weights.shape), weights)


def test_other_weights_take_the_scale_of_the_least_error():
    weights = np.random.default_rng(1).normal(size=(GROUP, 5)).astype(np.float32)
    levels, scales = four_bits(weights)
    for column in range(5):
        group = weights[:, column]
        tried = [np.float16(np.abs(group).max() / level) for level in range(1, 12)]
        errors = [
            ((np.clip(np.round(group / np.float32(s)), -8, 7) * np.float32(s) - group) ** 2).sum()
            for s in tried
        ]
        mine = ((levels[:, column] * np.float32(scales[0, column]) - group) ** 2).sum()
        assert mine == pytest.approx(min(errors), rel=1e-5)
