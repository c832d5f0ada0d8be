"""FRDM: filters and attention against literal versions, the loss against its formula."""

import torch
from torch.nn import functional as F

from cameraborn.networks.srm import srm_kernels
from cameraborn.rivals.frdm import (
    ChannelAttention,
    DualCrossModalAttention,
    SpatialAttention,
    SrmOfChannels,
    SrmOfColours,
    am_softmax,
    srm_filters,
)
from tests.rivals.formula import formula_, formula_pictures


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


def test_attention_of_positions_and_of_channels_stays_between_0_and_1():
    maps = torch.randn(2, 32, 7, 5)
    positions, channels = SpatialAttention()(maps), ChannelAttention(32)(maps)
    assert positions.shape == (2, 1, 7, 5)
    assert channels.shape == (2, 32, 1, 1)
    assert 0 < float(positions.min()) <= float(positions.max()) < 1
    assert 0 < float(channels.min()) <= float(channels.max()) < 1


def test_am_softmax_is_its_formula():
    outputs, generated = 2 * torch.rand(4, 2) - 1, torch.tensor([0, 1, 1, 0])  # cosines
    total = torch.zeros(())
    for cosines, label in zip(outputs, generated, strict=True):
        right, wrong = cosines[label], cosines[1 - label]
        up = torch.exp(30 * (right - 0.45))
        total -= torch.log(up / (up + torch.exp(30 * wrong)))
    assert torch.isclose(am_softmax(outputs, generated), total / 4, rtol=1e-4)
