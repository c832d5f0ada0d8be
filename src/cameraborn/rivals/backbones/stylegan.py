"""StyleGAN's first discriminator, under the names of its PyTorch conversion (genforce).

Karras, Laine and Aila, CVPR 2019, arXiv 1812.04948. Weights are stored at unit scale and multiplied by a constant of
their layer; where a map of 128 pixels or more is halved, convolving and averaging are one strided convolution.
Progressive growing has ended in the published weights: of the inputs only that of the full size is used.

Shapes: B pictures, C channels, S side.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST = 4  # pixels, side of the last map
_FUSED_FROM = 128  # pixels, side from which halving is a strided convolution
_CHANNELS, _MOST = 16384, 512  # channels are the first over the side, at most the second
_SLOPE = 0.2
_GROUP = 4  # pictures that the deviation over a batch is taken over
_EPSILON = 1e-8


def batch_deviation(maps: Tensor, group: int) -> Tensor:
    """Maps [B C H W] with one channel more: the mean deviation of a group of pictures; picture g belongs to g mod
    (B / group)."""
    B, C, H, W = maps.shape
    grouped = maps.view(min(group, B), -1, C, H, W)
    variance = (grouped - grouped.mean(dim=0, keepdim=True)).square().mean(dim=0)
    deviation = (variance + _EPSILON).sqrt().mean(dim=(1, 2, 3))  # [groups]
    channel = deviation.repeat(len(grouped)).view(B, 1, 1, 1).expand(B, 1, H, W)
    return torch.cat([maps, channel], dim=1)


class _Blur(nn.Module):
    """Binomial 3x3 blur of each channel; its kernel is part of the published state."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(line, line).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, padding=1, groups=x.shape[1])


class _Scaled(nn.Module):
    """A linear or convolution layer whose weight is multiplied by `gain` / sqrt(inputs)."""

    def __init__(self, shape: tuple[int, ...], gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.scale = gain / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0]))


class _Conv(_Scaled):
    """A convolution that keeps the side, and a leaky ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 3) -> None:
        super().__init__((out, channels, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        return F.leaky_relu(F.conv2d(x, self.scale * self.weight, self.bias, padding=padding), _SLOPE)


class _Halving(_Scaled):
    """A blur, a 3x3 convolution, the mean of every 2x2 positions, and a leaky ReLU."""

    def __init__(self, channels: int, out: int, *, fused: bool) -> None:
        super().__init__((out, channels, 3, 3))
        self.fused = fused
        self.blur = _Blur(channels)

    def forward(self, x: Tensor) -> Tensor:
        x, weight = self.blur(x), self.scale * self.weight
        if self.fused:
            # Averaging behind the convolution and a 4x4 kernel of four shifted ones are the same thing.
            shifted = F.pad(weight, (1, 1, 1, 1))
            weight = sum(
                (shifted[:, :, i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1)), torch.zeros(())
            )
            x = F.conv2d(x, weight / 4, self.bias, stride=2, padding=1)
        else:
            x = F.avg_pool2d(F.conv2d(x, weight, self.bias, padding=1), 2)
        return F.leaky_relu(x, _SLOPE)


class _Dense(_Scaled):
    """A linear layer on the flattened input."""

    def __init__(self, inputs: int, out: int, gain: float = math.sqrt(2)) -> None:
        super().__init__((out, inputs), gain)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.scale * self.weight, self.bias)


class StyleGanDiscriminator(nn.Module):
    """The discriminator: pictures in -1..1 to one number each, high for genuine ones.

    Args:
        side: of the pictures, pixels; a power of two.
        most: channels of a map at most; 512 as published.
    """

    lod: Tensor

    def __init__(self, side: int = 256, most: int = _MOST) -> None:
        super().__init__()
        self.register_buffer("lod", torch.zeros(()))
        sides = [side >> place for place in range(int(math.log2(side // _SMALLEST)) + 1)]
        channels = [min(_CHANNELS // s, most) for s in sides]
        for place, out in enumerate(channels):
            self.add_module(f"input{place}", _Conv(3, out, 1))
        for place, (here, below) in enumerate(pairwise(channels)):
            self.add_module(f"layer{2 * place}", _Conv(here, here))
            halving = _Halving(here, below, fused=sides[place] >= _FUSED_FROM)
            self.add_module(f"layer{2 * place + 1}", halving)
        self.halvings, last = len(sides) - 1, channels[-1]
        first = 2 * self.halvings
        self.add_module(f"layer{first}", _Conv(last + 1, last))
        self.add_module(f"layer{first + 1}", _Dense(last * _SMALLEST**2, min(_CHANNELS // 2, most)))
        self.add_module(f"layer{first + 2}", _Dense(min(_CHANNELS // 2, most), 1, gain=1.0))

    def forward(self, pictures: Tensor, group: int = _GROUP) -> Tensor:
        """Pictures [B 3 S S] to [B]; those of a group of `group` influence each other."""
        first = 2 * self.halvings
        x = self.get_submodule("input0")(pictures)
        for place in range(first):
            x = self.get_submodule(f"layer{place}")(x)
        x = self.get_submodule(f"layer{first}")(batch_deviation(x, group))
        x = F.leaky_relu(self.get_submodule(f"layer{first + 1}")(x), _SLOPE)
        y: Tensor = self.get_submodule(f"layer{first + 2}")(x)
        return y.squeeze(1)
