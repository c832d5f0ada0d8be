"""ResNet-50 as AIGFD-EXIF uses it: the last layer's output, 768 numbers, is the feature of a face.

He et al., CVPR 2016, with the stride on the 3x3 convolution; parameters are named, shaped and initialised as in
torchvision, so that weights of others fit. AIGFD-EXIF (arXiv 2501.02207, section III-A) replaces `fc` by a linear map
of 2048 to 768 without activation and puts one linear head a task behind it.

Pixels are normalised inside, so whatever runs the network gives it grey levels 0..255 and cannot get that wrong.

Shapes: N pictures, S side, D features, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.section import InputKind, NetworkSection

NORMALISATIONS = {  # mean and standard deviation of red, green and blue in 0..1
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
EXPANSION = 4  # a bottleneck's output channels over its inner ones
_Count = Annotated[int, Field(ge=1)]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the identity, or beside a 1x1 convolution where the shape changes."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = inner * EXPANSION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, outer, 1, stride=stride, bias=False), nn.BatchNorm2d(outer))
            if stride > 1 or channels != outer
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N C H W] to [N 4*inner H/stride W/stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.shortcut(x, y))

    def shortcut(self, x: Tensor, y: Tensor) -> Tensor:
        """What is added to the convolutions' output y."""
        return x if self.downsample is None else self.downsample(x)


def stages(
    block: Callable[[int, int, int], nn.Module], depths: Sequence[int], width: int, expansion: int = EXPANSION
) -> list[nn.Sequential]:
    """Stages of blocks: each after the first halves the side and doubles the inner channels.

    Args:
        block: makes one of channels, inner channels and stride.
        depths: blocks of each stage.
        width: channels before the first stage, and its inner ones.
        expansion: a block's output channels over its inner ones.
    """
    channels, made = width, []
    for place, depth in enumerate(depths):
        inner, stride = width * 2**place, 1 if place == 0 else 2
        outer = inner * expansion
        blocks = [block(channels, inner, stride), *(block(outer, inner, 1) for _ in range(depth - 1))]
        made.append(nn.Sequential(*blocks))
        channels = outer
    return made


def initialise(network: nn.Module) -> None:
    """The starting values of torchvision's residual networks."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet(nn.Module):
    """The encoder.

    Args:
        layers: blocks in each of the four stages; (3, 4, 6, 3) is ResNet-50.
        width: channels of the first convolution; 64 in every published ResNet.
        features: D, outputs of `fc`.
        normalise: which mean and standard deviation; a name of `NORMALISATIONS`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        layers: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        features: int = 768,
        normalise: str = "clip",
    ) -> None:
        super().__init__()
        mean, deviation = NORMALISATIONS[normalise]
        # Not persistent: the state holds torchvision's names and nothing else.
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", 255 * torch.tensor(deviation)[:, None, None], persistent=False)
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(Bottleneck, layers, width)
        self.fc = nn.Linear(width * 2 ** (len(layers) - 1) * EXPANSION, features)
        initialise(self)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures [N 3 S S], float in 0..255, to features [N D]."""
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            x = (pixels - self.mean).div_(self.deviation)
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        # In full precision: ranks are differences of features, and those of half precision would be mostly ties.
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            feature: Tensor = self.fc(x.float().mean(dim=(2, 3)))
        return feature


class ResNetRanker(nn.Module):
    """The encoder with one linear head a pretext task."""

    def __init__(self, encoder: ResNet, head_sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.fc.out_features
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in head_sizes.items()})

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Pictures [N 3 S S], float in 0..255, to a task's outputs [N size]."""
        feature = self.encoder(pixels)
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            return {name: head(feature) for name, head in self.heads.items()}


class ResNetSection(NetworkSection):
    """Sizes of the ResNet; the defaults are AIGFD-EXIF's."""

    input_kind: ClassVar[InputKind] = "crop"

    type: Literal["resnet50"] = "resnet50"
    layers: tuple[_Count, _Count, _Count, _Count] = (3, 4, 6, 3)  # blocks of each stage
    width: int = Field(default=64, ge=1)
    features: int = Field(default=768, ge=1)
    normalise: Literal["clip", "imagenet"] = "clip"

    def encoder(self) -> ResNet:
        """The ResNet."""
        return ResNet(**self.encoder_sizes())

    def ranker(self, head_sizes: Mapping[str, int]) -> ResNetRanker:
        """The ResNet with its heads."""
        return ResNetRanker(self.encoder(), head_sizes)
