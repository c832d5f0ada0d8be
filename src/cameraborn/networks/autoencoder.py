"""Small autoencoders that reconstruct a photograph through a bottleneck, and the discriminator that teaches them.

Generators end in a decoder that enlarges a small map step by step, and what the enlarging leaves in the pixels is
much alike from one to the next (AutoGAN: Zhang, Karaman and Chang, WIFS 2019, arXiv 1907.06515). A decoder that learnt
from photographs alone leaves it too, so a network that tells reconstructed photographs from photographs has met such
traces without having seen a generated picture.

Shapes: N pictures, H and W divisible by the autoencoder's factor.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Upsampling = Literal["nearest", "bilinear", "transposed", "shuffle"]


class Upsample(nn.Module):
    """Twice the size: interpolated and convolved, by a transposed convolution, or out of four times the channels."""

    def __init__(self, channels: int, out: int, kind: Upsampling) -> None:
        super().__init__()
        self.kind = kind
        self.conv: nn.Module
        if kind == "transposed":
            self.conv = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)
        else:
            self.conv = nn.Conv2d(channels, out * (4 if kind == "shuffle" else 1), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N channels h w] to [N out 2h 2w]."""
        if self.kind in ("nearest", "bilinear"):
            x = F.interpolate(x, scale_factor=2, mode=self.kind)
        y: Tensor = self.conv(x)
        return F.pixel_shuffle(y, 2) if self.kind == "shuffle" else y


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N C h w] to the same shape."""
        y: Tensor = self.conv2(F.silu(self.conv1(F.silu(x))))
        return x + y


class Autoencoder(nn.Module):
    """An autoencoder of pictures in -1..1.

    Args:
        upsampling: how its decoder enlarges.
        factor: side of the picture over side of the latent map; a power of two.
        latent: channels of that map.
        width: channels at full size, doubled at each halving.
        texture: add noise of a learnt strength before the last layer, as style-based generators do.
    """

    def __init__(
        self, *, upsampling: Upsampling, factor: int, latent: int, width: int = 24, texture: bool = False
    ) -> None:
        super().__init__()
        if factor < 2 or factor & (factor - 1):
            raise ValueError(f"a factor of {factor} is not a power of two")
        self.factor = factor
        channels = [width]
        while 2 ** (len(channels) - 1) < factor:
            channels.append(2 * channels[-1])
        encoder: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
        for narrow in channels[:-1]:
            encoder += [nn.SiLU(), nn.Conv2d(narrow, 2 * narrow, 3, stride=2, padding=1)]
        self.encoder = nn.Sequential(
            *encoder, Residual(channels[-1]), nn.SiLU(), nn.Conv2d(channels[-1], latent, 1)
        )
        decoder: list[nn.Module] = [nn.Conv2d(latent, channels[-1], 3, padding=1), Residual(channels[-1])]
        for narrow in channels[-2::-1]:
            decoder += [nn.SiLU(), Upsample(2 * narrow, narrow, upsampling)]
            decoder += [Residual(narrow)] if narrow > width else []
        self.decoder = nn.Sequential(*decoder, nn.SiLU())
        self.texture = nn.Parameter(torch.zeros(width)) if texture else None
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, pictures: Tensor, noise: float = 0.0) -> Tensor:
        """Reconstruct pictures [N 3 H W]; noise of that strength is added to the latents, which lie in -2..2."""
        latents = 2 * F.softsign(self.encoder(pictures))
        maps = self.decoder(latents + noise * torch.randn_like(latents))
        if self.texture is not None:
            maps = maps + self.texture[:, None, None] * torch.randn_like(maps[:, :1])
        reconstructed: Tensor = self.last(maps)
        return reconstructed


class Discriminator(nn.Module):
    """Tells pictures from reconstructions, region by region (PatchGAN, Isola et al., CVPR 2017; spectral norm)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sizes = ((3, width, 1), (width, width, 2), (width, 2 * width, 2), (2 * width, 4 * width, 1))
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.spectral_norm(
                nn.Conv2d(before, after, 4 if stride == 2 else 3, stride=stride, padding=1)
            )
            for before, after, stride in sizes
        )
        self.last = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Pictures [N 3 H W] to a score of each region, high for photographs, and the maps on the way."""
        maps = []
        for layer in self.layers:
            pictures = F.leaky_relu(layer(pictures), 0.2)
            maps.append(pictures)
        return self.last(pictures), maps
