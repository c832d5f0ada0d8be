"""SDAIE's binary detector: a classifier held near what photographs alone have taught.

A copy of the pretext network is frozen; a second network of the same architecture, on the same residual patches, is
trained with a head of two classes to tell generated pictures from photographs, and pays for every inner stage that
moves away from the frozen copy's (arXiv 2512.05651): loss = cross-entropy + alpha * sum of the mean squared
differences at five depths, alpha = 0.05. Whatever tells the training generators apart but says nothing of cameras is
so made dear.

Shapes: B pictures, P patches a picture, D features. Class 1 is generated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.patchnet import PatchNet
from cameraborn.networks.sdaie import SdaieNet

PatchEncoder = PatchNet | SdaieNet


def stages_of(encoder: PatchEncoder, patches: Tensor) -> list[Tensor]:
    """What an encoder makes of patches [B P 3 64 64] at five depths, and last the pictures' feature [B D].

    Of SDAIE's network: its four groups and the tokens before the transformer. Of the patch network with its usual four
    widths: the residuals, its three stages and the patches' features; the pictures' is their mean.
    """
    if isinstance(encoder, SdaieNet):
        return encoder.stages_of(patches)
    stages = encoder.stages_of(patches.flatten(0, 1))
    return [*stages, stages[-1].view(*patches.shape[:2], -1).mean(dim=1)]


class RegularisedClassifier(nn.Module):
    """The frozen pretext encoder, the trained one, and its head."""

    def __init__(self, frozen: PatchEncoder, encoder: PatchEncoder) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False).eval()
        self.encoder = encoder
        self.head = nn.Linear(encoder.features, 2)

    def train(self, mode: bool = True) -> RegularisedClassifier:
        """Set the mode; the frozen copy stays in evaluation."""
        super().train(mode)
        self.frozen.eval()
        return self

    def logits(self, patches: Tensor) -> Tensor:
        """Patches [B P 3 64 64], float in 0..255, to logits [B 2] of photograph and generated."""
        logits: Tensor = self.head(stages_of(self.encoder, patches)[-1])
        return logits

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B 2], and how far the inner stages are from the frozen ones: a scalar, the sum over depths."""
        *stages, feature = stages_of(self.encoder, patches)
        with torch.no_grad():
            *frozen, _ = stages_of(self.frozen, patches)
        distances = [
            F.mse_loss(ours.float(), theirs.float()) for ours, theirs in zip(stages, frozen, strict=True)
        ]
        return self.head(feature), torch.stack(distances).sum()

    def score(self, patches: Tensor) -> Tensor:
        """Patches [B P 3 64 64] to scores [B]: the log-odds of generated, higher = less like a photograph."""
        logits = self.logits(patches)
        return logits[:, 1] - logits[:, 0]
