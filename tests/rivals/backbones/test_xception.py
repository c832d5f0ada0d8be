"""Xception: its block against a literal version, and the sizes of its maps."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.rivals.backbones.xception import Block, SeparableConv, Xception
from tests.rivals.formula import formula_


@pytest.mark.parametrize(("first_relu", "grow_first"), [(True, True), (False, True), (True, False)])
def test_a_block_of_xception_is_its_row_of_separable_convolutions(first_relu, grow_first):
    block = formula_(Block(4, 6, 2, 2, first_relu=first_relu, grow_first=grow_first))
    maps = torch.randn(1, 4, 9, 9)
    offset = 1 if first_relu else 0
    with torch.no_grad():
        y = maps
        for place in range(2):
            y = torch.relu(y) if place or first_relu else y
            separable, norm = block.rep[3 * place + offset], block.rep[3 * place + offset + 1]
            y = F.conv2d(y, separable.conv1.weight, padding=1, groups=y.shape[1])
            y = norm(F.conv2d(y, separable.pointwise.weight))
        literal = F.max_pool2d(y, 3, 2, 1) + block.skipbn(F.conv2d(maps, block.skip.weight, stride=2))
        assert torch.allclose(block(maps), literal, atol=1e-5)
    assert block.rep[offset].pointwise.weight.shape[0] == (6 if grow_first else 4)


def test_xceptions_maps_have_the_published_sizes():
    with torch.device("meta"):
        network = Xception()
        x = network.stem2(network.stem1(torch.zeros(1, 3, 299, 299)))
        assert x.shape == (1, 64, 147, 147)
        x = network.blocks(1, 4, x)
        assert x.shape == (1, 728, 19, 19)
        assert network.tail(network.blocks(5, 12, x)).shape == (1, 2048, 10, 10)


def test_a_separable_convolution_is_a_convolution_of_products():
    separable = formula_(SeparableConv(3, 5))
    maps = torch.randn(2, 3, 6, 7)
    with torch.no_grad():
        kernels = separable.pointwise.weight * separable.conv1.weight[:, 0][None]  # [out C 3 3]
        assert torch.allclose(separable(maps), F.conv2d(maps, kernels, padding=1), atol=1e-5)


def test_a_block_that_keeps_the_shape_adds_to_the_identity():
    block = formula_(Block(4, 4, 3))
    maps = torch.randn(1, 4, 5, 5)
    assert block.skip is None
    with torch.no_grad():
        assert torch.equal(block(maps), maps + block.rep(maps))
        block.rep[-1].weight.zero_()
        block.rep[-1].bias.zero_()
        assert torch.equal(block(maps), maps)
