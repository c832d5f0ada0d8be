"""DIRE: what a diffusion model cannot reconstruct of a picture, read by a ResNet-50.

Wang et al., "DIRE for diffusion-generated image detection", ICCV 2023, arXiv 2303.09295. ADM takes the picture to
noise in 20 steps and back in 20; generated pictures come back more alike. In Python another diffusion model may take
ADM's place, and the schedulers of diffusers that of our steps; such a rival bears another name.

Shapes: B pictures, S side.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cameraborn.files import Pixels
from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.adm import AdmUNet
from cameraborn.rivals.backbones.resnet import ResNet50
from cameraborn.rivals.ddim import Noise, Reconstruct, there_and_back
from cameraborn.rivals.inputs import HALVES, IMAGENET, by_pillow, normalised, to_tensor
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, Rival

_PUBLICATION = Publication(
    title="DIRE for diffusion-generated image detection",
    year=2023,
    paper="ICCV 2023, arXiv 2303.09295",
    code="https://github.com/ZhendongWang6/DIRE",
    code_licence="none given (its diffusion code: MIT)",
    weights_licence="classifier: none given; ADM: MIT",
    needs="ADM's weights (2.2 GB), and 40 passes of a network of 552 million numbers a picture.",
    differs="ADM runs in float32 and not in float16. The recipe starts from ImageNet's weights, as its authors "
    "do, only where its `start` names them.",
)

SIDE, CROP = 256, 224  # pixels: of the reconstruction, and of what the classifier sees
STEPS = 20  # each way
_OPENAI = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021"


def middle_square(pixels: Pixels, side: int) -> Pixels:
    """ADM's input: halved by averaging while twice too large, then to the size by Pillow's bicubic filter, cropped."""
    height, width = pixels.shape[:2]
    while min(height, width) >= 2 * side:
        height, width = height // 2, width // 2
        pixels = by_pillow(pixels, height, width, Image.Resampling.BOX)
    scale = side / min(height, width)
    pixels = by_pillow(pixels, round(height * scale), round(width * scale), Image.Resampling.BICUBIC)
    y, x = ((size - side) // 2 for size in pixels.shape[:2])
    return np.ascontiguousarray(pixels[y : y + side, x : x + side])


class Dire(Rival):
    """DIRE with its own input; the loss is binary cross-entropy.

    Args:
        noise: a diffusion model of pictures in -1..1 [B 3 256 256] on ADM's schedule, in place of ADM.
        reconstruct: in place of ADM's steps, such as `ddim.by_schedulers` gives. With either the rival is called
            `dire*`.
    """

    name = "dire"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"diffusion": "adm-256", "network": "dire-classifier"}
    trained = ("network",)

    def __init__(self, noise: Noise | None = None, reconstruct: Reconstruct | None = None) -> None:
        super().__init__()
        if noise is not None or reconstruct is not None:
            self.name = f"{self.name}*"
        if noise is None:
            self.diffusion = AdmUNet().requires_grad_(False)
        else:
            self.parts = {"network": self.parts["network"]}
        self.noise = noise or (lambda mixed, times: self.diffusion(mixed, times)[:, :3])
        self.reconstruct = reconstruct or partial(there_and_back, steps=STEPS)
        self.network = ResNet50()

    def preprocess(self, picture: Picture) -> Tensor:
        """ADM's input: the middle square at 256 x 256, in -1..1."""
        return normalised(to_tensor(middle_square(picture.pixels, SIDE)), HALVES)

    def prepare(self, batch: Tensor) -> Tensor:
        """Pictures to their errors, cut to 255 levels, with ImageNet's mean and deviation, [B 3 256 256]."""
        with torch.no_grad():
            error = (batch - self.reconstruct(self.noise, batch)).abs()
        levels = (error * 127.5).clamp(0, 255).floor() / 255
        return normalised(levels, IMAGENET)

    def score(self, prepared: Tensor) -> Tensor:
        """Log-odds of generated, [B], from the middle 224 pixels."""
        y, x = (round(max(size - CROP, 0) / 2) for size in prepared.shape[-2:])
        score: Tensor = self.network(prepared[..., y : y + CROP, x : x + CROP])
        return score.squeeze(1)


NETWORKS.add("adm-256", AdmUNet)
NETWORKS.add("dire-classifier", ResNet50)
LAYOUTS.add("adm-256", Layout("adm-256", "256x256_diffusion_uncond.pt", _OPENAI))
LAYOUTS.add("adm-256-bedrooms", Layout("adm-256", "lsun_bedroom.pt", _OPENAI))
LAYOUTS.add("dire", Layout("dire-classifier", "lsun_adm.pth", f"the links in {_PUBLICATION.code}"))
RIVALS.add("dire", Dire)
