"""Residual networks of rivals against literal versions."""

import torch

from cameraborn.networks.resnet import stages
from cameraborn.rivals.backbones.resnet import BasicBlock, ResNet50
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


def test_resnet_50_is_its_parts_one_after_the_other():
    network = formula_(ResNet50(outputs=3))
    pictures = formula_pictures(2, 40, 48)
    with torch.no_grad():
        x = torch.relu(network.bn1(torch.conv2d(pictures, network.conv1.weight, stride=2, padding=3)))
        x = torch.max_pool2d(x, 3, stride=2, padding=1)
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            for block in stage:
                x = block(x)
        literal = x.flatten(2).mean(dim=2) @ network.fc.weight.T + network.fc.bias
        assert x.shape == (2, 2048, 2, 2)
        assert torch.allclose(network(pictures), literal, atol=1e-5)


def test_resnet_50_has_the_published_size():
    """25,557,032 parameters with a thousand classes (torchvision)."""
    with torch.device("meta"):
        network = ResNet50(outputs=1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_557_032
    assert [len(getattr(network, f"layer{place}")) for place in (1, 2, 3, 4)] == [3, 4, 6, 3]
