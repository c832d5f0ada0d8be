"""SDAIE's network: a picture's 64x64 patches in, one feature of 528 numbers out.

As published ("Self-Supervised AI-Generated Image Detection: A Camera Metadata Perspective", arXiv 2512.05651, sec. 3;
what the text leaves open is as the authors' public code does it): 30 fixed high-pass kernels on each colour channel,
convolutions with layer norms over whole maps, covariance pooling of each patch to a token of 528, and a transformer
of two layers over the tokens, without positions.

The authors take the *first patch's* token as the picture's feature. With `pool="first"` that is kept, for their
weights; it makes the feature depend on which patch comes first. By default the tokens are averaged, which no order of
patches can change (the transformer knows no positions).

Shapes: B pictures, P patches a picture, N = B*P patches, C channels, D = 528 features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.covariance import covariance, matrix_square_root, upper_triangle
from cameraborn.networks.section import InputKind, NetworkSection
from cameraborn.networks.srm import srm_kernels
from cameraborn.photo.patches import PATCH_SIZE

CHANNELS = 32
FEATURES = CHANNELS * (CHANNELS + 1) // 2
HEADS, HEAD_WIDTH, MLP_WIDTH, LAYERS = 4, 16, 128, 2
# Of CLIP's training pictures; the authors normalise with them. What lies beyond a border is this mean colour.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
Pool = Literal["mean", "first"]


class FoldedStem(nn.Module):
    """The 30 fixed 5x5 kernels on each colour channel, then a learned 3x3 convolution, as one 7x7 convolution.

    Both are linear, so away from the border one kernel, their composition, does exactly what the two do, at a sixth
    of the products. At the border it would not: the second convolution finds zeros where there are no residuals, and
    the composed kernel would go on to compute some from the pixels inside. There, those taps of the second
    convolution that reach outside are left out of the composition: nine kernels, for the corners, sides and inside,
    make it exact everywhere.

    The fixed kernels are kept with the weights, because a foreign checkpoint brings its own, in its own order.
    """

    kernels: Tensor  # [30 5 5]
    reach: (
        Tensor  # [9 9]: 1 where, at a place (its row here), a tap of the second convolution finds residuals
    )

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.from_numpy(srm_kernels()))
        self.mix = nn.Conv2d(90, channels, 3, padding=1)
        taps = torch.tensor([[0, 1, 1], [1, 1, 1], [1, 1, 0]], dtype=torch.float32)  # first, inner, last line
        self.register_buffer("reach", torch.kron(taps, taps), persistent=False)

    def folded(self) -> Tensor:
        """The composed kernels [9 C 3 7 7], for the lines first, inner, last times the columns likewise."""
        C = len(self.mix.weight)
        # What each tap adds: the mixture of the fixed kernels that it takes, laid where it takes them.
        taps = torch.einsum("ockyx,khw->yxochw", self.mix.weight.view(C, 3, 30, 3, 3), self.kernels)
        laid = [F.pad(taps[y, x], (x, 2 - x, y, 2 - y)) for y in range(3) for x in range(3)]
        return torch.einsum("pt,tochw->pochw", self.reach, torch.stack(laid))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [N 3 H W] to mixed residuals [N C H W]; beyond the border both convolutions find zeros."""
        x = F.pad(x, (3, 3, 3, 3))
        parts = (slice(None, 7), slice(1, -1), slice(-7, None))
        kernels = self.folded()
        lines = [
            [
                F.conv2d(x[:, :, rows, columns], kernels[3 * i + j], self.mix.bias)
                for j, columns in enumerate(parts)
            ]
            for i, rows in enumerate(parts)
        ]
        return torch.cat([torch.cat(line, dim=3) for line in lines], dim=2)


class MapNorm(nn.LayerNorm):
    """A layer norm over a whole map [C H W], which leaves a channels-last map channels-last.

    PyTorch's own would copy it to the other layout, and the next convolution back, at the price of a convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N C H W] to the same shape."""
        if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        C, H, W = self.normalized_shape
        weight, bias = self.weight.permute(1, 2, 0), self.bias.permute(1, 2, 0)
        return F.layer_norm(x.permute(0, 2, 3, 1), (H, W, C), weight, bias, self.eps).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """A layer of the transformer: attention, then a perceptron, each behind a norm and beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_WIDTH
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, MLP_WIDTH), nn.GELU(), nn.Linear(MLP_WIDTH, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [B P D] to the same shape."""
        B, P, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, P, 3, HEADS, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v)  # [B heads P width]
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        x = x + self.mlp(self.norm2(x))
        return x


class SdaieNet(nn.Module):
    """Encoder of sets of patches: [B P 3 64 64] in grey levels to features [B 528]."""

    mean: Tensor
    std: Tensor

    def __init__(self, *, pool: Pool = "mean") -> None:
        super().__init__()
        self.pool = pool
        self.features = FEATURES
        self.register_buffer("mean", 255 * torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD)[:, None, None], persistent=False)
        self.stem = FoldedStem(CHANNELS)
        self.stem_norm = MapNorm([CHANNELS, PATCH_SIZE, PATCH_SIZE])
        self.groups = nn.ModuleList(
            [
                _group(4, PATCH_SIZE, pooled=True),
                _group(2, PATCH_SIZE // 2, pooled=True),
                _group(2, PATCH_SIZE // 4, pooled=True),
                _group(2, PATCH_SIZE // 8, pooled=False),
            ]
        )
        self.layers = nn.ModuleList([Attention(FEATURES) for _ in range(LAYERS)])

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [B P 3 64 64], float in 0..255, to features [B 528]."""
        return self.stages_of(patches)[-1]

    def stages_of(self, patches: Tensor) -> list[Tensor]:
        """What is made of patches [B P 3 64 64] on the way, and the feature.

        Returns:
            The four groups' maps [N 32 h h] of h = 32, 16, 8, 8 and the tokens before the transformer [B P 528], which
            are the authors' f1 to f5; last the feature [B 528].
        """
        B, P = patches.shape[:2]
        # In full precision: residuals of one grey level drown in the rounding of bfloat16 pixels.
        with torch.autocast(device_type=patches.device.type, enabled=False):
            pixels = (patches.flatten(0, 1).float() - self.mean) / self.std
            x = F.hardtanh(self.stem_norm(self.stem(pixels)), -5.0, 5.0)
        stages = []
        for group in self.groups:
            x = group(x)
            stages.append(x)
        with torch.autocast(device_type=patches.device.type, enabled=False):
            root = matrix_square_root(covariance(x.float()))
            tokens = upper_triangle(root).view(B, P, FEATURES)
        stages.append(tokens)
        for layer in self.layers:
            tokens = layer(tokens)
        return [*stages, tokens[:, 0] if self.pool == "first" else tokens.mean(dim=1)]


def _group(convolutions: int, side: int, *, pooled: bool) -> nn.Sequential:
    """Convolutions of maps [N 32 side side], each with a norm over the whole map; then perhaps half the side."""
    modules: list[nn.Module] = []
    for _ in range(convolutions):
        modules += [
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            MapNorm([CHANNELS, side, side]),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*modules, *([nn.AvgPool2d(3, stride=2, padding=1)] if pooled else []))


class SdaieRanker(nn.Module):
    """The encoder with one linear head a pretext task, on the picture's feature."""

    def __init__(self, encoder: SdaieNet, head_sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(FEATURES, size) for name, size in head_sizes.items()})

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Patches [B P 3 64 64], float in 0..255, to a task's outputs [B size]."""
        feature = self.encoder(patches)
        return {name: head(feature) for name, head in self.heads.items()}


class SdaieSection(NetworkSection):
    """SDAIE's network, whose sizes are fixed."""

    input_kind: ClassVar[InputKind] = "patch-set"

    type: Literal["sdaie"] = "sdaie"
    # How the patches' tokens become one feature; `first` is the authors', and depends on the patches' order.
    pool: Pool = "mean"

    @property
    def features(self) -> int:
        """Width of the feature."""
        return FEATURES

    @property
    def tiles(self) -> bool:
        """With the authors' feature go the authors' patches: which patch is the first decides."""
        return self.pool == "first"

    def encoder(self) -> SdaieNet:
        """SDAIE's network."""
        return SdaieNet(pool=self.pool)

    def ranker(self, head_sizes: Mapping[str, int]) -> SdaieRanker:
        """SDAIE's network with its heads."""
        return SdaieRanker(self.encoder(), head_sizes)
