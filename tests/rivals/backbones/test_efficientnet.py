"""EfficientNet: TensorFlow's padding, its block and its widths against literal versions."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.rivals.backbones.efficientnet import EfficientNet, _Block, _rounded, _SameConv
from tests.rivals.formula import formula_, formula_pictures


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


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, 5_288_548), ({"lite": True}, 4_652_008), ({"width": 1.4, "depth": 1.8}, 19_341_616)],
)
def test_its_parameters_are_as_many_as_published(options, size):
    """Of B0, Lite0 and B4, with a thousand classes."""
    with torch.device("meta"):
        network = EfficientNet(**options)
    assert sum(parameter.numel() for parameter in network.parameters()) == size


def test_the_lite_form_keeps_its_ends_and_has_no_squeeze():
    with torch.device("meta"):
        wide, lite = EfficientNet(width=2.0, depth=3.0), EfficientNet(width=2.0, depth=3.0, lite=True)
    assert (wide._conv_stem.out_channels, lite._conv_stem.out_channels) == (64, 32)
    assert (wide.features, lite.features) == (2560, 1280)
    assert (len(wide._blocks), len(lite._blocks)) == (3 * 16, 3 * 14 + 2)
    assert all(hasattr(block, "_se_reduce") for block in wide._blocks)
    assert not any(hasattr(block, "_se_reduce") for block in lite._blocks)


def test_the_output_is_a_linear_layer_of_the_mean_of_the_last_map():
    network = formula_(EfficientNet(lite=True, outputs=2))
    pictures = formula_pictures(2, 33, 40)
    maps = []
    network._bn1.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    with torch.no_grad():
        pooled = network.pooled(pictures)
        assert torch.allclose(pooled, maps[0].clamp(0, 6).mean(dim=(2, 3)), atol=1e-6)
        assert torch.allclose(network(pictures), pooled @ network._fc.weight.T + network._fc.bias, atol=1e-5)
