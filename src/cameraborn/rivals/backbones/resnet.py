"""Residual networks under torchvision's names, in the forms that rivals give them.

He et al., CVPR 2016. Unlike `networks.resnet` nothing is normalised inside: each rival's input has its own scale.

Shapes: B pictures, C channels, S side.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.resnet import EXPANSION, Bottleneck, initialise, stages


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where the shape changes."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, inner, 1, stride=stride, bias=False), nn.BatchNorm2d(inner))
            if stride > 1 or channels != inner
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B C S S] to [B inner S/stride S/stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """ResNet-50 with any number of outputs, as torchvision lays it out."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(Bottleneck, (3, 4, 6, 3), 64)
        self.fc = nn.Linear(512 * EXPANSION, outputs)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """[B 3 S S] to [B outputs]."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        out: Tensor = self.fc(x.mean(dim=(2, 3)))
        return out
