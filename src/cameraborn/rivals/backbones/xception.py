"""Xception in the form that face forensics uses: separable convolutions in twelve blocks between four plain ones.

Chollet, CVPR 2017, arXiv 1610.02357; names and shapes as in the ImageNet weights `xception-b5690688.pth` and in
timm's legacy Xception.

Shapes: B pictures, C channels, H and W height and width of a map.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 728  # channels of the middle blocks
FEATURES = 2048  # channels of the last map


class SeparableConv(nn.Module):
    """A 3x3 convolution of each channel, then a 1x1 convolution over channels."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] to [B out H W]."""
        y: Tensor = self.pointwise(self.conv1(x))
        return y


class Block(nn.Module):
    """Separable convolutions behind ReLUs, beside the identity or a 1x1 convolution where the shape changes.

    Args:
        channels, out: before and behind the block.
        depth: number of separable convolutions.
        stride: 2 halves the side, by pooling at the end.
        first_relu: whether the block begins with one.
        grow_first: whether the first convolution, and not the last, goes from `channels` to `out`.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        depth: int,
        stride: int = 1,
        *,
        first_relu: bool = True,
        grow_first: bool = True,
    ) -> None:
        super().__init__()
        self.skip: nn.Conv2d | None = None
        if out != channels or stride != 1:
            self.skip = nn.Conv2d(channels, out, 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(out)
        widths = [channels, *[out if grow_first else channels] * (depth - 1), out]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.ReLU(), SeparableConv(before, after), nn.BatchNorm2d(after)]
        pooling = [nn.MaxPool2d(3, stride, padding=1)] if stride != 1 else []
        self.rep = nn.Sequential(*(layers if first_relu else layers[1:]), *pooling)

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] to [B out H/stride W/stride]."""
        y: Tensor = self.rep(x)
        return y + (x if self.skip is None else self.skipbn(self.skip(x)))


class Xception(nn.Module):
    """The network without its last linear layer, in the parts that rivals run one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.block1 = Block(64, 128, 2, 2, first_relu=False)
        self.block2 = Block(128, 256, 2, 2)
        self.block3 = Block(256, WIDTH, 2, 2)
        for place in range(4, 12):
            self.add_module(f"block{place}", Block(WIDTH, WIDTH, 3))
        self.block12 = Block(WIDTH, 1024, 2, 2, grow_first=False)
        self.conv3 = SeparableConv(1024, 1536)
        self.bn3 = nn.BatchNorm2d(1536)
        self.conv4 = SeparableConv(1536, FEATURES)
        self.bn4 = nn.BatchNorm2d(FEATURES)

    def stem1(self, x: Tensor) -> Tensor:
        """[B 3 H W] to [B 32 ~H/2 ~W/2]: the first convolution."""
        return F.relu(self.bn1(self.conv1(x)))

    def stem2(self, x: Tensor) -> Tensor:
        """To [B 64 ...]: the second convolution."""
        return F.relu(self.bn2(self.conv2(x)))

    def blocks(self, first: int, last: int, x: Tensor) -> Tensor:
        """Blocks `first` to `last`, counted from 1."""
        for place in range(first, last + 1):
            x = self.get_submodule(f"block{place}")(x)
        return x

    def tail(self, x: Tensor) -> Tensor:
        """The last two convolutions, to [B 2048 ...], before the last ReLU."""
        x = F.relu(self.bn3(self.conv3(x)))
        y: Tensor = self.bn4(self.conv4(x))
        return y
