"""Tiny autoencoders of latent diffusion models (TAESD), under the names of their published weights.

Bohan, https://github.com/madebyollin/taesd, MIT. They imitate the models' own autoencoders at a hundredth of the cost.

Shapes: B pictures, H and W height and width, divisible by 8; C channels of the latent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTH = 64  # channels
_GROUPS = 4  # of channels, in the layers that see whole maps
_LIMIT = 3.0  # of a latent, softly


class _Block(nn.Module):
    """Three 3x3 convolutions beside the identity.

    Args:
        pooled: a branch of 1x1 convolutions, normalised over whole maps, comes first.
    """

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        self.pool = _whole_maps() if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return F.relu(x + self.conv(x))


def _whole_maps() -> nn.Sequential:
    """The only layers that see further than their convolutions: group normalisation is over all positions."""
    wide = _GROUPS * _WIDTH
    widen, narrow = nn.Conv2d(_WIDTH, wide, 1, bias=False), nn.Conv2d(wide, _WIDTH, 1, bias=False)
    return nn.Sequential(widen, nn.GroupNorm(_GROUPS, wide), nn.ReLU(), narrow)


class _Limited(nn.Module):
    """Latents softly limited to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return _LIMIT * torch.tanh(x / _LIMIT)


def _blocks(pooled: bool = False) -> list[nn.Module]:
    return [_Block(pooled), _Block(pooled), _Block(pooled)]


def _conv(stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(_WIDTH, _WIDTH, 3, stride=stride, padding=1, bias=False)


def tiny_encoder(latent: int = 4, *, pooled: bool = False) -> nn.Sequential:
    """Pictures in 0..1 [B 3 H W] to latents [B C H/8 W/8].

    Args:
        latent: C.
        pooled: blocks at an eighth of the size see whole maps, as FLUX.2's do.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, _WIDTH, 3, padding=1), _Block()]
    for smallest in (False, False, True):
        layers += [_conv(stride=2), *_blocks(pooled and smallest)]
    return nn.Sequential(*layers, nn.Conv2d(_WIDTH, latent, 3, padding=1))


def tiny_decoder(latent: int = 4, *, pooled: bool = False) -> nn.Sequential:
    """Latents [B C h w] to pictures [B 3 8h 8w], in 0..1 but for what goes beyond; arguments as `tiny_encoder`."""
    layers: list[nn.Module] = [_Limited(), nn.Conv2d(latent, _WIDTH, 3, padding=1), nn.ReLU()]
    for smallest in (True, False, False):
        layers += [*_blocks(pooled and smallest), nn.Upsample(scale_factor=2), _conv()]
    return nn.Sequential(*layers, _Block(), nn.Conv2d(_WIDTH, 3, 3, padding=1))
