"""What viewers, editors and sites do to pictures, each thing with a name: to learn what it leaves.

Unlike `degrade.random_operations`, which draws what may have happened, `apply_operation` does one thing that is asked
for, strongly enough to show.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cameraborn.degrade.named import LARGEST_ENLARGED, Pixels, degrade, log_uniform

Delivered = tuple[Pixels, int | None]  # and the quality of the last JPEG compression, None if there was none
Operation = Callable[[Pixels, np.random.Generator, int], Delivered | None]  # the last: the smallest side

_MILD = 75  # the quality from which on a recompression is no operation of its own
_SMOOTH = ("bilinear", "bicubic", "lanczos", "box")


def apply_operation(
    name: str, pixels: Pixels, rng: np.random.Generator, *, smallest_side: int
) -> Delivered | None:
    """One of `OPERATIONS` at a random strength, then perhaps a mild recompression: [H W 3] to [H' W' 3].

    None if it cannot be done: the picture is too small to be shrunk, or so large that nobody would enlarge it.
    """
    handled = OPERATIONS[name](pixels, rng, smallest_side)
    chance = rng.random()
    if handled is None or name == _COMPRESSED or chance >= 0.5:
        return handled
    return _recompressed(handled[0], "jpeg" if chance < 0.35 else "webp", int(rng.integers(_MILD, 100)))


def _recompressed(pixels: Pixels, format: str, quality: int) -> Delivered:
    return degrade(pixels, f"{format}:{quality}"), quality if format == "jpeg" else None


def _edited(edit: str, least: float, most: float) -> Operation:
    def handle(pixels: Pixels, rng: np.random.Generator, smallest_side: int) -> Delivered:
        strength = log_uniform(rng, least, most)
        return degrade(pixels, f"{edit}:{strength:.3f}", key=str(rng.integers(2**32))), None

    return handle


def _shrunk(filters: tuple[str, ...], most: float) -> Operation:
    def handle(pixels: Pixels, rng: np.random.Generator, smallest_side: int) -> Delivered | None:
        least = max(0.25, smallest_side / min(pixels.shape[:2]))
        if least >= most:
            return None
        factor = _rounded_up(log_uniform(rng, least, most))
        return degrade(pixels, f"resize:{factor:.3f}:{filters[rng.integers(len(filters))]}"), None

    return handle


def _enlarged(pixels: Pixels, rng: np.random.Generator, smallest_side: int) -> Delivered | None:
    factor = log_uniform(rng, 1.3, 2.4)
    if pixels.shape[0] * pixels.shape[1] * factor**2 > LARGEST_ENLARGED:
        return None
    return degrade(pixels, f"resize:{factor:.3f}:{_SMOOTH[rng.integers(3)]}"), None


def _compressed(pixels: Pixels, rng: np.random.Generator, smallest_side: int) -> Delivered:
    """Stored as JPEG or WebP, or twice as sites do: the two look much alike."""
    reposted = _reposted(pixels, rng, smallest_side) if rng.random() < 0.5 else None
    if reposted is not None:
        return reposted
    if rng.random() < 0.6:
        return _recompressed(pixels, "jpeg", int(rng.integers(40, _MILD)))
    return _recompressed(pixels, "webp", int(rng.integers(35, _MILD)))


def _reposted(pixels: Pixels, rng: np.random.Generator, smallest_side: int) -> Delivered | None:
    """Shrunk and stored as JPEG by one site, and by the next."""
    least = max(0.6, math.sqrt(smallest_side / min(pixels.shape[:2])))
    if least >= 0.9:
        return None
    quality = None
    for _ in range(2):
        factor = _rounded_up(log_uniform(rng, least, 0.9))
        quality = int(rng.integers(65, 90))
        pixels = degrade(pixels, f"resize:{factor:.3f}:{_SMOOTH[rng.integers(4)]}+jpeg:{quality}")
    return pixels, quality


def _rounded_up(factor: float) -> float:
    """To the digits of a degradation's name, and never under the smallest side."""
    return math.ceil(factor * 1000) / 1000


_COMPRESSED = "compressed"
# From what leaves least of fine detail to what leaves most: neighbours are the most alike.
OPERATIONS: dict[str, Operation] = {
    "blurred": _edited("blur", 1.4, 2.6),
    "slightly blurred": _edited("blur", 0.6, 1.4),
    "enlarged": _enlarged,
    _COMPRESSED: _compressed,
    "shrunk": _shrunk(_SMOOTH, 0.85),
    "as it came": lambda pixels, rng, smallest_side: (pixels, None),
    "sharpened": _edited("sharpen", 0.5, 2.0),
    "coarsely shrunk": _shrunk(("nearest",), 0.8),
    "slightly grainy": _edited("noise", 1.2, 3.0),
    "grainy": _edited("noise", 3.0, 8.0),
}
