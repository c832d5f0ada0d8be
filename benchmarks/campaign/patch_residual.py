"""The package's `PatchNet` with one logit, for comparison."""

from __future__ import annotations

from torch import Tensor, nn

from cameraborn.networks.patchnet import PatchNet


class PatchResidual(nn.Module):
    """Pictures [N 3 H W] in grey levels to a logit each [N]; high is generated."""

    def __init__(self, blocks: int = 1) -> None:
        super().__init__()
        self.encoder = PatchNet(pool="all", blocks=blocks)
        self.out = nn.Linear(self.encoder.features, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N 3 H W] to [N]."""
        logit: Tensor = self.out(self.encoder(pixels))[:, 0]
        return logit
