"""Artificial manipulations of a face: what a network learns to tell from an untouched photograph.

One eye mirrored, the mouth mirrored, the mouth turned over, the whole face distorted piecewise affinely (AIGFD-EXIF,
arXiv 2501.02207, Fig. 2 and 3), and the nose turned over (BLADES, arXiv 2507.22824). A local manipulation flips a patch
around the feature and blends it in with a soft mask (`masks`); the distortion is in `warp`.

The authors enlarge their 128-pixel faces to 224 pixels, manipulate, and shrink them back; they leave originals as they
are, so that "manipulated" can be seen from the lost sharpness alone (benchmarks/manipulation_shortcut.py).
`match_resampling` sends originals the same way.

Where landmarks are missing or show no such feature, a local manipulation gives None: the sample is to be skipped, or
used as the original that it is. (The authors distort it instead and keep the label "mouth" or "eye".)

A face of 224 pixels takes well under a millisecond if OpenCV uses one thread: call `cv2.setNumThreads(1)` in worker
processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from cameraborn.files import Pixels
from cameraborn.pseudo.masks import Feature, Landmarks, Region, find_region
from cameraborn.pseudo.warp import piecewise_affine

Kind = Literal["", "mouth-vertical", "mouth", "eye", "affine", "nose"]  # "": the original

KINDS: tuple[Kind, ...] = get_args(Kind)[1:]
PAPER_KINDS = KINDS[:4]  # in the order of the released files, ID_0.png to ID_3.png
SIDE = 224  # pixels at which the paper manipulates
_BLEND_RATIOS = (0.75, 1.0, 1.0, 1.0)
_LEFT_RIGHT, _UP_DOWN, _BOTH_AXES = 1, 0, -1  # OpenCV's codes


@dataclass(frozen=True)
class ManipulationOptions:
    """How faces are manipulated; the defaults are what the authors' code does.

    Attributes:
        side: a crop whose shorter side has fewer pixels is enlarged to this, manipulated, and shrunk back;
            None: every crop is manipulated at its own size, and nothing is resampled but by the distortion.
        match_resampling: originals go through the same enlarging and shrinking.
        eyes: the eye that lies right in the picture (which is what the authors' code flips), or both.
        upside_down: what turning over means: both axes (half a turn, as in the released data), or up and down alone.
    """

    side: int | None = SIDE
    match_resampling: bool = False
    eyes: Literal["right", "both"] = "right"
    upside_down: Literal["both-axes", "vertical"] = "both-axes"


DEFAULTS = ManipulationOptions()


def draw_kind(rng: np.random.Generator, kinds: Sequence[Kind] = PAPER_KINDS) -> Kind:
    """What to do with a sample: nothing ("") half the time, else each kind equally often (the paper's: 1/8 each)."""
    place = int(rng.integers(2 * len(kinds)))
    return kinds[place] if place < len(kinds) else ""


def manipulate(
    pixels: Pixels,
    landmarks: ArrayLike | None,
    kind: Kind,
    rng: np.random.Generator,
    options: ManipulationOptions = DEFAULTS,
) -> Pixels | None:
    """A manipulated copy of a face crop, of the same size.

    Args:
        pixels: the crop, uint8 [H W 3].
        landmarks: [68 2], x and y in pixels of the crop; None if there are none. "" and "affine" need none.
        kind: one of `KINDS`, or "" for the original, resampled if `options.match_resampling` says so.

    Returns:
        The crop, or None if the landmarks do not show what is to be manipulated (see `masks.find_region`): then
        this sample must not be called manipulated.

    Raises:
        ValueError: not such pixels, landmarks or kind.
    """
    _check(pixels, kind)
    H, W, _ = pixels.shape
    if kind == "":
        return round_trip(pixels, options.side) if options.match_resampling else pixels.copy()
    work = enlarged(pixels, options.side)
    if kind == "affine":
        return _shrunk(piecewise_affine(work, rng), H, W)
    if landmarks is None:
        return None
    height, width, _ = work.shape
    found = regions(_moved(landmarks, width / W, height / H), kind, height, width, options)
    if found is None:
        return None
    flip = _BOTH_AXES if options.upside_down == "both-axes" else _UP_DOWN
    code = flip if kind in ("mouth-vertical", "nose") else _LEFT_RIGHT
    ratio = _BLEND_RATIOS[rng.integers(len(_BLEND_RATIOS))]
    for region in found:
        _flip(work, region, code, ratio)
    return _shrunk(work, H, W)


def regions(
    landmarks: Landmarks, kind: Kind, height: int, width: int, options: ManipulationOptions = DEFAULTS
) -> list[Region] | None:
    """Where a local manipulation acts in a picture of that size, or None if the landmarks do not show it."""
    features: dict[Kind, tuple[Feature, ...]] = {
        "eye": ("right-eye",) if options.eyes == "right" else ("left-eye", "right-eye"),
        "mouth": ("mouth",),
        "mouth-vertical": ("mouth",),
        "nose": ("nose",),
    }
    found = [find_region(landmarks, feature, height, width) for feature in features[kind]]
    whole = [region for region in found if region is not None]
    return whole if len(whole) == len(found) else None


def enlarged(pixels: Pixels, side: int | None) -> Pixels:
    """A copy of a crop [H W 3] whose shorter side has at least `side` pixels; None: of its own size."""
    H, W, _ = pixels.shape
    factor = max(1.0, side / min(H, W)) if side is not None else 1.0
    return interpolated(pixels, round(H * factor), round(W * factor)) if factor > 1 else pixels.copy()


def interpolated(pixels: Pixels, height: int, width: int) -> Pixels:
    """A crop [H W 3] stretched to that size, each pixel from its four nearest, rounded once.

    It is what `square_resize` makes without antialiasing, by OpenCV, which needs a tenth of the time.
    """
    exact = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(exact), np.uint8)


def round_trip(pixels: Pixels, side: int | None = SIDE) -> Pixels:
    """A crop [H W 3] enlarged as a manipulation would, and shrunk back: its resampling and nothing else."""
    H, W, _ = pixels.shape
    return _shrunk(enlarged(pixels, side), H, W)


def _flip(pixels: Pixels, region: Region, code: int, ratio: float) -> None:
    """Blend the flipped patch into `pixels`. The mask may be above 0 outside the patch, where nothing changes."""
    left, top, right, bottom = region.patch
    patch = pixels[top:bottom, left:right]
    weight = ratio * region.mask[top:bottom, left:right, None]
    blended = weight * cv2.flip(patch, code) + (1 - weight) * patch
    # Rounded: the authors cut off, which darkens manipulated pictures, and only those, by half a level.
    pixels[top:bottom, left:right] = (blended + 0.5).astype(np.uint8)


def _shrunk(pixels: Pixels, height: int, width: int) -> Pixels:
    """Back to that size, averaging."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def _moved(landmarks: ArrayLike, x: float, y: float) -> Landmarks:
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks are the 68 points of 300-W, [68 2]; got {list(points.shape)}")
    return points * (x, y)


def _check(pixels: Pixels, kind: Kind) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"a crop is uint8 [H W 3]; got {pixels.dtype} {list(pixels.shape)}")
    if kind and kind not in KINDS:
        raise ValueError(
            f"{kind!r} is not a manipulation: choose from {', '.join(KINDS)}, or '' for the original"
        )
