"""The steps of which the originals' inputs are made: resizing by the library that each used, cropping, scaling.

The libraries do not agree when they make a picture smaller: Pillow averages over what falls together, OpenCV takes
points. A detector of fine traces sees the difference, so each rival takes the one that its original took.

Shapes: H and W height and width, pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cameraborn.files import Pixels
from cameraborn.networks.resnet import NORMALISATIONS

HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # mean and deviation that bring 0..1 to -1..1
IMAGENET, CLIP = NORMALISATIONS["imagenet"], NORMALISATIONS["clip"]
_ROUNDED_CROP = 2.0


def by_pillow(pixels: Pixels, height: int, width: int, how: Image.Resampling) -> Pixels:
    """Resized as torchvision does a Pillow picture: with a filter that grows as the picture shrinks."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def by_opencv(pixels: Pixels, height: int, width: int, how: int = cv2.INTER_LINEAR) -> Pixels:
    """Resized as OpenCV does: a filter of one size, so a picture made smaller is sampled at points."""
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.uint8)


def shorter_side(pixels: Pixels, side: int, how: Image.Resampling) -> Pixels:
    """Resized by Pillow to a shorter side of `side`, in proportion, as torchvision's Resize(side)."""
    height, width = pixels.shape[:2]
    if height <= width:
        return by_pillow(pixels, side, int(side * width / height), how)
    return by_pillow(pixels, int(side * height / width), side, how)


def centre_crop(pixels: Pixels, side: int) -> Pixels:
    """The middle square, as torchvision's CenterCrop: what is too small is first framed with black."""
    height, width = pixels.shape[:2]
    top, left = max(side - height, 0), max(side - width, 0)
    if top or left:
        frame = ((top // 2, (top + 1) // 2), (left // 2, (left + 1) // 2), (0, 0))
        pixels = np.pad(pixels, frame)
        height, width = pixels.shape[:2]
    y, x = round((height - side) / _ROUNDED_CROP), round((width - side) / _ROUNDED_CROP)
    return pixels[y : y + side, x : x + side]


def to_tensor(pixels: Pixels) -> Tensor:
    """Grey levels [H W 3] to float32 [3 H W] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def normalised(tensor: Tensor, statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Channels [... 3 H W] less their mean, over their deviation."""
    mean, deviation = (torch.tensor(numbers, device=tensor.device)[:, None, None] for numbers in statistics)
    return (tensor - mean) / deviation
