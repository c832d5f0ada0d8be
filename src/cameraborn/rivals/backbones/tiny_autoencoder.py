"""Tiny autoencoders of latent diffusion models (TAESD), under the names of their published weights.

Bohan, https://github.com/madebyollin/taesd, MIT. They imitate the models' own autoencoders at a hundredth of the cost.

Shapes: B pictures, H and W height and width, divisible by 8; C channels of the latent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTH = 64  # channels
_LIMIT = 3.0  # of a latent, softly


class _Block(nn.Module):
    """Three 3x3 convolutions beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv(x))


class _Limited(nn.Module):
    """Latents softly limited to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return _LIMIT * torch.tanh(x / _LIMIT)


def _blocks() -> list[nn.Module]:
    return [_Block(), _Block(), _Block()]


def _conv(stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(_WIDTH, _WIDTH, 3, stride=stride, padding=1, bias=False)


def tiny_encoder(latent: int = 4) -> nn.Sequential:
    """Pictures in 0..1 [B 3 H W] to latents [B C H/8 W/8]."""
    layers: list[nn.Module] = [nn.Conv2d(3, _WIDTH, 3, padding=1), _Block()]
    for _ in range(3):
        layers += [_conv(stride=2), *_blocks()]
    return nn.Sequential(*layers, nn.Conv2d(_WIDTH, latent, 3, padding=1))


def tiny_decoder(latent: int = 4) -> nn.Sequential:
    """Latents [B C h w] to pictures [B 3 8h 8w], in 0..1 but for what goes beyond."""
    layers: list[nn.Module] = [_Limited(), nn.Conv2d(latent, _WIDTH, 3, padding=1), nn.ReLU()]
    for _ in range(3):
        layers += [*_blocks(), nn.Upsample(scale_factor=2), _conv()]
    return nn.Sequential(*layers, _Block(), nn.Conv2d(_WIDTH, 3, 3, padding=1))
