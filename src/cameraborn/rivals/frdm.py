"""FRDM: a face and its high-frequency residual in two streams that look at each other.

Luo et al., "Generalizing face forgery detection with high-frequency features", CVPR 2021, arXiv 2103.12376. There is
no repository of the authors; this follows the modules that they gave to DeepfakeBench ("srm"), whose checkpoint loads.

Shapes: B pictures, C channels, H and W height and width of a map.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.xception import FEATURES, WIDTH, Xception
from cameraborn.rivals.inputs import HALVES, by_opencv, normalised, to_tensor
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, WholeNetwork

_PUBLICATION = Publication(
    title="Generalizing face forgery detection with high-frequency features",
    year=2021,
    paper="CVPR 2021, arXiv 2103.12376",
    code="none of the authors; https://github.com/SCLBD/DeepfakeBench, training/detectors/srm_detector.py",
    code_licence="CC BY-NC 4.0 (DeepfakeBench)",
    weights_licence="CC BY-NC 4.0 (DeepfakeBench)",
    needs="Pictures of 256 x 256, and for its recipe Xception's ImageNet weights (`start`).",
    differs="DeepfakeBench trains with AM-softmax on outputs that are no cosines; so does the recipe. It starts "
    "from Xception's weights, as DeepfakeBench does, only where its `start` names them.",
)

SIDE = 256  # pixels; the attention's linear maps fix it
SCALE, MARGIN = 30.0, 0.45  # of the AM-softmax
_POSITIONS = (SIDE // 16) ** 2  # of the maps that attend to each other
_LIMIT = 3.0  # of the residual
_GAIN = 0.02  # of the starting values of the attention
_BENCH = "release v1.0.1 of https://github.com/SCLBD/DeepfakeBench"


def srm_filters() -> Tensor:
    """Three high-pass kernels of the spatial rich model, [3 5 5]: of 3x3, of 5x5, and along a row."""
    square_3 = torch.zeros(5, 5)
    square_3[1:4, 1:4] = torch.tensor([[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
    corner = torch.tensor([[-1.0, 2, -2], [2, -6, 8], [-2, 8, -12]])
    half = torch.cat([corner, corner[:, :2].flip(1)], dim=1)
    square_5 = torch.cat([half, half[:2].flip(0)]) / 12
    row = torch.zeros(5, 5)
    row[2, 1:4] = torch.tensor([1.0, -2, 1]) / 2
    return torch.stack([square_3, square_5, row])


class SrmOfColours(nn.Module):
    """The three filters, each over the sum of the colours, limited to -3..3."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", srm_filters().unsqueeze(1).repeat(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B 3 H W] to [B 3 H W]."""
        return F.conv2d(x, self.kernel, padding=2).clamp(-_LIMIT, _LIMIT)


class SrmOfChannels(nn.Module):
    """Filters on each of many channels, limited to -3..3, then a 1x1 convolution over all.

    In the published code the list of kernels is all of the first, then all of the second, then all of the third, and
    three of them in a row go to a channel: so a channel sees mostly one kernel three times. The weights were trained
    so, and so it is here.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("kernel", srm_filters().repeat_interleave(channels, dim=0).unsqueeze(1))
        self.out_conv = nn.Sequential(
            nn.Conv2d(3 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] to the same shape."""
        residual = F.conv2d(x, self.kernel, padding=2, groups=self.channels).clamp(-_LIMIT, _LIMIT)
        out: Tensor = self.out_conv(residual)
        return out


class SpatialAttention(nn.Module):
    """A weight of each position from its mean and greatest channel (CBAM, Woo et al., ECCV 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] to [B 1 H W] in 0..1."""
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(summary))


class ChannelAttention(nn.Module):
    """A weight of each channel from its mean and its greatest position, through one small network (CBAM)."""

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        small = channels // ratio
        self.sharedMLP = nn.Sequential(
            nn.Conv2d(channels, small, 1, bias=False), nn.ReLU(), nn.Conv2d(small, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] to [B C 1 1] in 0..1."""
        mean, greatest = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        return torch.sigmoid(self.sharedMLP(mean) + self.sharedMLP(greatest))


class ResidualGuidedAttention(nn.Module):
    """Where to look in the colour stream, from the residual filtered once more."""

    def __init__(self) -> None:
        super().__init__()
        self.srm = SrmOfColours()
        self.conv = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        )
        self.pa = SpatialAttention()

    def forward(self, residual: Tensor) -> Tensor:
        """[B 3 H W] to [B 1 h w], of the size of the colour stream behind its second convolution."""
        attention: Tensor = self.pa(self.conv(self.srm(residual)))
        return attention


class DualCrossModalAttention(nn.Module):
    """Each stream adds what it finds in the other: one affinity of all positions, a learnt map of it each way.

    Args:
        channels: of both streams.
        positions: H W of their maps.
        ratio: channels over those of the keys.
    """

    def __init__(self, channels: int = WIDTH, positions: int = _POSITIONS, ratio: int = 8) -> None:
        super().__init__()
        small = channels // ratio
        self.key_conv1 = nn.Conv2d(channels, small, 1)
        self.key_conv2 = nn.Conv2d(channels, small, 1)
        self.key_conv_share = nn.Conv2d(small, small, 1)
        self.linear1 = nn.Linear(positions, positions)
        self.linear2 = nn.Linear(positions, positions)
        self.value_conv1 = nn.Conv2d(channels, channels, 1)
        self.gamma1 = nn.Parameter(torch.zeros(1))
        self.value_conv2 = nn.Conv2d(channels, channels, 1)
        self.gamma2 = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Two streams [B C H W] to two of the same shape."""
        key_x = self.key_conv_share(self.key_conv1(x)).flatten(2)
        key_y = self.key_conv_share(self.key_conv2(y)).flatten(2)
        affinity = key_x.transpose(1, 2) @ key_y  # [B HW of x, HW of y]
        of_y = self.linear1(affinity).softmax(dim=-1)
        of_x = self.linear2(affinity.transpose(1, 2)).softmax(dim=-1)
        from_y = self.value_conv2(y).flatten(2) @ of_y.transpose(1, 2)
        from_x = self.value_conv1(x).flatten(2) @ of_x.transpose(1, 2)
        return x + self.gamma1 * from_y.view_as(x), y + self.gamma2 * from_x.view_as(y)


class Fusion(nn.Module):
    """Both streams' last maps in one, weighted by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = nn.Sequential(
            nn.Conv2d(2 * FEATURES, FEATURES, 1, bias=False), nn.BatchNorm2d(FEATURES), nn.ReLU()
        )
        self.ca = ChannelAttention(FEATURES)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two maps [B 2048 H W] to one."""
        fused = self.convblk(torch.cat([x, y], dim=1))
        out: Tensor = fused * self.ca(fused)
        return out


class _Stream(Xception):
    """Xception with the two layers behind it that DeepfakeBench's has, of which one stream uses one."""

    def __init__(self) -> None:
        super().__init__()
        self.last_linear = nn.Linear(FEATURES, 2)
        self.adjust_channel = nn.Sequential(nn.Conv2d(FEATURES, 512, 1), nn.BatchNorm2d(512), nn.ReLU())


class _Blur(nn.Module):
    """A Gaussian kernel that the published module carries and never uses."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.exp(-((torch.arange(7.0) - 3) ** 2) / (2 * 0.8**2))
        square = torch.outer(line, line)
        self.register_buffer("weight", (square / square.sum()).repeat(3, 1, 1, 1))


class FrdmNetwork(nn.Module):
    """The two streams and what joins them; two outputs, genuine and generated."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone_rgb = _Stream()
        self.backbone_srm = _Stream()
        self.blur = _Blur()
        self.srm_conv0 = SrmOfColours()
        self.srm_conv1 = SrmOfChannels(32)
        self.srm_conv2 = SrmOfChannels(64)
        self.srm_sa = ResidualGuidedAttention()
        self.srm_sa_post = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU())
        self.dual_cma0 = DualCrossModalAttention()
        self.dual_cma1 = DualCrossModalAttention()
        self.fusion = Fusion()
        self._initialise()

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B 3 256 256] in -1..1 to [B 2]."""
        colour, residual = self.backbone_rgb, self.backbone_srm
        noise = self.srm_conv0(pictures)
        x = colour.stem1(pictures)
        y = F.relu(residual.stem1(noise) + self.srm_conv1(x))
        x = colour.stem2(x)
        y = F.relu(residual.stem2(y) + self.srm_conv2(x))
        x = self.srm_sa_post(x + x * self.srm_sa(noise))
        x, y = self.dual_cma0(colour.blocks(1, 3, x), residual.blocks(1, 3, y))
        x, y = self.dual_cma1(colour.blocks(4, 7, x), residual.blocks(4, 7, y))
        x, y = colour.tail(colour.blocks(8, 12, x)), residual.tail(residual.blocks(8, 12, y))
        fused = F.relu(self.fusion(x, y))
        scores: Tensor = colour.last_linear(fused.mean(dim=(2, 3)))
        return scores

    def _initialise(self) -> None:
        """The authors' starting values; those of the streams come from ImageNet, or are torch's."""
        for module in (*self.srm_conv1.modules(), *self.srm_conv2.modules(), *self.srm_sa.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=1)
        for attention in (self.dual_cma0, self.dual_cma1, self.fusion.ca):
            for module in attention.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.xavier_normal_(module.weight, gain=_GAIN)


def am_softmax(outputs: Tensor, generated: Tensor, scale: float = SCALE, margin: float = MARGIN) -> Tensor:
    """Additive-margin softmax (Wang et al., 2018): cross-entropy after the right class gives up a margin.

    Args:
        outputs: of both classes, [B 2]; in the paper cosines, in the public code of this rival any numbers.
        generated: bool or 0 and 1, [B].
    """
    right = F.one_hot(generated.long(), 2)
    return F.cross_entropy(scale * (outputs - margin * right), generated.long())


class Frdm(WholeNetwork):
    """FRDM with its own input and loss."""

    name = "frdm"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "frdm"}

    def preprocess(self, picture: Picture) -> Tensor:
        """Resized to 256 x 256 by OpenCV's bicubic filter, in -1..1."""
        return normalised(to_tensor(by_opencv(picture.pixels, SIDE, SIDE, cv2.INTER_CUBIC)), HALVES)

    def score(self, prepared: Tensor) -> Tensor:
        """Log-odds of generated, [B]."""
        genuine, generated = self.network(prepared).unbind(dim=1)
        return torch.sub(generated, genuine)

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """AM-softmax."""
        return am_softmax(self.network(prepared), generated)


NETWORKS.add("frdm", FrdmNetwork)
LAYOUTS.add("deepfakebench-srm", Layout("frdm", "srm_best.pth", _BENCH))
RIVALS.add("frdm", Frdm)
