"""Self-blended images: a photograph blended with a slightly changed copy of itself, as a fake that needs no generator.

Shiohara and Yamasaki, "Detecting deepfakes with self-blended images", CVPR 2022, arXiv 2204.08376. A copy in other
colours or sharpness, a little moved and bent, shows through a soft mask of the face. An EfficientNet-B4 learns to tell
the blended from the plain; it says nothing of faces that were generated whole, and is here to show that.

Shapes: H and W height and width; B pictures.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cameraborn.degrade.named import recompressed
from cameraborn.files import Array, Pixels
from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.efficientnet import EfficientNet
from cameraborn.rivals.inputs import by_opencv, to_tensor
from cameraborn.rivals.published import (
    LAYOUTS,
    NETWORKS,
    RIVALS,
    Layout,
    Publication,
    WholeNetwork,
    without_prefix,
)

_PUBLICATION = Publication(
    title="Detecting deepfakes with self-blended images",
    year=2022,
    paper="CVPR 2022, arXiv 2204.08376",
    code="https://github.com/mapooon/SelfBlendedImages",
    code_licence="academic, non-commercial",
    weights_licence="academic, non-commercial",
    needs="For its recipe, landmarks of faces, and ImageNet's weights of EfficientNet-B4 (`start`).",
    differs="The picture is taken for a crop of a face; the hull of all landmarks is the only mask, and one "
    "optimiser step a batch replaces the two of sharpness-aware minimisation. The recipe starts from ImageNet's "
    "weights, as its authors do, only where its `start` names them.",
)

SIDE = 380  # pixels
_SHIFT = 20  # grey levels, greatest, of a colour
_HUE, _SATURATION, _VALUE = 0.3, 0.3, 0.3  # greatest shifts of OpenCV's 8-bit scales
_BRIGHTNESS, _CONTRAST = 0.1, 0.1  # greatest, of the full scale and of the factor
_MOVE_X, _MOVE_Y, _ZOOM = 0.03, 0.015, 0.05  # greatest, of the sides and of the factor
_BEND, _SMOOTH = 50.0, 7.0  # of the mask's elastic deformation: strength and deviation, pixels
_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # of the blend


def self_blended(
    pixels: Pixels, points: Array, rng: np.random.Generator
) -> tuple[Pixels, Pixels, NDArray[np.float32]]:
    """A photograph, its self-blended fake, and the mask of the blend.

    Args:
        pixels: of a face with some margin, [H W 3].
        points: outline or landmarks of the face in it, [N 2] x and y in pixels, at least three.

    Returns:
        The photograph, which may have been changed as a copy is; the fake; and the mask [H W] in 0..1.

    Raises:
        ValueError: fewer than three points.
    """
    if len(points) < 3:
        raise ValueError(f"{len(points)} points enclose nothing: give the landmarks of a face")
    height, width = pixels.shape[:2]
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((height, width), np.float32), hull, 1.0)
    copy = pixels
    if rng.random() < 0.5:
        copy = _changed(copy, rng)
    else:
        pixels = _changed(pixels, rng)
    copy, moved = _moved(copy, np.asarray(mask, dtype=np.float32), rng)
    soft = blend_mask(_bent(moved, rng), rng) * np.float32(rng.choice(_RATIOS))
    blended = soft[:, :, None] * copy + (1 - soft[:, :, None]) * pixels
    return pixels, blended.astype(np.uint8), soft


def blend_mask(mask: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A mask [H W] with a soft inner edge: blurred, cut where it is below its greatest, and blurred again.

    Both blurs are done at a side of 192 to 256 pixels, whatever the picture's.
    """
    height, width = mask.shape
    small = cv2.resize(mask, (int(rng.integers(192, 257)), int(rng.integers(192, 257))))
    first, second = (int(side) for side in rng.choice(np.arange(5, 26, 2), size=2))
    soft = cv2.GaussianBlur(small, (first, first), 0)
    soft = np.where((soft < soft.max()) | (soft <= 0), 0, 1).astype(np.float32)
    soft = cv2.GaussianBlur(soft, (second, second), float(rng.integers(5, 46)))
    if soft.max() > 0:
        soft = soft / soft.max()
    return np.asarray(cv2.resize(soft, (width, height)), dtype=np.float32)


def _changed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Other colours, then less or more sharpness."""
    changed = pixels.astype(np.float64)
    if rng.random() < 0.3:
        changed = changed + rng.uniform(-_SHIFT, _SHIFT, 3)
    hsv = cv2.cvtColor(changed.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv += rng.uniform(-1, 1, 3) * (_HUE, _SATURATION, _VALUE)
    hsv[..., 0] %= 180
    rgb = cv2.cvtColor(hsv.round().clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    rgb = rgb * (1 + rng.uniform(-_CONTRAST, _CONTRAST)) + 255 * rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    levels = rgb.clip(0, 255).astype(np.uint8)
    return _coarser(levels, rng) if rng.random() < 0.5 else _sharper(levels, rng)


def _coarser(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shrunk to a half or a quarter by points, and back."""
    height, width = pixels.shape[:2]
    factor = int(rng.choice([2, 4]))
    small = by_opencv(pixels, max(1, height // factor), max(1, width // factor), cv2.INTER_NEAREST)
    return by_opencv(small, height, width)


def _sharper(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blended with its own sharpening."""
    alpha, lightness = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.0)
    kernel = np.full((3, 3), -1.0, np.float32)
    kernel[1, 1] = 8 + lightness
    identity = np.zeros((3, 3), np.float32)
    identity[1, 1] = 1
    return np.asarray(cv2.filter2D(pixels, -1, (1 - alpha) * identity + alpha * kernel), dtype=np.uint8)


def _moved(
    pixels: Pixels, mask: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """Both shifted and zoomed alike, black beyond the edge."""
    height, width = mask.shape
    zoom = rng.uniform(1 - _ZOOM, 1 / (1 - _ZOOM))
    x = width / 2 * (1 - zoom) + width * rng.uniform(-_MOVE_X, _MOVE_X)
    y = height / 2 * (1 - zoom) + height * rng.uniform(-_MOVE_Y, _MOVE_Y)
    matrix = np.array([[zoom, 0, x], [0, zoom, y]])
    moved = [cv2.warpAffine(image, matrix, (width, height)) for image in (pixels, mask)]
    return np.asarray(moved[0], dtype=np.uint8), np.asarray(moved[1], dtype=np.float32)


def _bent(mask: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """An elastic deformation (Simard et al., 2003)."""
    height, width = mask.shape
    shifts = [
        cv2.GaussianBlur(rng.uniform(-1, 1, (height, width)).astype(np.float32), (0, 0), _SMOOTH) * _BEND
        for _ in range(2)
    ]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = cv2.remap(mask, xs + shifts[0], ys + shifts[1], cv2.INTER_LINEAR)
    return np.asarray(bent, dtype=np.float32)


def recompressed_alike(first: Pixels, second: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Both through JPEG of one quality of 40 to 100, one time in two: no difference of theirs may be the file's."""
    if rng.random() < 0.5:
        return first, second
    quality = int(rng.integers(40, 101))
    return recompressed(first, "JPEG", quality), recompressed(second, "JPEG", quality)


class SelfBlended(WholeNetwork):
    """EfficientNet-B4 on faces of 380 pixels; trained on photographs and their self-blended copies."""

    name = "self-blended"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "efficientnet-b4-2"}

    def preprocess(self, picture: Picture) -> Tensor:
        """Resized to 380 x 380 by OpenCV, in 0..1, not normalised."""
        return to_tensor(by_opencv(picture.pixels, SIDE, SIDE))

    def score(self, prepared: Tensor) -> Tensor:
        """Log-odds of blended, [B]."""
        genuine, generated = self.network(prepared).unbind(dim=1)
        return torch.sub(generated, genuine)

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """Cross-entropy of two outputs."""
        return F.cross_entropy(self.network(prepared), generated.long())


def efficientnet_b4() -> EfficientNet:
    """EfficientNet-B4 with two outputs."""
    return EfficientNet(width=1.4, depth=1.8, outputs=2, dropout=0.4)


def _of_detector(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The public code's detector holds the network as `net`."""
    return without_prefix("net.", weights)


NETWORKS.add("efficientnet-b4-2", efficientnet_b4)
LAYOUTS.add(
    "self-blended",
    Layout("efficientnet-b4-2", "FFraw.tar", f"the links in {_PUBLICATION.code}", translate=_of_detector),
)
RIVALS.add("self-blended", SelfBlended)
