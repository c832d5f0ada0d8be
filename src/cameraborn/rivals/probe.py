"""Linear probes: what an encoder knows without being changed, as far as a linear map of its features tells it.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016, arXiv 1610.01644: a linear
classifier learns from the features of a network that is left as it is. They probe every layer; here it is an encoder's
last feature, as in UnivFD (CVPR 2023), and any encoder. A probe has no code or weights of others but its encoder's,
whose record, in `encoders.py`, is the probe's.

Shapes: B pictures, D features.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from cameraborn.photo.decode import Picture
from cameraborn.rivals.encoders import Tower
from cameraborn.rivals.published import NETWORKS, RIVALS, Encoder, Rival


def linear_head(features: int) -> nn.Linear:
    """One output, from small weights and no bias, as UnivFD starts."""
    head = nn.Linear(features, 1)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    return head


class LinearProbe(Rival):
    """A frozen encoder and a linear head, which is trained by binary cross-entropy."""

    trained = ("head",)

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.name, self.publication = f"probe-{encoder.name}", encoder.publication
        self.encoder = encoder.requires_grad_(False)
        self.head = linear_head(encoder.features)
        encoders = {f"encoder.{part}": network for part, network in encoder.parts.items()}
        self.parts = encoders | {"head": f"probe-head-{encoder.features}"}
        self.loaded = {f"encoder.{part}": sha256 for part, sha256 in encoder.loaded.items()}

    def preprocess(self, picture: Picture) -> Tensor:
        """The encoder's input."""
        return self.encoder.preprocess(picture)

    def prepare(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures to features [B D]."""
        self.encoder.eval()
        with torch.no_grad():
            return self.encoder.compute(batch)

    def score(self, prepared: Tensor) -> Tensor:
        """Features [B D] to log-odds of generated, [B]."""
        score: Tensor = self.head(prepared)
        return score.squeeze(1)


for _features in (512, 768, 1024, 1280):
    NETWORKS.add(f"probe-head-{_features}", partial(linear_head, _features))
for _name in ("efficientnet-lite0", "clip-vit-b16", "clip-rn50", "farl", "exif-as-language"):
    RIVALS.add(f"probe-{_name}", lambda name=_name: LinearProbe(Tower(name)))  # type: ignore[misc]
