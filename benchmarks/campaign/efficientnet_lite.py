"""EfficientNet-Lite0 with one logit, fine-tuned end to end; and frozen, for statistics of its maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.efficientnet_lite import FEATURES, EfficientNetLite


class EfficientNetLogit(EfficientNetLite):
    """Pictures [N 3 H W] in grey levels 0..255 to a logit each [N]; high is generated."""

    def __init__(self, *, stem_stride: int = 2, residual: bool = False, dropout: float = 0.2) -> None:
        super().__init__(stem_stride=stem_stride, residual=residual)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(FEATURES, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N 3 H W] to [N]."""
        logit: Tensor = self.out(self.dropout(super().forward(pixels)))[:, 0]
        return logit


class EfficientNetStatistics(EfficientNetLite):
    """Patches [N 3 H W] in grey levels 0..255 to [N 1984]: the spread of maps of a network that knows no generator.

    Mean and standard deviation over places of the maps behind the stem and behind each stage but the last, as texture
    is described (Gatys, Ecker and Bethge, NeurIPS 2015): of the pixels, and of what is left of them beyond the mean of
    their neighbours, amplified.
    """

    GAIN, MIDDLE = 6.0, 127.0  # of the residual, in grey levels
    ENDS = (0, 2, 4, 7, 10, 14)  # blocks

    def forward(self, pixels: Tensor) -> Tensor:
        """[N 3 H W] to [N 1984]."""
        smooth = F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
        residual = ((pixels - smooth) * self.GAIN + self.MIDDLE).clamp(0, 255)
        return torch.cat([*self._statistics(pixels), *self._statistics(residual)], dim=1)

    def _statistics(self, pixels: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem((pixels - 127) / 128)))
        found = spread(x)
        for number, block in enumerate(self._blocks[: self.ENDS[-1] + 1]):
            x = block(x)
            found += spread(x) if number in self.ENDS else []
        return found


def spread(maps: Tensor) -> list[Tensor]:
    """Mean and standard deviation over the places of maps [N C H W]: [N C] each."""
    mean = maps.mean(dim=(2, 3))
    return [mean, ((maps - mean[:, :, None, None]) ** 2).mean(dim=(2, 3)).sqrt()]
