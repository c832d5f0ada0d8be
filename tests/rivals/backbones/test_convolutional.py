"""Residual, Xception, EfficientNet and tiny autoencoder blocks against literal versions."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.networks.resnet import stages
from cameraborn.rivals.backbones.efficientnet import EfficientNet, _Block, _rounded, _SameConv
from cameraborn.rivals.backbones.resnet import BasicBlock
from cameraborn.rivals.backbones.tiny_autoencoder import tiny_decoder, tiny_encoder
from cameraborn.rivals.backbones.xception import Block, Xception
from tests.rivals.formula import formula_, formula_pictures


def test_a_basic_block_is_two_convolutions_beside_the_identity():
    block = formula_(BasicBlock(4, 6, 2))
    maps = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        y = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(maps)))))
        literal = torch.relu(y + block.downsample[1](block.downsample[0](maps)))
        assert torch.equal(block(maps), literal)
    assert BasicBlock(4, 4, 1).downsample is None
    assert [len(stage) for stage in stages(BasicBlock, (2, 1, 3), 64, expansion=1)] == [2, 1, 3]


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


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(9, 3, 2), (8, 3, 2), (7, 5, 2), (6, 5, 1), (5, 1, 1)]
)
def test_padding_is_tensorflows(size, kernel, stride):
    conv = formula_(_SameConv(2, 3, kernel, stride))
    maps = torch.randn(1, 2, size, size)
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    padded = F.pad(maps, (total // 2, total - total // 2) * 2)
    assert conv(maps).shape[-1] == out
    assert torch.equal(conv(maps), F.conv2d(padded, conv.weight, stride=stride))


def test_an_inverted_residual_squeezes_and_excites():
    block = formula_(_Block(8, 8, 3, 1, 6, lite=False, drop=0.0))
    maps = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        y = F.silu(block._bn0(block._expand_conv(maps)))
        y = F.silu(block._bn1(block._depthwise_conv(y)))
        weights = torch.sigmoid(block._se_expand(F.silu(block._se_reduce(F.adaptive_avg_pool2d(y, 1)))))
        literal = block._bn2(block._project_conv(weights * y)) + maps
        assert torch.allclose(block(maps), literal, atol=1e-6)


def test_stochastic_depth_keeps_the_mean():
    block = formula_(_Block(4, 4, 3, 1, 1, lite=True, drop=0.5))
    maps = torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        whole = block(maps) - maps
        block.drop = 0.5
        block.train()
        for norm in (block._bn1, block._bn2):
            norm.eval()
        torch.manual_seed(0)
        drawn = block(maps.expand(64, -1, -1, -1)) - maps
    kept = drawn.abs().amax(dim=(1, 2, 3)) > 0
    assert 10 < int(kept.sum()) < 54
    assert torch.allclose(drawn[kept], 2 * whole.expand_as(drawn[kept]), atol=1e-5)


def test_channels_are_rounded_to_eights_and_never_by_much():
    assert [_rounded(32, 1.4), _rounded(16, 1.4), _rounded(1280, 1.4), _rounded(320, 1.4)] == [
        48,
        24,
        1792,
        448,
    ]
    assert _rounded(10, 1.0) == 16  # 8 would be a fifth less
    with torch.device("meta"):
        assert EfficientNet(lite=True).features == 1280


def test_a_tiny_autoencoder_goes_to_an_eighth_and_back():
    encoder, decoder = formula_(tiny_encoder(4)), formula_(tiny_decoder(4))
    with torch.no_grad():
        latents = encoder(formula_pictures(1, 24, 16, low=0))
        assert latents.shape == (1, 4, 3, 2)
        assert decoder(latents).shape == (1, 3, 24, 16)
        block = encoder[1]
        maps = torch.randn(1, 64, 5, 5)
        y = block.conv[4](torch.relu(block.conv[2](torch.relu(block.conv[0](maps)))))
        assert torch.equal(block(maps), torch.relu(maps + y))
        far = decoder[0](torch.tensor([100.0, -100.0, 0.3]))
        assert far.tolist() == pytest.approx([3, -3, 0.2990], abs=1e-3)


def test_flux_2s_blocks_at_an_eighth_see_whole_maps():
    encoder, decoder = formula_(tiny_encoder(32, pooled=True)), formula_(tiny_decoder(32, pooled=True))
    assert [place for place, layer in enumerate(encoder) if getattr(layer, "pool", None)] == [11, 12, 13]
    assert [place for place, layer in enumerate(decoder) if getattr(layer, "pool", None)] == [3, 4, 5]
    block, maps = encoder[11], torch.randn(1, 64, 5, 6)
    widen, norm, narrow = block.pool[0].weight, block.pool[1], block.pool[3].weight
    wide = torch.einsum("oc,bchw->bohw", widen[:, :, 0, 0], maps).view(4, 64 * 5 * 6)  # four groups
    wide = (wide - wide.mean(dim=1, keepdim=True)) / (
        wide.var(dim=1, keepdim=True, correction=0) + 1e-5
    ).sqrt()
    wide = wide.view(256, 5, 6) * norm.weight[:, None, None] + norm.bias[:, None, None]
    x = maps + torch.einsum("oc,chw->ohw", narrow[:, :, 0, 0], torch.relu(wide))
    with torch.no_grad():
        assert torch.allclose(block(maps), torch.relu(x + block.conv(x)), atol=1e-5)
