"""NPR: what a pixel differs from its neighbour by, read by the first half of a residual network.

Tan et al., "Rethinking the up-sampling operations in CNN-based generative network for generalizable deepfake
detection", CVPR 2024, arXiv 2312.10461. A generator that doubles the side of its maps leaves neighbours alike; taking
every second pixel, doubling it and subtracting shows how much.

Shapes: B pictures, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.resnet import EXPANSION, Bottleneck, initialise, stages
from cameraborn.photo.decode import Picture
from cameraborn.rivals.inputs import IMAGENET, by_pillow, normalised, to_tensor
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, WholeNetwork

_PUBLICATION = Publication(
    title="Rethinking the up-sampling operations in CNN-based generative network",
    year=2024,
    paper="CVPR 2024, arXiv 2312.10461",
    code="https://github.com/chuangchuangtan/NPR-DeepfakeDetection",
    code_licence="none given",
    weights_licence="none given",
    needs="Nothing more.",
    differs="A picture of odd height or width loses its last row or column; the public code fails on it.",
)

SIDE = 256  # pixels
GAIN = 2 / 3  # the public code's, before the first convolution


def neighbour_residual(pictures: Tensor) -> Tensor:
    """[B C H W] less every second pixel enlarged to twice its size; an odd last row or column is left out."""
    H, W = (size - size % 2 for size in pictures.shape[-2:])
    even = pictures[..., :H, :W]
    return even - even[..., ::2, ::2].repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


class NprNetwork(nn.Module):
    """The stem, with a 3x3 convolution, and the first two stages of ResNet-50, and one output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2 = stages(Bottleneck, (3, 4), 64)
        self.fc1 = nn.Linear(128 * EXPANSION, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to [B]."""
        x = F.relu(self.bn1(self.conv1(GAIN * neighbour_residual(x))))
        x = self.layer2(self.layer1(F.max_pool2d(x, 3, stride=2, padding=1)))
        score: Tensor = self.fc1(x.mean(dim=(2, 3)))
        return score.squeeze(1)


def _of_trainer(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' trainer saves ResNet-50's layer of classes too, which their network does not use."""
    return {key: value for key, value in weights.items() if key not in ("fc.weight", "fc.bias")}


class NprInput(WholeNetwork):
    """A network with NPR's input; the loss is binary cross-entropy."""

    def preprocess(self, picture: Picture) -> Tensor:
        """Resized to 256 x 256 by Pillow, with ImageNet's mean and deviation."""
        pixels = by_pillow(picture.pixels, SIDE, SIDE, Image.Resampling.BILINEAR)
        return normalised(to_tensor(pixels), IMAGENET)


class Npr(NprInput):
    """NPR."""

    name = "npr"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "npr"}


NETWORKS.add("npr", NprNetwork)
LAYOUTS.add("npr", Layout("npr", "NPR.pth", _PUBLICATION.code, translate=_of_trainer))
RIVALS.add("npr", Npr)
