"""LGrad: a picture's gradient through a network that was taught something else, read by a ResNet-50.

Tan et al., "Learning on gradients: generalized artifacts representation for GAN-generated images detection", CVPR
2023. The network is StyleGAN's discriminator of bedrooms; others may take its place, as an ablation: those of `OTHERS`
by name, among them any network in the layout of torchvision's ResNet-50, and in Python any function of pictures. Such
a rival bears another name.

Shapes: B pictures, S side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn

from cameraborn.errors import RecipeError
from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.resnet import ResNet50
from cameraborn.rivals.backbones.stylegan import StyleGanDiscriminator
from cameraborn.rivals.encoders import GREY_LEVELS, LITE_STATISTICS
from cameraborn.rivals.inputs import HALVES, IMAGENET, by_pillow, normalised, to_tensor
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Grown, Layout, Publication, Rival

_PUBLICATION = Publication(
    title="Learning on gradients: generalized artifacts representation for GAN-generated images detection",
    year=2023,
    paper="CVPR 2023",
    code="https://github.com/chuangchuangtan/LGrad",
    code_licence="none given",
    weights_licence="classifier: none given; StyleGAN's discriminator: CC BY-NC 4.0 (NVIDIA)",
    needs="The weights of StyleGAN's discriminator of bedrooms; for its recipe, ResNet-50's of ImageNet.",
    differs="The deviation over a batch is taken over single pictures, as with the public code's batches of one. "
    "The recipe starts from ImageNet's weights, as its authors do, only where its `start` names them.",
)

SIDE = 256  # pixels
OTHERS = {  # networks in the discriminator's place: mean and deviation of what they see
    "resnet50": IMAGENET,
    "efficientnet-lite0": LITE_STATISTICS,
    "exif-as-language": GREY_LEVELS,
}


def gradient_pictures(function: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """The gradient of a function's sum by its pictures [B 3 S S], each stretched to 0..1 and rounded to 255 levels.

    The function must not let pictures influence each other; then the gradient of the sum is that of each.
    """
    with torch.enable_grad():
        seen = pictures.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(seen).sum(), seen)
    gradient = gradient - gradient.amin(dim=(1, 2, 3), keepdim=True)
    greatest = gradient.amax(dim=(1, 2, 3), keepdim=True)
    stretched = gradient / torch.where(greatest > 0, greatest, 1)
    return (255 * stretched).round() / 255


class LGrad(Rival):
    """LGrad with its own input; the loss is binary cross-entropy.

    Args:
        function: pictures in -1..1 [B 3 256 256] to any numbers, in place of the published discriminator; the rival
            is then called `lgrad*`.
    """

    name = "lgrad"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {
        "discriminator": "stylegan-discriminator",
        "network": "lgrad-classifier",
    }
    trained = ("network",)
    discriminator: nn.Module

    def __init__(self, function: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        if function is None:
            self.discriminator = StyleGanDiscriminator(SIDE).requires_grad_(False)
        else:
            self.name = f"{self.name}*"
            self.parts = {"network": self.parts["network"]}
        self.function = function or (lambda pictures: self.discriminator(pictures, group=1))
        self.network = ResNet50()

    def preprocess(self, picture: Picture) -> Tensor:
        """Resized to 256 x 256 by Pillow, in -1..1."""
        return normalised(to_tensor(by_pillow(picture.pixels, SIDE, SIDE, Image.Resampling.BILINEAR)), HALVES)

    def prepare(self, batch: Tensor) -> Tensor:
        """Pictures to their gradients, with ImageNet's mean and deviation, [B 3 256 256]."""
        return normalised(gradient_pictures(self.function, batch), IMAGENET)

    def score(self, prepared: Tensor) -> Tensor:
        """Log-odds of generated, [B]."""
        score: Tensor = self.network(prepared)
        return score.squeeze(1)


class LGradOf(LGrad):
    """LGrad by the gradients of another network, all of whose outputs are summed; its name says which.

    Args:
        network: a name of `OTHERS`.
    """

    def __init__(self, network: str) -> None:
        super().__init__(self._outputs)
        self.name, self._statistics = f"lgrad-{network}", OTHERS[network]
        self.publication = replace(
            self.publication,
            weights_licence="that of the network",
            needs=f"The weights of {network}.",
            differs=f"An ablation: {network} in the place of StyleGAN's discriminator.",
        )
        self.discriminator = NETWORKS[network]().requires_grad_(False)
        self.parts = {"discriminator": network, "network": "lgrad-classifier"}

    def _outputs(self, pictures: Tensor) -> Tensor:
        """Pictures in -1..1, brought to what the network sees, to its outputs."""
        outputs: Tensor = self.discriminator(normalised((pictures + 1) / 2, self._statistics))
        return outputs


class AnyResNet50(ResNet50, Grown):
    """ResNet-50 with as many outputs as its weights bring: ImageNet's thousand, or the one of a discriminator."""

    def __init__(self) -> None:
        super().__init__(outputs=1000)

    def grow(self, weights: Mapping[str, Tensor]) -> None:
        """Take on the number of outputs that the weights have."""
        last = weights.get("fc.weight")
        if last is not None and last.ndim == 2 and last.shape[1] == self.fc.in_features:
            self.fc = nn.Linear(self.fc.in_features, len(last), device=self.fc.weight.device).requires_grad_(
                False
            )


def _grown(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The discriminator's weights, if its progressive growing has ended.

    Raises:
        RecipeError: it has not.
    """
    if float(weights.get("lod", torch.zeros(()))) != 0:
        raise RecipeError("the discriminator's growing has not ended (lod is not 0): take a finished one")
    return dict(weights)


NETWORKS.add("stylegan-discriminator", StyleGanDiscriminator)
NETWORKS.add("lgrad-classifier", ResNet50)
LAYOUTS.add(
    "genforce-stylegan-discriminator",
    Layout(
        "stylegan-discriminator",
        "karras2019stylegan-bedrooms-256x256_discriminator.pth",
        f"the links in {_PUBLICATION.code} (StyleGAN's weights, converted with genforce)",
        translate=_grown,
    ),
)
LAYOUTS.add(
    "lgrad",
    Layout(
        "lgrad-classifier",
        "LGrad-4class-Trainon-Progan_car_cat_chair_horse.pth",
        f"the links in {_PUBLICATION.code}",
    ),
)
NETWORKS.add("resnet50", AnyResNet50)
LAYOUTS.add(
    "resnet50",
    Layout(
        "resnet50",
        "resnet50-11ad3fa6.pth",
        "https://download.pytorch.org/models (or any other ResNet-50 in torchvision's layout)",
    ),
)
RIVALS.add("lgrad", LGrad)
for _network in OTHERS:
    RIVALS.add(f"lgrad-{_network}", partial(LGradOf, _network))
