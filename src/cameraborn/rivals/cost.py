"""What a rival or an encoder costs: its parameters, and the multiply-adds that one picture takes.

Torch counts them in convolutions and products of matrices, on tensors without memory: nothing is computed, and no
weights are needed. Where the published forward pass cannot run so, its networks' passes are counted (`_BY_PASSES`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cameraborn.photo.decode import Picture, open_picture
from cameraborn.rivals.dire import STEPS, Dire
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.published import Published, empty_network, make
from cameraborn.rivals.self_descriptions import SelfDescription
from cameraborn.rivals.univfd import UnivFDNearest

SIDE = 256  # pixels of the picture that is counted; most are resized to a side of their own
# They leave autocast, which knows no tensors without.
_NEEDS_MEMORY = ("exif-as-language", "probe-exif-as-language", "lgrad-exif-as-language")


@dataclass(frozen=True)
class Cost:
    """Of one picture.

    Attributes:
        parameters: numbers that training could change, of all parts.
        multiply_adds: of all passes that a score or a feature takes; None where most of the work is none.
    """

    parameters: int
    multiply_adds: int | None


def cost_of(name: str) -> Cost:
    """The cost of a rival or an encoder for a face of `SIDE` x `SIDE` pixels.

    Raises:
        RecipeError: no such rival or encoder.
    """
    published = _counted(name)
    networks = map(empty_network, published.parts.values())
    parameters = sum(one.numel() for network in networks for one in network.parameters())
    if isinstance(published, SelfDescription):  # most of its work is Fourier transforms
        return Cost(parameters, None)
    shape = published.preprocess(_grey()).shape
    with torch.device("cpu" if name in _NEEDS_MEMORY else "meta"):
        return Cost(parameters, _operations(published, torch.zeros(1, *shape)))


def multiply_adds(function: Callable[..., object], *inputs: Tensor) -> int:
    """What torch counts while a function is called."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function(*inputs)
    operations: int = counter.get_total_flops() // 2
    return operations


def _counted(name: str) -> Published:
    """One that passes for loaded: what it computes are no scores, and nobody sees them."""
    with torch.device("cpu" if name in _NEEDS_MEMORY else "meta"):
        published = make(name).eval()
    for part in published.parts:
        published.count_as_loaded(part, "none: its work is counted")
    return published


def _operations(published: Published, batch: Tensor) -> int:
    for kind, count in _BY_PASSES.items():
        if isinstance(published, kind):
            return count(published, batch)
    return multiply_adds(published.compute, batch)


def _of_dire(dire: Dire, batch: Tensor) -> int:
    """`STEPS` passes of the diffusion model each way, and one of the classifier."""
    return 2 * STEPS * multiply_adds(dire.diffusion, batch, torch.zeros(1)) + multiply_adds(dire.score, batch)


def _of_lgrad(lgrad: LGrad, batch: Tensor) -> int:
    """The gradient by the picture is as many products as the pass that it goes back through."""
    return 2 * multiply_adds(lgrad.function, batch) + multiply_adds(lgrad.score, batch)


def _of_nearest(nearest: UnivFDNearest, batch: Tensor) -> int:
    """The tower's: how many pictures are remembered is not known before training."""
    return multiply_adds(nearest.prepare, batch)


_BY_PASSES: dict[type[Published], Callable[..., int]] = {
    Dire: _of_dire,
    LGrad: _of_lgrad,
    UnivFDNearest: _of_nearest,
}


def _grey() -> Picture:
    return open_picture(np.full((SIDE, SIDE, 3), 128, np.uint8))
