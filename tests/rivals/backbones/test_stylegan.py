"""StyleGAN's discriminator: its layers against literal versions."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.rivals.backbones.stylegan import (
    StyleGanDiscriminator,
    _Conv,
    _Dense,
    _Halving,
    batch_deviation,
)
from tests.rivals.formula import formula_, formula_pictures


def test_the_deviation_over_a_batch_is_its_formula():
    maps = torch.randn(8, 2, 3, 3)
    found = batch_deviation(maps, 4)
    assert torch.equal(found[:, :2], maps)
    for picture in range(8):
        group = maps[picture % 2 :: 2]  # of four
        deviation = ((group - group.mean(dim=0)) ** 2).mean(dim=0).add(1e-8).sqrt().mean()
        assert torch.allclose(found[picture, 2], deviation, atol=1e-6)
    assert torch.allclose(batch_deviation(maps, 1)[:, 2], torch.tensor(1e-4))


def test_fused_halving_is_convolution_and_averaging():
    fused, plain = formula_(_Halving(4, 5, fused=True)), formula_(_Halving(4, 5, fused=False))
    plain.bias.data.zero_()
    fused.bias.data.zero_()
    maps = torch.randn(1, 4, 12, 12)
    with torch.no_grad():
        inner = [network(maps)[..., 1:-1, 1:-1] for network in (fused, plain)]  # padding differs at the edge
    assert torch.allclose(*inner, atol=1e-5)


def test_weights_are_scaled_by_their_number_of_inputs():
    conv, dense = formula_(_Conv(3, 4)), formula_(_Dense(6, 2, gain=1.0))
    maps = torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        literal = F.conv2d(maps, conv.weight * (2 / (3 * 3 * 3)) ** 0.5, conv.bias, padding=1)
        assert torch.allclose(conv(maps), torch.where(literal > 0, literal, 0.2 * literal), atol=1e-5)
        flat = torch.randn(3, 6)
        assert torch.allclose(dense(flat), flat @ dense.weight.T / 6**0.5 + dense.bias, atol=1e-5)


def test_maps_are_halved_to_four_pixels_and_channels_grow():
    with torch.device("meta"):
        network = StyleGanDiscriminator(256)
    shapes = [list(network.get_submodule(f"layer{place}").weight.shape) for place in range(15)]
    assert shapes[0] == [64, 64, 3, 3]
    assert [shape[0] for shape in shapes[1:12:2]] == [128, 256, 512, 512, 512, 512]
    assert shapes[12:] == [[512, 513, 3, 3], [512, 512 * 4 * 4], [1, 512]]
    assert [network.get_submodule(f"layer{place}").fused for place in (1, 3, 5)] == [True, True, False]


@pytest.mark.parametrize(
    ("group", "changed"),
    [
        (1, [True, False, False, False]),
        (2, [True, False, True, False]),
        (4, [True, True, True, True]),
    ],
)
def test_pictures_influence_none_but_those_of_their_group(group, changed):
    torch.manual_seed(0)
    network = StyleGanDiscriminator(16, most=8)
    pictures = formula_pictures(4, 16)
    other = pictures.clone()
    other[0] = pictures[0].flip(-1) / 2
    with torch.no_grad():
        differences = (network(other, group) - network(pictures, group)).abs()
    assert [bool(one > 1e-5) for one in differences] == changed
