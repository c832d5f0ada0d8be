"""GramNet: the textures of a face, as Gram matrices of a small residual network's maps.

Liu, Qi and Torr, "Global texture enhancement for fake face detection in the wild", CVPR 2020, arXiv 2002.00133.
Beside a ResNet-18, six branches describe the input and its first five maps: 32 channels, their inner products over
all positions, and two small convolutions on that 32x32 matrix.

Shapes: B pictures, C channels, H and W height and width of a map.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.resnet import initialise, stages
from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.resnet import BasicBlock
from cameraborn.rivals.inputs import by_opencv
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, WholeNetwork

_PUBLICATION = Publication(
    title="Global texture enhancement for fake face detection in the wild",
    year=2020,
    paper="CVPR 2020, arXiv 2002.00133",
    code="https://github.com/liuzhengzhe/Global_Texture_Enhancement_for_Fake_Face_Detection_in_the-Wild",
    code_licence="none given",
    weights_licence="none given",
    needs="Weights that its authors publish as pickled modules: save their state_dict where you trust them.",
    differs="The public code starts from a file of its own, graminit.pth; the recipe from nothing, or from "
    "ImageNet's weights of ResNet-18 where its `start` names them.",
)

SIDE = 512  # pixels
_BRANCHES = (  # in the order of their features: 3x3 convolution, first and second convolution on the Gram matrix
    ("conv_interi_0", "gi_fc1", "gi_fc2", 3),
    ("conv_inter0_0", "g0_fc1", "g0_fc2", 64),
    ("conv_inter1_0", "g_fc1r", "g_fc2r", 64),
    ("conv_inter2_0", "g2_fc1", "g2_fc2", 64),
    ("conv_inter3_0", "g3_fc1", "g3_fc2", 128),
    ("conv_inter4_0", "g4_fc1", "g4_fc2", 256),
)
_CHANNELS = 32  # of a branch


def gram_matrix(maps: Tensor) -> Tensor:
    """Inner products of channels over all positions, [B C H W] to [B 1 C C], over C H W."""
    _, C, H, W = maps.shape
    flat = maps.flatten(2)
    return (flat @ flat.transpose(1, 2) / (C * H * W)).unsqueeze(1)


class _Scale(nn.Module):
    """One learnt factor for all branches."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


def _convolution(channels: int, out: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


class GramNetwork(nn.Module):
    """The network: log-probabilities of generated (first) and genuine (second)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(BasicBlock, (2, 2, 2, 2), 64, expansion=1)
        self.scale = _Scale()
        features = 512 + len(_BRANCHES) * _CHANNELS
        self.fcnewr = nn.Sequential(
            nn.Linear(features, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 2), nn.LogSoftmax(dim=1)
        )
        for before, first, second, channels in _BRANCHES:
            self.add_module(before, _convolution(channels, _CHANNELS, 1))
            self.add_module(first, _convolution(1, 16, 2))
            self.add_module(second, _convolution(16, 32, 2))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [B 3 H W] in blue, green, red and 0..255 to [B 2]."""
        maps = [x, F.relu(self.bn1(self.conv1(x)))]
        maps.append(F.max_pool2d(maps[-1], 3, stride=2, padding=1))
        for stage in (self.layer1, self.layer2, self.layer3):
            maps.append(stage(maps[-1]))
        features = [self.layer4(maps[-1]).mean(dim=(2, 3))]
        for (before, first, second, _), seen in zip(_BRANCHES, maps, strict=True):
            gram = gram_matrix(self.get_submodule(before)(seen))
            small = self.get_submodule(second)(self.get_submodule(first)(gram))
            features.append(self.scale.scale * small.mean(dim=(2, 3)))
        log_probabilities: Tensor = self.fcnewr(torch.cat(features, dim=1))
        return log_probabilities


class GramNet(WholeNetwork):
    """GramNet with its own input and loss."""

    name = "gramnet"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "gramnet"}

    def preprocess(self, picture: Picture) -> Tensor:
        """Blue, green, red in 0..255, [3 512 512], resized by OpenCV."""
        bgr = by_opencv(picture.pixels, SIDE, SIDE)[:, :, ::-1]
        return torch.from_numpy(bgr.transpose(2, 0, 1).copy()).float()

    def score(self, prepared: Tensor) -> Tensor:
        """Log-odds of generated, [B]."""
        generated, genuine = self.network(prepared).unbind(dim=1)
        return torch.sub(generated, genuine)

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """Negative log-likelihood; the first class is generated."""
        return F.nll_loss(self.network(prepared), 1 - generated.long())


NETWORKS.add("gramnet", GramNetwork)
LAYOUTS.add(
    "gramnet",
    Layout("gramnet", "stylegan-ffhq.pth", f"the folder linked in {_PUBLICATION.code}", kind="module"),
)
RIVALS.add("gramnet", GramNet)
