"""SDAIE's network: its sizes, its folded stem, its pooling, its gradient."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cameraborn.networks.sdaie import FEATURES, FoldedStem, MapNorm, SdaieNet, SdaieRanker
from cameraborn.networks.srm import srm_kernels


def patches(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 3, 64, 64), generator=generator).float()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SdaieNet().eval()


@torch.no_grad()
def test_sizes_are_the_published_ones(network):
    *maps, tokens, feature = network.stages_of(patches(2, 3))
    assert [tuple(stage.shape) for stage in maps] == [(6, 32, side, side) for side in (32, 16, 8, 8)]
    assert tokens.shape == (2, 3, 528)
    assert feature.shape == (2, 528)
    assert FEATURES == 528
    # 90 to 32 channels, ten convolutions of 32, their norms; a layer is norm, attention, norm, perceptron.
    convolutions = 32 * (90 * 9 + 1) + 10 * 32 * (32 * 9 + 1)
    norms = 2 * 32 * (5 * 64**2 + 2 * 32**2 + 2 * 16**2 + 2 * 8**2)
    layer = 2 * 2 * 528 + 528 * 192 + 65 * 528 + 529 * 128 + 129 * 528
    assert sum(p.numel() for p in network.parameters()) == convolutions + norms + 2 * layer


@pytest.mark.parametrize("side", [8, 64])
def test_stem_is_the_two_convolutions_exactly_also_at_the_border(side):
    torch.manual_seed(1)
    stem = FoldedStem(5).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    fixed = torch.from_numpy(srm_kernels()).double()[:, None].repeat(3, 1, 1, 1)  # [90 1 5 5], 30 a colour
    residuals = F.conv2d(x, fixed, padding=2, groups=3)
    torch.testing.assert_close(stem(x), stem.mix(residuals), atol=1e-12, rtol=1e-12)
    # The composed kernel alone would be wrong there, which is why there are nine.
    inside = F.conv2d(F.pad(x, (3, 3, 3, 3)), stem.folded()[4], stem.mix.bias)
    wrong = (inside - stem.mix(residuals)).abs().amax(dim=(0, 1)) > 1e-6
    assert wrong[0].all()
    assert wrong[:, -1].all()
    assert not wrong[1:-1, 1:-1].any()


def test_gradient_through_the_folded_stem_is_that_of_the_two_convolutions():
    torch.manual_seed(2)
    stem = FoldedStem(3).double()
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    literal = nn.Conv2d(90, 3, 3, padding=1).double()
    literal.load_state_dict(stem.mix.state_dict())
    fixed = stem.kernels[:, None].repeat(3, 1, 1, 1)
    stem(x).square().sum().backward()
    literal(F.conv2d(x, fixed, padding=2, groups=3)).square().sum().backward()
    for ours, theirs in zip(stem.mix.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_norm_is_the_same_in_both_memory_layouts():
    torch.manual_seed(3)
    norm = MapNorm([4, 6, 5])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 6, 5)
    other = norm(x.contiguous(memory_format=torch.channels_last))
    assert other.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(other, F.layer_norm(x, [4, 6, 5], norm.weight, norm.bias))
    torch.testing.assert_close(norm(x), other)


@torch.no_grad()
def test_order_of_patches_matters_to_the_first_token_alone(network):
    pictures = patches(2, 4, seed=5)
    turned = pictures[:, [2, 0, 3, 1]]
    torch.testing.assert_close(network(turned), network(pictures), atol=1e-5, rtol=1e-4)

    first = SdaieNet(pool="first").eval()
    first.load_state_dict(network.state_dict())
    feature = first(pictures)
    assert float((first(turned) - feature).norm() / feature.norm()) > 0.01
    # It is the place of the first patch alone that matters.
    torch.testing.assert_close(first(pictures[:, [0, 3, 1, 2]]), feature, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_pictures_do_not_see_each_other(network):
    pictures = patches(3, 2)
    torch.testing.assert_close(network(pictures)[1:2], network(pictures[1:2]), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_patch_of_one_colour_has_a_feature(network):
    assert torch.isfinite(network(torch.zeros(1, 2, 3, 64, 64))).all()


@pytest.mark.parametrize("pool", ["mean", "first"])
def test_gradient_reaches_every_parameter(pool):
    torch.manual_seed(0)
    ranker = SdaieRanker(SdaieNet(pool=pool), {"iso": 1, "make": 3})
    outputs = ranker(patches(2, 2))
    assert {name: output.shape for name, output in outputs.items()} == {"iso": (2, 1), "make": (2, 3)}
    sum(output.square().sum() for output in outputs.values()).backward()
    unmoved = [name for name, p in ranker.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unmoved == []
    assert all(torch.isfinite(p.grad).all() for p in ranker.parameters())


@torch.no_grad()
def test_bfloat16_is_near_float32(network):
    pictures = patches(1, 3)
    exact = network(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(pictures)
    assert float((rough - exact).norm() / exact.norm()) < 0.02
