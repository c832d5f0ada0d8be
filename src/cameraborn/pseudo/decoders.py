"""Decoders that others published, to reconstruct photographs with: they leave what real generators' decoders leave.

A folder holds files of two kinds, which are told by their names:

- `NAME_encoder.safetensors` and `NAME_decoder.safetensors`: a tiny autoencoder of the TAESD family (MIT,
  madebyollin/taesd), distilled from those of the latent spaces of SD 1 and 2, SDXL, SD 3, FLUX.1 and FLUX.2;
- `NAME.param` and `NAME.bin`: super-resolution on ncnn, such as SPAN (Apache-2.0), waifu2x (MIT) or Real-ESRGAN
  (BSD-3); these need `cameraborn[decoders]`.

An autoencoder is given noise on its latents, so that what it decodes lies nearer to a sample. Super-resolution is given
the photograph shrunk by its own factor. Either way the reconstruction has the size of the photograph.

Shapes: pixels uint8 [H W 3], sides divisible by 8.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.degrade.random import INTERPOLATING
from cameraborn.errors import CamerabornError, RecipeError, first_line, lacks_memory
from cameraborn.files import Pixels
from cameraborn.photo.sniff import refuse_special

Reconstruct = Callable[[Pixels, float, int], Pixels]  # of pixels, strength of the noise on latents, a seed

_ENCODER, _DECODER = "_encoder.safetensors", "_decoder.safetensors"
_WIDTH = 64  # channels of the TAESD family
_PROBES = (64, 96)  # sides of pictures that tell a network's factor and border, pixels
_FILTERS = (*INTERPOLATING, Image.Resampling.BOX)


def read_decoders(folder: Path) -> dict[str, Reconstruct]:
    """What reconstructs by the decoders of a folder, by name.

    Raises:
        RecipeError: there is none, or a file is missing, damaged or no regular file.
        CamerabornError: one runs on ncnn, which is not installed.
    """
    made: dict[str, Reconstruct] = {}
    for path in files_of(folder):
        if path.name.endswith(_DECODER):
            made[path.name.removesuffix(_DECODER)] = tiny_autoencoder(
                path.with_name(path.name.replace(_DECODER, _ENCODER)), path
            )
        elif path.suffix == ".param":
            made[path.stem] = super_resolution(path)
    if not made:
        raise RecipeError(
            f"{folder}: no decoder in it: give a folder with NAME_encoder.safetensors and NAME_decoder.safetensors, "
            "or NAME.param and NAME.bin"
        )
    return made


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that decoders are read from.

    Raises:
        RecipeError: one of them is a pipe, socket or device, which the libraries that read it would wait for.
    """
    endings = (_ENCODER, _DECODER, ".param", ".bin")
    files = [path for path in sorted(folder.glob("*")) if path.name.endswith(endings)]
    for path in files:
        refuse_special(path, RecipeError)
    return files


class Block(nn.Module):
    """relu(convolutions + identity), in FLUX.2's behind a normalised 1x1 branch."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        wide = 4 * _WIDTH
        widen, narrow = nn.Conv2d(_WIDTH, wide, 1, bias=False), nn.Conv2d(wide, _WIDTH, 1, bias=False)
        self.pool = nn.Sequential(widen, nn.GroupNorm(4, wide), nn.ReLU(), narrow) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """[N 64 H W] to the same shape."""
        if self.pool is not None:
            x = x + self.pool(x)
        return F.relu(self.conv(x) + x)


class Clamp(nn.Module):
    """A soft limit of latents to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.tanh(x / 3) * 3


def tiny_autoencoder(encoder: Path, decoder: Path) -> Reconstruct:
    """What reconstructs by an autoencoder of the TAESD family.

    Raises:
        RecipeError: a file is missing, damaged, or of another family.
    """
    encode, decode = _sequential(encoder, {}), _sequential(decoder, _between_of_decoder())

    @torch.inference_mode()
    def reconstruct(pixels: Pixels, noise: float, seed: int) -> Pixels:
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255
        latents = encode(x.contiguous(memory_format=torch.channels_last))
        own = torch.Generator().manual_seed(seed)
        latents = latents + noise * torch.randn(latents.shape, generator=own)
        levels = decode(latents)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
        result: Pixels = levels.permute(1, 2, 0).contiguous().numpy()
        return result

    return reconstruct


def _between_of_decoder() -> dict[int, nn.Module]:
    """Its layers without weights, by their place."""
    enlarging = {place: nn.Upsample(scale_factor=2) for place in (6, 11, 16)}
    return {0: Clamp(), 2: nn.ReLU(), **enlarging}


def _sequential(path: Path, between: dict[int, nn.Module]) -> nn.Sequential:
    """A Sequential whose places hold what the file's keys say, and `between` elsewhere."""
    try:
        tensors = load_file(path)
        length = max(int(key.split(".")[0]) for key in tensors) + 1
        net = nn.Sequential(*(_layer(path, tensors, place, between) for place in range(length))).eval()
        net.load_state_dict(tensors)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        if lacks_memory(error):
            raise MemoryError(first_line(error)) from error
        raise RecipeError(
            f"{path}: not of the TAESD family, or damaged ({first_line(error)}): get it again"
        ) from error
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _layer(path: Path, tensors: dict[str, Tensor], place: int, between: dict[int, nn.Module]) -> nn.Module:
    if f"{place}.conv.0.weight" in tensors:
        return Block(f"{place}.pool.0.weight" in tensors)
    if (weight := tensors.get(f"{place}.weight")) is not None:
        outputs, inputs = weight.shape[:2]
        bias = f"{place}.bias" in tensors
        stride = 2 if path.name.endswith(_ENCODER) and not bias else 1  # an encoder's halve the sides
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias)
    return between[place]


def super_resolution(param: Path) -> Reconstruct:
    """What reconstructs by a network that enlarges, on ncnn.

    Its factor, and the border that its convolutions without padding eat, are measured on two pictures.

    Raises:
        CamerabornError: ncnn is not installed.
        RecipeError: a file is missing or damaged, or the network does not enlarge by a whole number.
    """
    if find_spec("ncnn") is None:
        raise CamerabornError(f"{param}: runs on ncnn: pip install 'cameraborn[decoders]'")
    enlarge = ncnn_network(param)
    small, large = (enlarge(np.zeros((3, side, side), np.float32)).shape[1] for side in _PROBES)
    factor, rest = divmod(large - small, _PROBES[1] - _PROBES[0])
    border, odd = divmod(factor * _PROBES[0] - small, 2 * max(factor, 1))
    if factor < 2 or rest or odd or border < 0:
        raise RecipeError(
            f"{param}: makes {small} pixels of {_PROBES[0]}: give a network that enlarges by a whole number"
        )

    def reconstruct(pixels: Pixels, noise: float, seed: int) -> Pixels:
        H, W, _ = pixels.shape
        filter = _FILTERS[np.random.default_rng(seed).integers(len(_FILTERS))]
        given = Image.fromarray(pixels).resize((-(-W // factor), -(-H // factor)), filter)
        x: NDArray[np.float32] = np.asarray(given, np.float32).transpose(2, 0, 1) / np.float32(255)
        if border:
            x = np.pad(x, ((0, 0), (border, border), (border, border)), mode="reflect")
        levels = (enlarge(x).clip(0, 1) * 255).round().astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(1, 2, 0)[:H, :W])

    return reconstruct


def ncnn_network(param: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function of [3 H W] in 0..1 to [3 H' W']; its blobs are the first layer's and the last one's.

    Raises:
        RecipeError: a file is missing or damaged; the function: it cannot be run on a picture.
    """
    import ncnn

    binary = param.with_suffix(".bin")
    try:
        layers = [line.split() for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
        first, last = layers[0][4], layers[-1][4 + int(layers[-1][2])]
        network = ncnn.Net()
        network.opt.num_threads = 1
        broken = network.load_param(str(param)) or not binary.is_file() or network.load_model(str(binary))
    except (OSError, UnicodeDecodeError, IndexError, ValueError) as error:
        raise RecipeError(f"{param}: not a network of ncnn ({error}): get it again") from error
    if broken:
        raise RecipeError(
            f"{param}: not a network of ncnn, or {binary.name} is missing or damaged: get it again"
        )

    def enlarge(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        given = np.ascontiguousarray(pixels, np.float32)  # named: ncnn does not keep it alive
        extractor = network.create_extractor()
        extractor.input(first, ncnn.Mat(given).clone())
        status, result = extractor.extract(last)
        if status:
            raise RecipeError(f"{param}: cannot be run on a picture of 3 channels: give another network")
        return np.array(result)

    return enlarge
