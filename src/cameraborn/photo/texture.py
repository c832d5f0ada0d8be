"""What delivery does to the finest details of a picture, in two numbers that need no network.

Noise, sharpening, blur and enlarging cannot be read from a file's header, and they move a detector's score more than
size and quality do. Both numbers are cheap (a millisecond at 256 pixels), and vary with the treatment more than with
what is on the picture:

- noise: the smoothest tenth of the picture, where little but noise is left; compression and blur empty it.
- fineness: diagonal details of one pixel against edges of two; blur, enlarging and shrinking lower it, sharpening
  raises it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 8  # pixels
_SMOOTHEST = 10  # percent of the blocks
_LEAST = 0.05  # grey levels added before a logarithm: less is rounding
_DIGITS = 4  # as many as are written to a bundle, so that a class can be told again from the file


@dataclass(frozen=True)
class Texture:
    """How fine and how noisy a picture is.

    Attributes:
        noise: log of the diagonal detail of the smoothest blocks, in grey levels.
        fineness: log of the ratio of diagonal details of one pixel to edges of two.
    """

    noise: float
    fineness: float


def texture(pixels: NDArray[np.uint8]) -> Texture:
    """The texture of pixels [H W 3], of their green channel, where colour is stored finest.

    Raises:
        ValueError: a side is under 16 pixels.
    """
    if min(pixels.shape[:2]) < 2 * _BLOCK:
        raise ValueError(f"{pixels.shape[1]} x {pixels.shape[0]} pixels are too few to tell a texture")
    green = pixels[..., 1].astype(np.float32)
    differences, sums = green[:-1] - green[1:], green[:-1] + green[1:]
    diagonal = (
        np.abs(differences[:, :-1] - differences[:, 1:]) / 2
    )  # Haar's diagonal detail, of every 2 x 2 pixels
    H, W = (length // _BLOCK * _BLOCK for length in diagonal.shape)
    blocks = diagonal[:H, :W].reshape(H // _BLOCK, _BLOCK, W // _BLOCK, _BLOCK).mean(axis=(1, 3))
    coarse = (sums[::2, :-1:2] + sums[::2, 1::2]) / 2  # every 2 x 2 pixels are one
    edges = (np.abs(np.diff(coarse, axis=0)).mean() + np.abs(np.diff(coarse, axis=1)).mean()) / 2
    fineness = np.log(diagonal.mean() + _LEAST) - np.log(edges + _LEAST)
    noise = np.log(np.percentile(blocks, _SMOOTHEST) + _LEAST)
    return Texture(round(float(noise), _DIGITS), round(float(fineness), _DIGITS))
