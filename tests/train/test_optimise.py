"""The running average, against its formula value by value."""

import copy

import torch
from torch import nn

from cameraborn.pretext.optimise import average


def test_the_average_moves_by_one_minus_the_decay():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).requires_grad_(False)
    before = copy.deepcopy(averaged.state_dict())
    network(torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)))  # moves the statistics
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    average(averaged, network, 0.75)
    now = averaged.state_dict()
    for name, trained in network.state_dict().items():
        if trained.is_floating_point():
            torch.testing.assert_close(now[name], 0.75 * before[name] + 0.25 * trained)
            assert not torch.equal(now[name], before[name])
        else:
            assert torch.equal(now[name], trained)  # how many batches were seen
