"""A residual patch network: 64x64 patches in, one feature a picture out.

It begins as SDAIE does (arXiv 2512.05651, section 3: high-pass kernels on 64x64 patches) and goes on smaller, so that
two CPU cores can train it: strided residual blocks instead of covariance pooling, and the mean and spread of the
last map (or of every stage's) instead of a transformer over patches. Averaging over patches makes the feature
independent of their order.

Shapes: B pictures, P patches a picture, D features, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.section import InputKind, NetworkSection
from cameraborn.networks.spectrum import NUMBERS, Spectrum
from cameraborn.networks.srm import srm_kernels

GREY_LEVELS_PER_UNIT = 10.0  # brings the residuals of an ordinary photograph to about unit size
COLOURS = 12  # numbers that `colours_of` gives


class ResidualStem(nn.Module):
    """Learned mixtures of the 30 fixed high-pass kernels on each colour channel.

    A fixed convolution followed by a 1x1 one is linear, so both are folded, exactly, into a single 5x5
    convolution of 3 to `channels` maps. No padding: a border of zeros would look like an edge.
    """

    kernels: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.from_numpy(srm_kernels()), persistent=False)
        self.mixture = nn.Parameter(torch.randn(channels, 3, 30) / 90**0.5)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N 3 H W] in grey levels 0..255 to residuals [N channels H-4 W-4]."""
        folded = torch.einsum("crk,khw->crhw", self.mixture, self.kernels) / GREY_LEVELS_PER_UNIT
        return F.conv2d(patches, folded)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N C H W] to the same shape."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class PatchNet(nn.Module):
    """Patch encoder: [N 3 64 64] in grey levels to features [N D].

    The feature is linear in the mean and spread of the last stage's maps; with `pool="all"` in the mean and the
    log spread of the residuals' and every stage's, standardised. The strength of noise and of JPEG's
    frequencies is then seen at once, and needs not be carried through every stage. With `spectrum` it is also made of
    what one layer reads in the patch's `Spectrum`.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (16, 32, 64, 128),
        blocks: int = 1,
        features: int = 256,
        dropout: float = 0.0,
        pool: Literal["last", "all"] = "last",
        spectrum: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.stem = ResidualStem(widths[0])
        stages: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            stages += [
                nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
            stages += [ResidualBlock(wide) for _ in range(blocks)]
        self.stages = nn.Sequential(*stages)
        self.stage_length = 3 + blocks  # modules
        self.dropout = nn.Dropout(dropout)
        pooled = 2 * (widths[-1] if pool == "last" else sum(widths))
        self.standardise = nn.Identity() if pool == "last" else nn.BatchNorm1d(pooled)
        self.spectrum = _reader_of_spectra(features, dropout) if spectrum else None
        self.project = nn.Linear(pooled + (features if spectrum else 0), features)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N 3 64 64], float in 0..255, to features [N D]."""
        return self.stages_of(patches)[-1]

    def stages_of(self, patches: Tensor) -> list[Tensor]:
        """What is made of patches [N 3 64 64] on the way: the residuals, each stage's maps [N C h h], the features."""
        # The stem stays in full precision: residuals of one grey level drown in the rounding of bfloat16 pixels.
        with torch.autocast(device_type=patches.device.type, enabled=False):
            x = F.hardtanh(self.stem(patches.float()), -3.0, 3.0)
        stages = [x]
        for start in range(0, len(self.stages), self.stage_length):
            x = self.stages[start : start + self.stage_length](x)
            stages.append(x)
        # In full precision again: the variance of a map is a difference of large numbers.
        with torch.autocast(device_type=patches.device.type, enabled=False):
            if self.pool == "last":
                pooled = torch.cat(_mean_and_spread(x), dim=1)
            else:
                both = [_mean_and_spread(stage) for stage in stages]
                pooled = torch.cat([part for mean, spread in both for part in (mean, spread.log())], dim=1)
            seen = self.dropout(self.standardise(pooled))
            if self.spectrum is not None:
                seen = torch.cat([seen, self.spectrum(patches)], dim=1)
            feature: Tensor = self.project(seen)
        return [*stages, feature]


def _reader_of_spectra(features: int, dropout: float) -> nn.Sequential:
    standardise, layer = nn.BatchNorm1d(NUMBERS), nn.Linear(NUMBERS, features)
    return nn.Sequential(Spectrum(), standardise, nn.Dropout(dropout), layer, nn.ReLU())


def _mean_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Over the places of maps [N C h w], each [N C]."""
    x = maps.float().flatten(2)
    mean = x.mean(dim=2)
    return mean, ((x - mean[:, :, None]).square().mean(dim=2) + 1e-4).sqrt()


def colours_of(patches: Tensor) -> Tensor:
    """How light patches [B P 3 H W] are: of each channel mean, spread, mean log and maximum, [B COLOURS]."""
    levels = patches.float().flatten(3) / 255
    of_patches = [
        levels.mean(dim=3),
        levels.std(dim=3),
        (levels + 0.02).log().mean(dim=3),
        levels.amax(dim=3),
    ]
    return torch.cat(of_patches, dim=2).mean(dim=1)


class PatchRanker(nn.Module):
    """The encoder with one linear head a pretext task, on the mean feature of a picture's patches.

    With `colour` the heads are told how light the picture is, which the residuals do not say: what noise means for
    the ISO depends on it. The feature itself stays free of it.
    """

    def __init__(self, encoder: nn.Module, head_sizes: Mapping[str, int], *, colour: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.colours = nn.BatchNorm1d(COLOURS) if colour else None
        width = int(encoder.features) + (COLOURS if colour else 0)  # type: ignore[arg-type]  # an encoder has it
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in head_sizes.items()})

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Patches [B P 3 64 64] to a task's outputs [B size]."""
        B, P = patches.shape[:2]
        feature = self.encoder(patches.flatten(0, 1)).view(B, P, -1).mean(dim=1)
        if self.colours is not None:
            feature = torch.cat([feature, self.colours(colours_of(patches))], dim=1)
        return {name: head(feature) for name, head in self.heads.items()}


class PatchNetworkSection(NetworkSection):
    """Sizes of the patch network."""

    input_kind: ClassVar[InputKind] = "patches"
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type", "colour"})

    type: Literal["patch"] = "patch"
    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: int = Field(default=1, ge=1)
    features: int = Field(default=256, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)  # before the last layer
    pool: Literal["last", "all"] = "last"  # stages whose maps the feature is made of
    spectrum: bool = False  # whether the feature is also made of the strengths of frequencies
    colour: bool = False  # whether the heads, not the feature, are told how light the picture is

    def encoder(self) -> PatchNet:
        """The patch network."""
        return PatchNet(**self.encoder_sizes())

    def ranker(self, head_sizes: Mapping[str, int]) -> PatchRanker:
        """The patch network with its heads."""
        return PatchRanker(self.encoder(), head_sizes, colour=self.colour)
