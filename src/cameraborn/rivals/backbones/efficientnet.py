"""EfficientNet under the names of the PyTorch packages `efficientnet_pytorch` and `efficientnet_lite_pytorch`.

Tan and Le, ICML 2019, arXiv 1905.11946. Inverted residuals: wider by a 1x1 convolution, one depthwise convolution,
narrower by another. The lite form has no squeeze-and-excitation, ReLU6 for swish, and a stem and head of fixed width.
Padding is TensorFlow's: as much as makes the output ceil(size / stride), the odd pixel below and to the right.

Shapes: B pictures, C channels, H and W height and width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STAGES = (  # blocks, kernel, stride, expansion, channels; of B0 and of Lite0
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_DIVISOR = 8  # of channels
_SQUEEZE = 4  # a block's channels over those of its squeeze
_STOCHASTIC_DEPTH = 0.2  # of the last block in training, falling to 0 at the first


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's padding."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, *, groups: int = 1, bias: bool = False
    ) -> None:
        super().__init__(channels, out, kernel, stride=stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        bottom, right = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]
        )
        x = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        return super().forward(x)


class _Block(nn.Module):
    """An inverted residual."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, expansion: int, *, lite: bool, drop: float
    ) -> None:
        super().__init__()
        wide = channels * expansion
        self.drop = drop
        self.identity = stride == 1 and channels == out
        if expansion > 1:
            self._expand_conv = _SameConv(channels, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        if not lite:
            squeezed = max(1, channels // _SQUEEZE)
            self._se_reduce = _SameConv(wide, squeezed, 1, bias=True)
            self._se_expand = _SameConv(squeezed, wide, 1, bias=True)
        self._project_conv = _SameConv(wide, out, 1)
        self._bn2 = _norm(out)
        self._swish = nn.ReLU6() if lite else nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x
        if hasattr(self, "_expand_conv"):
            y = self._swish(self._bn0(self._expand_conv(y)))
        y = self._swish(self._bn1(self._depthwise_conv(y)))
        if hasattr(self, "_se_reduce"):
            squeezed = self._se_expand(self._swish(self._se_reduce(y.mean(dim=(2, 3), keepdim=True))))
            y = torch.sigmoid(squeezed) * y
        projected: Tensor = self._bn2(self._project_conv(y))
        if not self.identity:
            return projected
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            projected = projected * kept / (1 - self.drop)
        return x + projected


class EfficientNet(nn.Module):
    """The network.

    Args:
        width, depth: factors of B0's channels and of its numbers of blocks.
        lite: the lite form.
        outputs: of the last linear layer.
        dropout: before that layer.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        lite: bool = False,
        outputs: int = 1000,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        channels = _STEM if lite else _rounded(_STEM, width)
        self._conv_stem = _SameConv(3, channels, 3, 2)
        self._bn0 = _norm(channels)
        plan: list[
            tuple[int, int, int, int, int]
        ] = []  # channels before and behind, kernel, stride, expansion
        for place, (blocks, kernel, stride, expansion, wide) in enumerate(_STAGES):
            fixed = lite and place in (0, len(_STAGES) - 1)
            out = _rounded(wide, width)
            for repeat in range(blocks if fixed else math.ceil(depth * blocks)):
                plan.append((channels, out, kernel, stride if repeat == 0 else 1, expansion))
                channels = out
        self._blocks = nn.ModuleList(
            _Block(*block, lite=lite, drop=_STOCHASTIC_DEPTH * place / len(plan))
            for place, block in enumerate(plan)
        )
        self.features = _HEAD if lite else _rounded(_HEAD, width)
        self._conv_head = _SameConv(channels, self.features, 1)
        self._bn1 = _norm(self.features)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(self.features, outputs)
        self._swish = nn.ReLU6() if lite else nn.SiLU()

    def pooled(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to the mean of the last map, [B features]."""
        x = self._swish(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        maps: Tensor = self._swish(self._bn1(self._conv_head(x)))
        return maps.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to [B outputs]."""
        out: Tensor = self._fc(self._dropout(self.pooled(x)))
        return out


def _rounded(channels: int, factor: float) -> int:
    """Channels times a factor, to a multiple of eight, and by no more than a tenth less."""
    wanted = channels * factor
    rounded = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * wanted else rounded
