"""LaDeDa and Tiny-LaDeDa: every small patch is judged for itself, and the picture by their mean.

Cavia et al., "Real-time deepfake detection in the real-world", 2024, arXiv 2406.09398. A ResNet-50 whose convolutions
are mostly 1x1 and never padded, so that an output sees a small patch and no position, reads the neighbour residual of
NPR. Tiny-LaDeDa, taught by it, reads a diagonal gradient with four convolutions of eight channels.

Shapes: B pictures, C channels, H and W height and width; P and Q positions of patches along them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.resnet import EXPANSION, Bottleneck
from cameraborn.rivals.npr import GAIN, NprInput, neighbour_residual
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, Rival

_PUBLICATION = Publication(
    title="Real-time deepfake detection in the real-world",
    year=2024,
    paper="arXiv 2406.09398",
    code="https://github.com/barcavia/RealTime-DeepfakeDetection-in-the-RealWorld",
    code_licence="Software Research License of Yissum: research use only",
    weights_licence="that of the code",
    needs="Nothing more.",
    differs="A picture that is not square keeps all of its patches; the public code pools by its height alone.",
)
_TINY_PUBLICATION = replace(
    _PUBLICATION,
    differs=f"{_PUBLICATION.differs} Patches are taught where they lie, a picture's together; the "
    "authors cut them out, 10 x 10 pixels for the small network, and shuffle those of all pictures, 729 a batch.",
)

# Along a side, a patch of 9 pixels has three scores of the small network, and the next, 8 pixels on, begins four on.
_OF_A_PATCH = (3, 4)
_MOMENTUM = 0.001  # of the first batch normalisation, as published


class _Block(Bottleneck):
    """A bottleneck without padding, of any kernel, beside the identity, cut to the same size at its end."""

    def __init__(self, channels: int, inner: int, stride: int, kernel: int) -> None:
        super().__init__(channels, inner, stride)
        self.conv2 = nn.Conv2d(inner, inner, kernel, stride=stride, bias=False)

    def shortcut(self, x: Tensor, y: Tensor) -> Tensor:
        """The identity as large as what the convolutions leave."""
        return super().shortcut(x, y)[..., : y.shape[-2], : y.shape[-1]]


class _TinyBlock(nn.Module):
    """A 1x1 and a strided 1x1 or 3x3 convolution."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def _stage(channels: int, inner: int, depth: int, stride: int, wide: int) -> nn.Sequential:
    """A stage of blocks, the first `wide` of them with a 3x3 convolution."""
    kernels = [3 if place < wide else 1 for place in range(depth)]
    first = _Block(channels, inner, stride, kernels[0])
    return nn.Sequential(first, *(_Block(inner * EXPANSION, inner, 1, kernel) for kernel in kernels[1:]))


def diagonal_gradient(pictures: Tensor) -> Tensor:
    """Sobel's gradient along the diagonal, of each channel: [B C H W] to the same shape, black beyond the edge."""
    kernel = torch.tensor([[-2.0, -1, 0], [-1, 0, 1], [0, 1, 2]], device=pictures.device)
    C = pictures.shape[1]
    return F.conv2d(pictures, kernel.expand(C, 1, 3, 3), padding=1, groups=C)


class _PatchNetwork(nn.Module):
    """A 1x1 and a 3x3 convolution, stages, and a linear map of each position's channels to its score."""

    def __init__(self, width: int, outer: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width, momentum=_MOMENTUM)
        self.fc = nn.Linear(outer, 1)

    def _stages(self) -> list[nn.Module]:
        return [stage for name, stage in self.named_children() if name.startswith("layer")]

    @abstractmethod
    def differences(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to what the convolutions see of them."""

    def patch_scores(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to a score of each patch, [B P Q]."""
        x = F.relu(self.bn1(self.conv2(self.conv1(self.differences(x)))))
        for stage in self._stages():
            x = stage(x)
        scores: Tensor = self.fc(x.permute(0, 2, 3, 1))
        return scores.squeeze(3)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B 3 H W] to the mean score of their patches, [B]."""
        return self.patch_scores(x).mean(dim=(1, 2))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)


class LadedaNetwork(_PatchNetwork):
    """LaDeDa-9: the first block of the first two stages has a 3x3 convolution, all others 1x1."""

    def __init__(self) -> None:
        super().__init__(64, 512 * EXPANSION)
        self.layer1 = _stage(64, 64, 3, stride=2, wide=1)
        self.layer2 = _stage(256, 128, 4, stride=2, wide=1)
        self.layer3 = _stage(512, 256, 6, stride=2, wide=0)
        self.layer4 = _stage(1024, 512, 3, stride=1, wide=0)
        self._initialise()

    def differences(self, x: Tensor) -> Tensor:
        """NPR's residual."""
        return GAIN * neighbour_residual(x)


class TinyLadedaNetwork(_PatchNetwork):
    """Four convolutions of eight channels."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.layer1 = nn.Sequential(_TinyBlock(8, 8))
        self._initialise()

    def differences(self, x: Tensor) -> Tensor:
        """The gradient along the diagonal."""
        return diagonal_gradient(x)


class LaDeDa(NprInput):
    """LaDeDa-9."""

    name = "ladeda"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "ladeda"}


class TinyLaDeDa(NprInput):
    """Tiny-LaDeDa, which learns the scores that LaDeDa gives the patches of 9 x 9 pixels."""

    name = "tiny-ladeda"
    publication = _TINY_PUBLICATION
    parts: Mapping[str, str] = {"network": "tiny-ladeda"}
    teacher = "ladeda"

    def distillation_loss(self, teacher: Rival, prepared: Tensor) -> Tensor:
        """The mean squared difference of the patches' scores (the public code)."""
        H, W = (size - size % 2 for size in prepared.shape[-2:])  # what both networks see
        seen = prepared[..., :H, :W]
        with torch.no_grad():
            taught = _network_of(teacher).patch_scores(seen)
        scores = F.avg_pool2d(_network_of(self).patch_scores(seen), *_OF_A_PATCH)
        return F.mse_loss(scores, taught)


def _network_of(rival: Rival) -> _PatchNetwork:
    network = rival.get_submodule("network")
    assert isinstance(network, _PatchNetwork)
    return network


NETWORKS.add("ladeda", LadedaNetwork)
NETWORKS.add("tiny-ladeda", TinyLadedaNetwork)
LAYOUTS.add(
    "ladeda",
    Layout("ladeda", "WildRF_LaDeDa.pth", f"weights/LaDeDa/download_weights.txt of {_PUBLICATION.code}"),
)
LAYOUTS.add(
    "tiny-ladeda",
    Layout("tiny-ladeda", "WildRF_Tiny_LaDeDa.pth", f"weights/Tiny_LaDeDa of {_PUBLICATION.code}"),
)
RIVALS.add("ladeda", LaDeDa)
RIVALS.add("tiny-ladeda", TinyLaDeDa)
