"""ADM's U-Net, under the names of OpenAI's `256x256_diffusion_uncond.pt`.

Dhariwal and Nichol, NeurIPS 2021, arXiv 2105.05233. Residual blocks that also halve and double the side, attention at
sides of 32, 16 and 8, and the time of diffusion as scale and shift of a norm in each block.

Shapes: B pictures, C channels, H and W height and width, E of the time's embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 32  # of every norm
_PERIOD = 10000.0  # longest of the time's embedding


def time_embedding(times: Tensor, width: int) -> Tensor:
    """Cosines and sines of times [B] at falling frequencies, [B width]."""
    half = width // 2
    frequencies = torch.exp(-math.log(_PERIOD) * torch.arange(half, device=times.device) / half)
    angles = times[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class _ResBlock(nn.Module):
    """Two convolutions beside the identity; the side may be halved or doubled before the first.

    Args:
        channels, out: before and behind.
        embedding: E.
        change: factor of the side: 1, 0.5 or 2.
    """

    def __init__(self, channels: int, embedding: int, out: int, change: float = 1) -> None:
        super().__init__()
        self.change = change
        self.in_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, out), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(out, out, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if out == channels else nn.Conv2d(channels, out, 1)

    def _resized(self, x: Tensor) -> Tensor:
        if self.change == 2:
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return F.avg_pool2d(x, 2) if self.change == 0.5 else x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        y = self.in_layers[2](self._resized(self.in_layers[1](self.in_layers[0](x))))
        scale, shift = self.emb_layers(embedding)[:, :, None, None].chunk(2, dim=1)
        y = self.out_layers[0](y) * (1 + scale) + shift
        out: Tensor = self.skip_connection(self._resized(x)) + self.out_layers[1:](y)
        return out


class _AttentionBlock(nn.Module):
    """Every position attends to every other; queries, keys and values of a head lie together."""

    def __init__(self, channels: int, head: int) -> None:
        super().__init__()
        self.heads = channels // head
        self.norm = nn.GroupNorm(_GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        flat = x.flatten(2)
        q, k, v = self.qkv(self.norm(flat)).view(B, self.heads, 3, C // self.heads, H * W).mT.unbind(2)
        y = F.scaled_dot_product_attention(q, k, v).mT.reshape(B, C, H * W)
        out: Tensor = flat + self.proj_out(y)
        return out.view(B, C, H, W)


class _Step(nn.Sequential):
    """Layers of which some take the time too."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, _ResBlock) else layer(x)
        return x


class AdmUNet(nn.Module):
    """The network; its first three outputs are the noise, its last three belong to a variance that DDIM does not use.

    Args:
        width: channels at full size.
        factors: of the channels at each halving.
        blocks: residual blocks of a size.
        attention: halvings at which there is attention.
        head: channels of an attention head.
    """

    def __init__(
        self,
        *,
        width: int = 256,
        factors: Sequence[int] = (1, 1, 2, 2, 4, 4),
        blocks: int = 2,
        attention: Sequence[int] = (3, 4, 5),
        head: int = 64,
    ) -> None:
        super().__init__()
        self.width = width
        embedding = 4 * width
        self.time_embed = nn.Sequential(
            nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        channels, kept = width, [width]
        steps: list[nn.Module] = [_Step(nn.Conv2d(3, width, 3, padding=1))]
        for level, factor in enumerate(factors):
            for _ in range(blocks):
                layers: list[nn.Module] = [_ResBlock(channels, embedding, factor * width)]
                channels = factor * width
                if level in attention:
                    layers.append(_AttentionBlock(channels, head))
                steps.append(_Step(*layers))
                kept.append(channels)
            if level < len(factors) - 1:
                steps.append(_Step(_ResBlock(channels, embedding, channels, 0.5)))
                kept.append(channels)
        self.input_blocks = nn.ModuleList(steps)
        self.middle_block = _Step(
            _ResBlock(channels, embedding, channels),
            _AttentionBlock(channels, head),
            _ResBlock(channels, embedding, channels),
        )
        steps = []
        for level in reversed(range(len(factors))):
            for place in range(blocks + 1):
                layers = [_ResBlock(channels + kept.pop(), embedding, factors[level] * width)]
                channels = factors[level] * width
                if level in attention:
                    layers.append(_AttentionBlock(channels, head))
                if level and place == blocks:
                    layers.append(_ResBlock(channels, embedding, channels, 2))
                steps.append(_Step(*layers))
        self.output_blocks = nn.ModuleList(steps)
        self.out = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels), nn.SiLU(), nn.Conv2d(width, 6, 3, padding=1)
        )

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        """Noisy pictures [B 3 H W] and their times 0..999 [B] to [B 6 H W]."""
        embedding = self.time_embed(time_embedding(times, self.width))
        kept = []
        for block in self.input_blocks:
            x = block(x, embedding)
            kept.append(x)
        x = self.middle_block(x, embedding)
        for block in self.output_blocks:
            x = block(torch.cat([x, kept.pop()], dim=1), embedding)
        out: Tensor = self.out(x)
        return out
