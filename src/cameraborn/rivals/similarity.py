"""Training-free: how far an encoder's feature moves when its picture is disturbed a little.

RIGID (He, Chen and Ho, 2024, arXiv 2405.20112) adds noise and finds that generated pictures move further. Tsai et al.
(2024, arXiv 2411.19117) find that noise says little of faces and blur says more, and take the least of several
distances. Their encoder is DINOv2; here it is any encoder, by default the one that everyone can have.

Shapes: B pictures, H and W height and width, D features.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from cameraborn.photo.decode import Picture
from cameraborn.rivals.encoders import Tower
from cameraborn.rivals.published import RIVALS, Encoder, Publication, Rival

_RIGID_PUBLICATION = Publication(
    title="RIGID: a training-free and model-agnostic framework for robust AI-generated image detection",
    year=2024,
    paper="arXiv 2405.20112",
    code="IBM/RIGID, not at hand",
    code_licence="not known",
    weights_licence="that of the encoder",
    needs="An encoder's weights; the original's is DINOv2.",
    differs="Written from the paper's idea; another encoder, and noise that is the same for every picture.",
)
_BLUR_PUBLICATION = Publication(
    title="Understanding and improving training-free AI-generated image detections",
    year=2024,
    paper="arXiv 2411.19117",
    code="not at hand",
    code_licence="not known",
    weights_licence="that of the encoder",
    needs="An encoder's weights; the original's is DINOv2.",
    differs="Written from the abstract: blur alone, without the paper's contrast, and with another encoder.",
)

NOISE = 0.05  # deviation, of pictures in 0..1
BLUR = 0.8  # deviation of the Gaussian, pixels of the encoder's input
_DRAWS = 3  # of noise
_REACH = 4  # deviations that the blur's kernel reaches


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    """[B C H W] under a Gaussian of that deviation in pixels; edges are repeated."""
    reach = max(1, round(_REACH * sigma))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=pictures.device) / sigma).square())
    line = (line / line.sum()).to(pictures.dtype)
    C = pictures.shape[1]
    padded = F.pad(pictures, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, line.view(1, 1, -1, 1).expand(C, 1, -1, 1), groups=C)
    return F.conv2d(rows, line.view(1, 1, 1, -1).expand(C, 1, 1, -1), groups=C)


class _Similarity(Rival):
    """One less the cosine between the features of a picture and of the disturbed picture.

    Args:
        encoder: any; by default EfficientNet-Lite0.
    """

    trained = ()

    def __init__(self, encoder: Encoder | None = None) -> None:
        super().__init__()
        self.encoder = encoder or Tower("efficientnet-lite0")
        self.encoder.requires_grad_(False)
        self.parts = {f"encoder.{part}": network for part, network in self.encoder.parts.items()}
        self.loaded = {f"encoder.{part}": sha256 for part, sha256 in self.encoder.loaded.items()}

    def preprocess(self, picture: Picture) -> Tensor:
        """The encoder's input."""
        return self.encoder.preprocess(picture)

    def score(self, prepared: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to distances [B], 0..2."""
        self.encoder.eval()
        with torch.no_grad():
            return self.distance(prepared, self.encoder.compute(prepared))

    @abstractmethod
    def distance(self, pictures: Tensor, features: Tensor) -> Tensor:
        """Pictures and their features to distances [B]."""

    def by_noise(self, pictures: Tensor, features: Tensor) -> Tensor:
        """The mean distance under noise, the same noise for every picture."""
        deviation = pictures.new_tensor(self.encoder.statistics[1])[:, None, None]
        generator = torch.Generator().manual_seed(0)
        distances = []
        for _ in range(_DRAWS):
            noise = torch.randn(pictures.shape[1:], generator=generator).to(pictures)
            distances.append(self._moved(pictures + NOISE / deviation * noise, features))
        return torch.stack(distances).mean(dim=0)

    def by_blur(self, pictures: Tensor, features: Tensor) -> Tensor:
        """The distance under blur."""
        return self._moved(blurred(pictures, BLUR), features)

    def _moved(self, disturbed: Tensor, features: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(self.encoder.compute(disturbed), features, dim=1)


class Rigid(_Similarity):
    """By noise."""

    name = "rigid"
    publication = _RIGID_PUBLICATION

    def distance(self, pictures: Tensor, features: Tensor) -> Tensor:
        """By noise."""
        return self.by_noise(pictures, features)


class BlurSimilarity(_Similarity):
    """By blur."""

    name = "blur-similarity"
    publication = _BLUR_PUBLICATION

    def distance(self, pictures: Tensor, features: Tensor) -> Tensor:
        """By blur."""
        return self.by_blur(pictures, features)


class Minder(_Similarity):
    """The smaller of both, as the name (minimum distance detector) says."""

    name = "minder"
    publication = _BLUR_PUBLICATION

    def distance(self, pictures: Tensor, features: Tensor) -> Tensor:
        """The smaller of both."""
        return torch.minimum(self.by_noise(pictures, features), self.by_blur(pictures, features))


for _rival in (Rigid, BlurSimilarity, Minder):
    RIVALS.add(_rival.name, _rival)
