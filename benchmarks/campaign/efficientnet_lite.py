"""EfficientNet-Lite0 with one logit, fine-tuned end to end."""

from __future__ import annotations

from torch import Tensor, nn

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
