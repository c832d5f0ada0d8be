"""An exported encoder is the trained one, of whatever network: ONNX against torch."""

from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch

from cameraborn.networks.registry import NETWORKS
from cameraborn.train.onnx import to_onnx, with_half_weights

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
