"""CLIP's picture towers, under OpenAI's names: vision transformers, and a residual network with attention pooling.

Radford et al., ICML 2021, arXiv 2103.00020. In the published state every name has `visual.` before it; the text tower
beside it is not read here.

Shapes: B pictures, L = 1 + positions, W width, E of the joint space, S side, G = S / 32.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.clip import Block

_HEAD = 64  # channels of an attention head, in every published tower


class VisionTransformer(nn.Module):
    """Patches as tokens beside one for the whole picture, whose last state is projected to the joint space.

    Args:
        side: of the pictures, pixels.
        patch: side of a patch, pixels.
        width, layers: of the transformer.
        features: E.
    """

    def __init__(self, *, patch: int, width: int, layers: int, features: int, side: int = 224) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn((side // patch) ** 2 + 1, width) * width**-0.5)
        self.ln_pre = nn.LayerNorm(width)
        blocks = nn.Sequential(*(Block(width, width // _HEAD, causal=False) for _ in range(layers)))
        self.transformer = nn.ModuleDict({"resblocks": blocks})
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, features) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 S S] to features [B E], not of unit length."""
        patches = self.conv1(x).flatten(2).transpose(1, 2)
        whole = self.class_embedding.expand(len(x), 1, -1)
        tokens = self.ln_pre(torch.cat([whole, patches], dim=1) + self.positional_embedding)
        out: Tensor = self.ln_post(self.transformer["resblocks"](tokens)[:, 0]) @ self.proj
        return out


class _ResidualBlock(nn.Module):
    """Three convolutions of stride 1; where the side is halved, by averaging."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = 4 * inner
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.avgpool = nn.AvgPool2d(stride)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or channels != outer:
            conv, norm = nn.Conv2d(channels, outer, 1, bias=False), nn.BatchNorm2d(outer)
            self.downsample = nn.Sequential(OrderedDict({"-1": nn.AvgPool2d(stride), "0": conv, "1": norm}))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.avgpool(F.relu(self.bn2(self.conv2(y))))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """One query, the mean of all positions, attends to them and itself.

    Args:
        grid: G, positions along a side.
        width: channels of the map.
        features: E.
    """

    def __init__(self, grid: int, width: int, features: int) -> None:
        super().__init__()
        self.heads = width // _HEAD
        self.positional_embedding = nn.Parameter(torch.randn(grid**2 + 1, width) * width**-0.5)
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, features)

    def forward(self, maps: Tensor) -> Tensor:
        """[B W G G] to [B E]."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + self.positional_embedding
        q, k, v = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens))
        )
        y = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.c_proj(y.transpose(1, 2).flatten(1))
        return out


class ModifiedResNet(nn.Module):
    """A residual network with three convolutions at its beginning, averaging for strides, and attention pooling.

    Args:
        layers: blocks of each stage.
        width: channels of the first stage's inner convolutions.
        features: E.
        side: of the pictures, pixels.
    """

    def __init__(
        self, *, layers: Sequence[int] = (3, 4, 6, 3), width: int = 64, features: int = 1024, side: int = 224
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        channels = width
        for place, depth in enumerate(layers):
            inner = width * 2**place
            blocks = [_ResidualBlock(channels, inner, 2 if place else 1)]
            blocks += [_ResidualBlock(4 * inner, inner, 1) for _ in range(depth - 1)]
            self.add_module(f"layer{place + 1}", nn.Sequential(*blocks))
            channels = 4 * inner
        self.attnpool = AttentionPool(side // 32, channels, features)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 S S] to features [B E], not of unit length."""
        for place in (1, 2, 3):
            conv, norm = self.get_submodule(f"conv{place}"), self.get_submodule(f"bn{place}")
            x = F.relu(norm(conv(x)))
        x = F.avg_pool2d(x, 2)
        for place in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{place}")(x)
        out: Tensor = self.attnpool(x)
        return out


def picture_tower(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a whole CLIP's state the picture tower; the rest, of texts, is left out."""
    return {key.removeprefix("visual."): value for key, value in weights.items() if key.startswith("visual.")}
