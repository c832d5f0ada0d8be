"""Every network that a recipe may name, by its being in the registry: its shapes, sizes and names."""

import pytest
import torch

from cameraborn.networks.registry import NETWORKS

HEADS = {"iso": 1, "make": 3}
SMALL = {  # so that a test takes no second; a network that is not here is built in its full size
    "patch": {"widths": (6, 8), "features": 5, "pool": "all", "spectrum": True},
    "resnet50": {"layers": (1, 1, 1, 1), "width": 4, "features": 6},
}
PARAMETERS = {
    "efficientnet-lite0": 3_371_008,
    "patch": 552_416,
    "resnet50": 25_081_664,
    "sdaie": 2_148_448,
}  # of encoders in their default sizes
INPUTS = {"patches": (2, 4, 3, 64, 64), "patch-set": (2, 4, 3, 64, 64), "crop": (2, 3, 64, 64)}


@pytest.fixture(params=NETWORKS)
def section(request):
    torch.manual_seed(0)
    return NETWORKS[request.param](**SMALL.get(request.param, {}))


def pixels(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes(name):
    section = NETWORKS[name]()
    assert section.type == name
    with torch.device("meta"):  # nothing is allocated
        encoder = section.encoder()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == PARAMETERS[name]


def test_each_task_has_its_outputs(section):
    ranker = section.ranker(HEADS).eval()
    outputs = ranker(pixels(*INPUTS[section.input_kind]).float())
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"iso": (2, 1), "make": (2, 3)}


def test_weights_are_called_by_encoder_and_head(section):
    """Checkpoints, imported weights and bundles are read by these names."""
    state, encoder = section.ranker(HEADS).state_dict(), section.encoder().state_dict()
    assert {name.removeprefix("encoder.") for name in state if name.startswith("encoder.")} == set(encoder)
    rest = {name for name in state if not name.startswith(("encoder.", "colours."))}
    assert rest == {f"heads.{head}.{part}" for head in HEADS for part in ("weight", "bias")}
    assert state["heads.make.weight"].shape == (3, section.features)


def test_gradient_reaches_every_parameter(section):
    ranker = section.ranker(HEADS)
    outputs = ranker(pixels(4, *INPUTS[section.input_kind][1:]).float())
    sum(output.square().sum() for output in outputs.values()).backward()
    unmoved = [name for name, p in ranker.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unmoved == []
