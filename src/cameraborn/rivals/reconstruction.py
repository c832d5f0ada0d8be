"""Training-free: how well a latent diffusion model's autoencoder reconstructs a picture.

AEROBLADE (Ricker, Lukovnikov and Fischer, CVPR 2024, arXiv 2401.17879): what came out of a decoder passes through it
again with less loss. It compares by LPIPS under the large autoencoders, and takes the least of several; here it is the
tiny ones that imitate them, one a rival, and the plain error. That error mostly says how sharp a picture is, so that
sharp fakes look genuine: divided by the energy of the picture's own fine detail it says more.

Shapes: B pictures, H and W height and width, divisible by 8.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.photo.decode import Picture
from cameraborn.registry import unknown_name
from cameraborn.rivals.backbones.tiny_autoencoder import tiny_decoder, tiny_encoder
from cameraborn.rivals.inputs import to_tensor
from cameraborn.rivals.published import LAYOUTS, NETWORKS, RIVALS, Layout, Publication, Rival

_PUBLICATION = Publication(
    title="AEROBLADE: training-free detection of latent diffusion images using autoencoder reconstruction error",
    year=2024,
    paper="CVPR 2024, arXiv 2401.17879",
    code="https://github.com/jonasricker/aeroblade",
    code_licence="none given",
    weights_licence="MIT (the tiny autoencoders)",
    needs="The weights of a tiny autoencoder, encoder and decoder.",
    differs="Tiny autoencoders for the large ones, and a squared error for LPIPS.",
)

LONGEST = 256  # pixels; the middle of what is larger is looked at
_STEP = 8  # pixels, side of a latent position
_LEAST = 1e-6  # energy of a picture without detail
_FIRST = "taesd"  # the rivals under it bear no autoencoder in their names
_KINDS = {"taesd": 4, "taesdxl": 4, "taesd3": 16, "taef1": 16, "taef2": 32}  # channels of the latent
_POOLED = ("taef2",)  # with blocks that see whole maps
_ORIGIN = "https://github.com/madebyollin/taesd"
_SUMS = {
    "taesd_encoder": "a6b8c0fda4aad50784e543389e0239c72c5e31e9775c9e612ea8333bf3a77dcb",
    "taesd_decoder": "d903e7cc3ae58f21d985a3498a841fa8b230edccff7ac5d27607b0c557945c6f",
    "taesdxl_encoder": "3d78013286676a1a51074831230f90972e573698fe4b11416d6f28e0cd5bbe7e",
    "taesdxl_decoder": "ae5256b046b01d577279ed93a55bbb1fb2689e55aa14cfc0f7f841e0160202a5",
    "taesd3_encoder": "e5c96f3476bd26fe73e96d701a694f40d7ab48a290494cbbf70a3697d09cab4a",
    "taesd3_decoder": "e940e227e2a41919f0735ec423129724666f8b949c8bbce7a04b78ecfb4667de",
    "taef1_encoder": "19f5a854ce575fd0a1c0a52938410cf5fb4dc4b8ae71c8887533646d8fe47030",
    "taef1_decoder": "bb41500b646d5b8b592b7f3ca5d20d888c3075e209d178d99af609cd7e02a1d4",
}


def detail_energy(pictures: Tensor) -> Tensor:
    """Mean square of what a picture differs from the mean of its four neighbours by, [B 3 H W] to [B]."""
    kernel = pictures.new_tensor([[0, 0.25, 0], [0.25, -1, 0.25], [0, 0.25, 0]])
    residual = F.conv2d(pictures, kernel.expand(3, 1, 3, 3), groups=3)
    return residual.square().mean(dim=(1, 2, 3))


class _Reconstruction(Rival):
    """Less the error of the reconstruction.

    Args:
        kind: of the tiny autoencoder; a name of `_KINDS`.
    """

    publication = _PUBLICATION
    trained = ()

    def __init__(self, kind: str = _FIRST) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise RecipeError(f"{self.name}: {unknown_name('autoencoder', kind, _KINDS)}")
        self.name = named_after(self.name, kind)
        self.encoder = NETWORKS[f"{kind}-encoder"]().requires_grad_(False)
        self.decoder = NETWORKS[f"{kind}-decoder"]().requires_grad_(False)
        self.parts = {"encoder": f"{kind}-encoder", "decoder": f"{kind}-decoder"}

    def preprocess(self, picture: Picture) -> Tensor:
        """The middle of the picture, at most 256 pixels a side, cut to multiples of 8, in 0..1.

        A picture smaller than 8 pixels cannot be; the house refuses below 16.
        """
        height, width = picture.pixels.shape[:2]
        tall, wide = (min(size, LONGEST) // _STEP * _STEP for size in (height, width))
        y, x = (height - tall) // 2, (width - wide) // 2
        return to_tensor(np.ascontiguousarray(picture.pixels[y : y + tall, x : x + wide]))

    def score(self, prepared: Tensor) -> Tensor:
        """Pictures [B 3 H W] to [B]: higher where they are reconstructed better."""
        with torch.no_grad():
            reconstructed = self.decoder(self.encoder(prepared)).clamp(0, 1)
            return -self.error((reconstructed - prepared).square().mean(dim=(1, 2, 3)), prepared)

    @abstractmethod
    def error(self, squared: Tensor, pictures: Tensor) -> Tensor:
        """Mean squared errors [B] and their pictures to what is low for generated ones, [B]."""


class PlainReconstruction(_Reconstruction):
    """The error as it is."""

    name = "reconstruction"

    def error(self, squared: Tensor, pictures: Tensor) -> Tensor:
        """The logarithm of the error."""
        return squared.clamp_min(_LEAST).log()


class RelativeReconstruction(_Reconstruction):
    """The error over the energy of the picture's own detail."""

    name = "reconstruction-relative"

    def error(self, squared: Tensor, pictures: Tensor) -> Tensor:
        """The logarithm of their ratio."""
        return squared.clamp_min(_LEAST).log() - detail_energy(pictures).clamp_min(_LEAST).log()


def named_after(name: str, kind: str) -> str:
    """The name of a rival under a tiny autoencoder: of all but the first it has the autoencoder's behind it."""
    return name if kind == _FIRST else f"{name}-{kind}"


for _kind, _channels in _KINDS.items():
    for _part, _build in (("encoder", tiny_encoder), ("decoder", tiny_decoder)):
        _file = f"{_kind}_{_part}"
        NETWORKS.add(f"{_kind}-{_part}", partial(_build, _channels, pooled=_kind in _POOLED))
        _ending = "safetensors" if _file in _SUMS else "pth"
        LAYOUTS.add(
            f"{_kind}-{_part}", Layout(f"{_kind}-{_part}", f"{_file}.{_ending}", _ORIGIN, _SUMS.get(_file))
        )
for _rival in (PlainReconstruction, RelativeReconstruction):
    for _kind in _KINDS:
        RIVALS.add(named_after(_rival.name, _kind), partial(_rival, _kind))
