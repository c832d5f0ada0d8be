"""Random processing: what may have happened to a picture on its way, drawn from the tables of this file alone.

- `random_recompression`: perhaps shrunk, perhaps recompressed, as by an unknown web site.
- `random_operations`: something that viewers and editors do as well, of random strength. Photographs are put through
  these two before a mixture is fitted or calibrated, so that post-processing alone is no surprise.
- `apply_operation`: one of `OPERATIONS`, strongly enough to show: to learn what it leaves.
- `random_edits`: what photographers, phones and editors do, for the histories that training draws (`degrade.history`).
- `shrink_randomly` and `draw_encoding`: the two pieces that training uses with the ranges of its recipe.

What is drawn for a seed never changes (`tests/degrade/test_golden_draws.py`): a bundle's calibration rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cameraborn.degrade.draw import Rng, log_uniform
from cameraborn.degrade.named import Encoding, degrade, edit, recompressed, resized
from cameraborn.files import Pixels

Processed = tuple[Pixels, int | None]  # and the quality of the last JPEG compression, None if there was none
Range = tuple[int, int]  # lowest and highest, both possible

LARGEST_ENLARGED = 16_000_000  # pixels: nobody enlarges large pictures, and memory is not free
LOWEST_QUALITY = 60  # of random recompression
_LOWEST_WEBP = 40  # as kind to a picture as JPEG's 60
_MILD = 75  # the quality from which on a recompression is no operation of its own
INTERPOLATING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
_SMOOTH = (*INTERPOLATING, Image.Resampling.BOX)  # BOX averages when shrinking; enlarging, it only copies
_NEAREST = (Image.Resampling.NEAREST,)


@dataclass(frozen=True)
class Operation:
    """One thing that is done to a picture, at a strength for which every factor is as likely as any other.

    Attributes:
        kind: `blur`, `sharpen`, `noise` or `resize`, as in `degrade.named`; one of `degrade.edits`, which draws its
            strength itself; `compress`; empty: nothing is done.
        least, most: range of the kind's number; shrinking also never goes under the smallest side.
        filters: filters of resizing; one is drawn.
    """

    kind: str = ""
    least: float = 1.0
    most: float = 1.0
    filters: tuple[Image.Resampling, ...] = _SMOOTH

    def apply(
        self, pixels: Pixels, rng: Rng, smallest_side: int = 1, *, by_name: bool = False
    ) -> Processed | None:
        """The result, or None where it cannot be done: [H W 3] to [H' W' 3].

        Args:
            smallest_side: the result is never shrunk under it, pixels.
            by_name: as under a name of `degrade.named`: strength has three digits, noise a seed of its own.
        """
        if not self.kind:
            return pixels, None
        if self.kind == "compress":
            return _compressed(pixels, rng, smallest_side)
        if self.kind == "resize":
            return self._resize(pixels, rng, smallest_side, by_name)
        if self.kind not in ("blur", "sharpen", "noise"):
            from cameraborn.degrade.edits import EDITS  # only here: calibration works without OpenCV

            return EDITS[self.kind](pixels, rng), None
        strength = log_uniform(rng, self.least, self.most)
        if by_name:
            return degrade(pixels, f"{self.kind}:{strength:.3f}", key=str(rng.integers(2**32))), None
        return edit(pixels, self.kind, strength, rng), None

    def _resize(self, pixels: Pixels, rng: Rng, smallest_side: int, by_name: bool) -> Processed | None:
        H, W, _ = pixels.shape
        enlarges = self.least > 1
        least = self.least if enlarges else max(self.least, smallest_side / min(H, W))
        if least >= self.most:
            return None
        factor = log_uniform(rng, least, self.most)
        if enlarges and H * W * factor**2 > LARGEST_ENLARGED:
            return None
        if by_name:
            factor = round(factor, 3) if enlarges else _rounded_up(factor)
        return resized(pixels, factor, _one_of(self.filters, rng)), None


# From what leaves least of fine detail to what leaves most: neighbours are the most alike.
OPERATIONS = {
    "blurred": Operation("blur", 1.4, 2.6),
    "slightly blurred": Operation("blur", 0.6, 1.4),
    "enlarged": Operation("resize", 1.3, 2.4, INTERPOLATING),
    "compressed": Operation("compress"),
    "shrunk": Operation("resize", 0.25, 0.85),
    "as it came": Operation(),
    "sharpened": Operation("sharpen", 0.5, 2.0),
    "coarsely shrunk": Operation("resize", 0.25, 0.8, _NEAREST),
    "slightly grainy": Operation("noise", 1.2, 3.0),
    "grainy": Operation("noise", 3.0, 8.0),
}
# The share of each in `random_operations`: none is rare, for no false-alarm rate holds for what calibration never saw.
_SHARES = (
    (0.16, Operation()),
    (0.20, Operation("resize", 0.0, 1.0)),
    (0.06, Operation("resize", 0.0, 1.0, _NEAREST)),
    (0.16, Operation("resize", 1.2, 2.4, INTERPOLATING)),
    (0.14, Operation("blur", 0.5, 2.5)),
    (0.12, Operation("sharpen", 0.3, 2.0)),
    (0.16, Operation("noise", 1.0, 8.0)),
)
# How often each happens in `random_edits`, whatever else does.
CHANCES = (
    (0.35, Operation("tone")),
    (0.25, Operation("colour")),
    (0.05, Operation("grey")),
    (0.08, Operation("retouch")),
    (0.16, Operation("gaussian_blur")),
    (0.16, Operation("unsharp_mask")),
    (0.14, Operation("grain")),
)


def random_recompression(pixels: Pixels, rng: Rng, *, smallest_side: int) -> Processed:
    """A random chain: perhaps shrink (never under `smallest_side`), then perhaps recompress."""
    side = min(pixels.shape[:2])
    if side > smallest_side and rng.random() < 0.5:
        pixels = shrink_randomly(pixels, rng, smallest_side / side)
    quality = int(rng.integers(LOWEST_QUALITY, 100))
    if rng.random() < 0.6:
        return _encoded(pixels, ("JPEG", quality))
    return _encoded(pixels, ("WEBP", quality) if rng.random() < 0.2 else None)


def random_operations(pixels: Pixels, rng: Rng, *, smallest_side: int) -> Processed:
    """One operation, now and then two, each at most once, then perhaps recompression.

    The result is never shrunk under `smallest_side`; what cannot be done to the picture is left out.
    """
    shares = [share for share, _ in _SHARES]
    for place in rng.choice(len(_SHARES), size=1 + (rng.random() < 0.25), replace=False, p=shares):
        pixels, _ = _SHARES[place][1].apply(pixels, rng, smallest_side) or (pixels, None)
    encoding = draw_encoding(
        rng, jpeg=0.4, jpeg_quality=(LOWEST_QUALITY, 99), webp=0.15, webp_quality=(_LOWEST_WEBP, 99)
    )
    return _encoded(pixels, encoding)


def apply_operation(name: str, pixels: Pixels, rng: Rng, *, smallest_side: int) -> Processed | None:
    """One of `OPERATIONS` at a random strength, then perhaps a mild recompression: [H W 3] to [H' W' 3].

    None if it cannot be done: the picture is too small to be shrunk, or so large that nobody would enlarge it.
    """
    operation = OPERATIONS[name]
    processed = operation.apply(pixels, rng, smallest_side, by_name=True)
    chance = rng.random()
    if processed is None or operation.kind == "compress" or chance >= 0.5:
        return processed
    return _encoded(processed[0], ("JPEG" if chance < 0.35 else "WEBP", int(rng.integers(_MILD, 100))))


def random_edits(
    pixels: Pixels, rng: Rng, strength: float, chances: Sequence[tuple[float, Operation]] = CHANCES
) -> Pixels:
    """Edits in an order drawn at random, each as often as the table says times `strength`: [H W 3]."""
    for place in rng.permutation(len(chances)):
        chance, operation = chances[place]
        # Its own numbers, so that an operation that draws one more leaves what follows as it was.
        own = np.random.default_rng(int(rng.integers(2**31)))
        if rng.random() < chance * strength:
            pixels, _ = operation.apply(pixels, own) or (pixels, None)
    return pixels


def shrink_randomly(
    pixels: Pixels, rng: Rng, least: float, filters: Sequence[Image.Resampling] = _SMOOTH
) -> Pixels:
    """Both sides times a factor between `least` and 1, every factor as likely, by one of the filters."""
    factor = log_uniform(rng, least, 1.0)
    return resized(pixels, factor, _one_of(filters, rng))


def draw_encoding(
    rng: Rng,
    *,
    jpeg: float,
    jpeg_quality: Range,
    webp: float = 0.0,
    webp_quality: Range = (1, 100),
) -> tuple[Encoding, int] | None:
    """A format and its quality for `recompressed`: JPEG and WebP with their probabilities, else None."""
    chance = rng.random()
    if chance < jpeg:
        return "JPEG", int(rng.integers(jpeg_quality[0], jpeg_quality[1] + 1))
    if chance < jpeg + webp:
        return "WEBP", int(rng.integers(webp_quality[0], webp_quality[1] + 1))
    return None


def _compressed(pixels: Pixels, rng: Rng, smallest_side: int) -> Processed:
    """Stored as JPEG or WebP, or twice as sites do: the two look much alike."""
    reposted = _reposted(pixels, rng, smallest_side) if rng.random() < 0.5 else None
    return reposted or _encoded(
        pixels,
        draw_encoding(rng, jpeg=0.6, jpeg_quality=(40, _MILD - 1), webp=0.4, webp_quality=(35, _MILD - 1)),
    )


def _reposted(pixels: Pixels, rng: Rng, smallest_side: int) -> Processed | None:
    """Shrunk and stored as JPEG by one site, and by the next."""
    least = max(0.6, math.sqrt(smallest_side / min(pixels.shape[:2])))
    if least >= 0.9:
        return None
    quality = None
    for _ in range(2):
        factor = _rounded_up(log_uniform(rng, least, 0.9))
        quality = int(rng.integers(65, 90))
        pixels = recompressed(resized(pixels, factor, _one_of(_SMOOTH, rng)), "JPEG", quality)
    return pixels, quality


def _encoded(pixels: Pixels, encoding: tuple[Encoding, int] | None) -> Processed:
    """Recompressed, and the quality if that was JPEG."""
    if encoding is None:
        return pixels, None
    format, quality = encoding
    return recompressed(pixels, format, quality), quality if format == "JPEG" else None


def _one_of(filters: Sequence[Image.Resampling], rng: Rng) -> Image.Resampling:
    return filters[int(rng.integers(len(filters)))]


def _rounded_up(factor: float) -> float:
    """To the three digits of a degradation's name, and never under the smallest side."""
    return math.ceil(factor * 1000) / 1000
