"""FRDM: filters and attention against literal versions, the loss against its formula."""

import numpy as np
import torch
from torch.nn import functional as F

from cameraborn.networks.srm import srm_kernels
from cameraborn.rivals.frdm import (
    ChannelAttention,
    DualCrossModalAttention,
    Fusion,
    ResidualGuidedAttention,
    SpatialAttention,
    SrmOfChannels,
    SrmOfColours,
    am_softmax,
    srm_filters,
)
from tests.rivals.formula import formula_, formula_maps, formula_pictures
from tests.rivals.literal import assert_same, batch_normalised, convolved, logistic, numbers, positive


def test_filters_are_three_of_the_rich_model():
    ours = srm_filters()
    assert ours.shape == (3, 5, 5)
    known = torch.from_numpy(srm_kernels())
    for kernel in ours:
        assert ((known - kernel).abs().amax(dim=(1, 2)) < 1e-6).any()
        assert abs(float(kernel.sum())) < 1e-6


def test_the_residual_is_the_limited_sum_over_neighbours_and_colours():
    pictures = 4 * torch.rand(1, 3, 9, 8)
    found = SrmOfColours()(pictures)
    around = F.pad(pictures, (2, 2, 2, 2))
    for f, kernel in enumerate(srm_filters()):
        for y, x in ((0, 0), (4, 5), (8, 7)):
            total = sum(
                kernel[i, j] * around[0, c, y + i, x + j]
                for c in range(3)
                for i in range(5)
                for j in range(5)
            )
            assert torch.isclose(found[0, f, y, x], total.clamp(-3, 3), atol=1e-5)


def test_three_kernels_in_a_row_of_the_published_list_go_to_a_channel():
    module = SrmOfChannels(4)
    listed = [filter for filter in srm_filters() for _ in range(4)]
    assert module.kernel.shape == (12, 1, 5, 5)
    assert all(torch.equal(module.kernel[i, 0], listed[i]) for i in range(12))
    maps = torch.rand(1, 4, 6, 6)
    residual = F.conv2d(maps, module.kernel, padding=2, groups=4)
    assert torch.allclose(residual[:, 3], F.conv2d(maps[:, 1:2], listed[3][None, None], padding=2)[:, 0])


def test_streams_attend_to_each_other_position_by_position():
    module = formula_(DualCrossModalAttention(8, positions=6, ratio=4))
    x, y = (
        formula_pictures(2, 2, 3).repeat(1, 3, 1, 1)[:, :8],
        formula_pictures(2, 2, 3, low=0).repeat(1, 3, 1, 1)[:, 1:],
    )
    with torch.no_grad():
        found_x, found_y = module(x, y)
        for b in range(2):
            keys_x = module.key_conv_share(module.key_conv1(x))[b].flatten(1)
            keys_y = module.key_conv_share(module.key_conv2(y))[b].flatten(1)
            affinity = torch.stack(
                [torch.stack([keys_x[:, i] @ keys_y[:, j] for j in range(6)]) for i in range(6)]
            )
            values_y = module.value_conv2(y)[b].flatten(1)
            values_x = module.value_conv1(x)[b].flatten(1)
            for i in range(6):
                of_y = module.linear1(affinity[i]).softmax(0)
                of_x = module.linear2(affinity[:, i]).softmax(0)
                at_x = x[b].flatten(1)[:, i] + module.gamma1 * sum(of_y[j] * values_y[:, j] for j in range(6))
                at_y = y[b].flatten(1)[:, i] + module.gamma2 * sum(of_x[j] * values_x[:, j] for j in range(6))
                assert torch.allclose(found_x[b].flatten(1)[:, i], at_x, atol=1e-5)
                assert torch.allclose(found_y[b].flatten(1)[:, i], at_y, atol=1e-5)


def literal_of_positions(module, maps):
    """Of maps [C H W]: each position's mean and greatest channel, under a 7x7 convolution and a sigmoid."""
    summary = np.zeros((2, *maps.shape[1:]))
    for y in range(maps.shape[1]):
        for x in range(maps.shape[2]):
            summary[:, y, x] = sum(maps[:, y, x]) / len(maps), max(maps[:, y, x])
    return logistic(convolved(summary, numbers(module.conv.weight), padding=3))


def literal_of_channels(module, maps):
    """Of maps [C H W]: each channel's mean and greatest position, each through both linear maps, then summed."""
    first, second = (numbers(module.sharedMLP[layer].weight)[:, :, 0, 0] for layer in (0, 2))
    total = np.zeros(len(maps))
    for summary in ([channel.mean() for channel in maps], [channel.max() for channel in maps]):
        small = np.array([max(0, row @ summary) for row in first])
        total += np.array([row @ small for row in second])
    return logistic(total)


def test_attention_of_positions_is_its_loop():
    module, maps = formula_(SpatialAttention()), formula_maps(2, 6, 7, 5)
    with torch.no_grad():
        found = module(maps)
    for b in range(2):
        assert_same(found[b], literal_of_positions(module, numbers(maps[b])))


def test_attention_of_channels_is_its_loop():
    module, maps = formula_(ChannelAttention(32, ratio=4)), formula_maps(2, 32, 7, 5)
    with torch.no_grad():
        found = module(maps)
    for b in range(2):
        assert_same(found[b], literal_of_channels(module, numbers(maps[b]))[:, None, None])


def test_residual_guided_attention_is_its_loop():
    module, residuals = formula_(ResidualGuidedAttention()), 3 * formula_maps(2, 3, 15, 13)
    with torch.no_grad():
        found = module(residuals)
    for b in range(2):
        maps = convolved(numbers(residuals[b]), numbers(module.srm.kernel), padding=2)
        assert maps.min() < -3 < 3 < maps.max()
        maps = np.minimum(3, np.maximum(-3, maps))
        for layer, stride in ((0, 2), (3, 1)):
            convolution, norm = module.conv[layer], module.conv[layer + 1]
            maps = positive(batch_normalised(convolved(maps, numbers(convolution.weight), stride), norm))
        assert_same(found[b], literal_of_positions(module.pa, maps))


def test_fusion_is_its_loop():
    module = formula_(Fusion())
    x, y = formula_maps(2, 2048, 2, 1), formula_maps(2, 2048, 2, 1).flip(1)
    with torch.no_grad():
        found = module(x, y)
    convolution, norm = module.convblk[0], module.convblk[1]
    for b in range(2):
        both = np.concatenate([numbers(x[b]), numbers(y[b])])
        fused = positive(batch_normalised(convolved(both, numbers(convolution.weight)), norm))
        weights = literal_of_channels(module.ca, fused)
        assert_same(
            found[b], np.stack([weight * channel for weight, channel in zip(weights, fused, strict=True)])
        )


def test_am_softmax_is_its_formula():
    outputs, generated = 2 * torch.rand(4, 2) - 1, torch.tensor([0, 1, 1, 0])  # cosines
    total = torch.zeros(())
    for cosines, label in zip(outputs, generated, strict=True):
        right, wrong = cosines[label], cosines[1 - label]
        up = torch.exp(30 * (right - 0.45))
        total -= torch.log(up / (up + torch.exp(30 * wrong)))
    assert torch.isclose(am_softmax(outputs, generated), total / 4, rtol=1e-4)
