"""UnivFD: CLIP's feature of a picture and a linear map of it, or the nearest of two banks of features.

Ojha, Li and Lee, "Towards universal fake image detectors that generalize across generative models", CVPR 2023, arXiv
2302.10174.

Shapes: B pictures, N pictures of a bank, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.photo.decode import Picture
from cameraborn.rivals.encoders import SIDE
from cameraborn.rivals.inputs import CLIP, centre_crop, normalised, to_tensor
from cameraborn.rivals.probe import linear_head
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, TRAINED, Grown, Layout, Publication, Rival

_PUBLICATION = Publication(
    title="Towards universal fake image detectors that generalize across generative models",
    year=2023,
    paper="CVPR 2023, arXiv 2302.10174",
    code="https://github.com/WisconsinAIVision/UniversalFakeDetect",
    code_licence="MIT",
    weights_licence="MIT",
    needs="CLIP ViT-L/14's weights.",
    differs="A picture smaller than 224 pixels is framed with black, as torchvision's crop does.",
)

FEATURES = 768  # of CLIP ViT-L/14


class _OnClip(Rival):
    """A rival that reads the picture's middle 224 x 224 pixels, not resized, through CLIP ViT-L/14."""

    publication = _PUBLICATION

    def __init__(self) -> None:
        super().__init__()
        self.tower = NETWORKS["clip-vit-l14"]().requires_grad_(False)

    def preprocess(self, picture: Picture) -> Tensor:
        """The middle square of 224 pixels with CLIP's mean and deviation, [3 224 224]."""
        return normalised(to_tensor(centre_crop(picture.pixels, SIDE)), CLIP)

    def prepare(self, batch: Tensor) -> Tensor:
        """Pictures to CLIP's features [B 768], not of unit length."""
        with torch.no_grad():
            features: Tensor = self.tower(batch)
        return features


class UnivFD(_OnClip):
    """The linear form: only the head is trained, by binary cross-entropy."""

    name = "univfd"
    parts: Mapping[str, str] = {"tower": "clip-vit-l14", "head": "univfd-head"}
    trained = ("head",)

    def __init__(self) -> None:
        super().__init__()
        self.head = linear_head(FEATURES)

    def score(self, prepared: Tensor) -> Tensor:
        """Features [B 768] to log-odds of generated, [B]."""
        score: Tensor = self.head(prepared)
        return score.squeeze(1)


class Banks(Grown):
    """Unit features of pictures known to be genuine, [N D], and generated, [N' D]; empty until filled."""

    genuine: Tensor
    generated: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("genuine", torch.zeros(0, features))
        self.register_buffer("generated", torch.zeros(0, features))


class UnivFDNearest(_OnClip):
    """The nearest-neighbour form: cosine to the nearest generated picture less that to the nearest genuine one."""

    name = "univfd-nearest"
    parts: Mapping[str, str] = {"tower": "clip-vit-l14", "banks": "univfd-banks"}
    trained = ("banks",)

    def __init__(self) -> None:
        super().__init__()
        self.banks = Banks(FEATURES)

    def remember(self, prepared: Tensor, generated: Tensor) -> None:
        """Fill the banks: that is all the training there is.

        Args:
            prepared: features [N D].
            generated: bool or 0 and 1, [N].

        Raises:
            RecipeError: one of the two kinds is not among them.
        """
        fake = generated.bool()
        if not bool(fake.any()) or bool(fake.all()):
            raise RecipeError(f"{self.name}: needs genuine and generated pictures: give both")
        unit = F.normalize(prepared, dim=1)
        self.banks.genuine, self.banks.generated = unit[~fake], unit[fake]
        self.loaded["banks"] = TRAINED

    def score(self, prepared: Tensor) -> Tensor:
        """Features [B D] to a difference of cosines, [B]."""
        unit = F.normalize(prepared, dim=1)
        nearest = [(unit @ bank.T).amax(dim=1) for bank in (self.banks.generated, self.banks.genuine)]
        return nearest[0] - nearest[1]

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """There is none.

        Raises:
            RecipeError: always; `remember` takes the pictures' features.
        """
        raise RecipeError(f"{self.name}: it has no loss: fill its banks with remember()")


NETWORKS.add("univfd-head", partial(linear_head, FEATURES))
NETWORKS.add("univfd-banks", lambda: Banks(FEATURES))
LAYOUTS.add(
    "univfd-head", Layout("univfd-head", "fc_weights.pth", f"pretrained_weights of {_PUBLICATION.code}")
)
RIVALS.add("univfd", UnivFD)
RIVALS.add("univfd-nearest", UnivFDNearest)
