"""Weights and pictures made by a formula, so that a network's output can be pinned without a file."""

import hashlib
import math
import zlib

import numpy as np
import torch

from cameraborn.photo.decode import open_picture

FIXED = ("kernel", "one_middle", "blur.weight", "lod")  # part of the state, and not learnt


def formula_(module):
    """Give a module weights that depend on their names, shapes and places alone, and return it in evaluation."""
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or name.endswith(FIXED):
            continue
        places = torch.arange(tensor.numel(), dtype=torch.float64)
        wave = scattered(places + zlib.crc32(name.encode()) % 100_000).view(tensor.shape)
        if name.endswith("running_var"):
            values = 1 + 0.3 * wave
        elif tensor.ndim > 1:
            values = wave * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith("weight"):
            values = 1 + 0.3 * wave
        else:
            values = 0.1 * wave
        tensor.copy_(values)
    return module.eval()


def passes_for_loaded(published):
    """A rival or encoder whose weights count as those of a file, and return it."""
    for part in published.parts:
        published.count_as_loaded(part, "0" * 64)
    return published


def scattered(places):
    """Numbers to numbers in -1..1 without visible order: a sine's far decimals."""
    return 2 * torch.frac(43758.5453 * torch.sin(12.9898 * places)).abs() - 1


def formula_maps(*shape):
    """Maps of that shape in -1..1 without visible order."""
    return scattered(torch.arange(math.prod(shape), dtype=torch.float64)).float().view(shape)


def formula_pictures(count, height, width=None, low=-1.0, high=1.0):
    """Pictures [count 3 height width] of waves between two numbers."""
    width = width or height
    b, c, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (count, 3, height, width)), indexing="ij")
    wave = torch.sin(0.9 * x + 0.37 * y * (c + 1) + 1.3 * b) * torch.cos(0.05 * x * (b + 1) - 0.11 * y)
    return low + (high - low) * (wave + 1) / 2


def a_picture(height=200, width=300):
    """A picture of gradients and a checkerboard."""
    y, x = np.mgrid[:height, :width]
    levels = np.stack([x * 255 // width, y * 255 // height, (x // 8 + y // 8) % 2 * 255], axis=-1)
    return open_picture(levels.astype(np.uint8))


def digest(module):
    """Hash of the sorted names and shapes of a module's state."""
    lines = sorted(f"{name} {list(value.shape)}" for name, value in module.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
