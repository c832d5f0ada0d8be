"""One random delivery for photographs and fakes alike: crop, resize, edits, compression, the detector's own part.

What one class alone goes through, a network learns instead of what generators leave. So a draw knows nothing of the
class; a photograph and its redrawing can be given the same draw (same seed). The steps, in order:

1. the face, 1.15 to 1.5 times its box, a little beside its middle, perhaps mirrored;
2. brought to a side drawn between 112 and 420 px, never far above its own;
3. edits: tone, colour, grey, blur, sharpening, denoising, noise;
4. JPEG or WebP, perhaps after another resizing, perhaps twice;
5. the detector's own part: shrunk to `SIDE`, a square patch of it.

Pixels are uint8 [H W 3].
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(1)

Pixels = NDArray[np.uint8]
Rng = np.random.Generator
TILE = 32
SIDE = 256  # a larger face is shrunk to it before the network
TURNED = 0.35  # share that is turned and interpolated first
MATCHED = 0.5  # share that is blurred or sharpened until its sharpness is one drawn from SHARPNESS
SHARPNESS = (5.5, 0.9)  # mean and spread
WEBP = 0.3  # share of compressions: the rest is JPEG
UP = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def face_square(pixels: Pixels, box: list[float] | None, rng: Rng | None, scale: float = 1.3) -> Pixels:
    """The square around a face, drawn and moved a little with `rng`; without a box, anywhere."""
    H, W, _ = pixels.shape
    if box is None:
        if rng is None:
            side = min(H, W)
            y, x = (H - side) // 2, (W - side) // 2
        else:
            side = min(H, W, int(rng.integers(144, 353)))
            y, x = int(rng.integers(H - side + 1)), int(rng.integers(W - side + 1))
        return pixels[y : y + side, x : x + side]
    longer = max(box[2] - box[0], box[3] - box[1])
    moved_x = moved_y = 0.0
    if rng is not None:
        scale = float(rng.uniform(1.15, 1.5))
        moved_x, moved_y = rng.uniform(-0.07, 0.07, 2) * longer
    side = max(16, min(round(longer * scale), H, W))
    x = min(max(round((box[0] + box[2] - side) / 2 + moved_x), 0), W - side)
    y = min(max(round((box[1] + box[3] - side) / 2 + moved_y), 0), H - side)
    return pixels[y : y + side, x : x + side]


def resized(pixels: Pixels, side: int, rng: Rng) -> Pixels:
    """A square brought to a side by a kernel of chance; shrinking is antialiased nineteen times in twenty."""
    old = pixels.shape[0]
    if side == old:
        return pixels
    if side > old:
        return cv2.resize(pixels, (side, side), interpolation=UP[rng.integers(3)])
    kind = rng.random()
    if kind < 0.05:
        return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR)
    if kind < 0.55:
        return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return antialiased(pixels, side, rng.integers(3))


def antialiased(pixels: Pixels, side: int, kernel: int = 2) -> Pixels:
    """Shrunk by Pillow's bilinear, bicubic or Lanczos kernel."""
    from PIL import Image

    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    return np.asarray(Image.fromarray(pixels).resize((side, side), filters[kernel]))


def turned(square: Pixels, rng: Rng) -> Pixels:
    """Turned by some degrees and interpolated, as data sets of aligned faces (FFHQ) and editors do."""
    side = square.shape[0]
    angle, scale = float(rng.normal(0, 8)), float(rng.uniform(1.0, 1.4))
    about = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale)
    about[:, 2] += (scale - 1) * side / 2
    size = (int(side * scale),) * 2
    kernel = UP[rng.integers(3)]
    return cv2.warpAffine(square, about, size, flags=kernel, borderMode=cv2.BORDER_REFLECT_101)


def _levels(values: NDArray[np.float32]) -> Pixels:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _blur(x: Pixels, rng: Rng) -> Pixels:
    return cv2.GaussianBlur(x, (0, 0), float(np.exp(rng.uniform(np.log(0.35), np.log(1.8)))))


def _sharpen(x: Pixels, rng: Rng) -> Pixels:
    soft = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.6, 2.5)))
    return cv2.addWeighted(x, 1 + (a := float(rng.uniform(0.2, 1.6))), soft, -a, 0)


def _noise(x: Pixels, rng: Rng) -> Pixels:
    strength = float(np.exp(rng.uniform(np.log(0.8), np.log(9))))
    if rng.random() < 0.5:
        grain = rng.standard_normal(x.shape, np.float32)
    else:
        grain = np.repeat(rng.standard_normal((*x.shape[:2], 1), np.float32), 3, axis=2)
    if rng.random() < 0.3:
        grain = 1.8 * cv2.GaussianBlur(grain, (0, 0), 0.7)
    return _levels(x + strength * grain)


def _tone(x: Pixels, rng: Rng) -> Pixels:
    gamma, gain, lift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.12)), rng.normal(0, 8)
    curve = 255 * (np.arange(256) / 255) ** gamma
    if rng.random() < 0.3:  # an S or its inverse, as "HDR" looks have
        curve = curve + rng.uniform(-18, 18) * np.sin(np.arange(256) / 255 * 2 * np.pi)
    curve = (curve - 128) * gain + 128 + lift
    return cv2.LUT(x, np.clip(curve, 0, 255).astype(np.uint8))


def _colour(x: Pixels, rng: Rng) -> Pixels:
    grey = x.mean(axis=2, keepdims=True)
    balance = np.exp(rng.normal(0, 0.06, 3))
    return _levels(((x - grey) * rng.uniform(0.5, 1.5) + grey) * balance.astype(np.float32))


def _grey(x: Pixels, rng: Rng) -> Pixels:
    return cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _retouch(x: Pixels, rng: Rng) -> Pixels:
    """Skin smoothed as editors and phones do."""
    kind = rng.integers(4)
    if kind == 0:
        y = cv2.bilateralFilter(x, 5, float(rng.uniform(8, 35)), float(rng.uniform(1, 4)))
    elif kind == 1:
        y = cv2.medianBlur(x, 3)
    elif kind == 2:
        y = cv2.bilateralFilter(x, 9, float(rng.uniform(8, 30)), 5.0)
    else:
        y = cv2.boxFilter(x, -1, (3, 3))
    return cv2.addWeighted(x, 1 - (a := float(rng.uniform(0.3, 1.0))), y, a, 0)


EDITS: tuple[tuple[float, Callable[[Pixels, Rng], Pixels]], ...] = (
    (0.35, _tone),
    (0.25, _colour),
    (0.05, _grey),
    (0.08, _retouch),
    (0.16, _blur),
    (0.16, _sharpen),
    (0.14, _noise),
)


def compressed(x: Pixels, rng: Rng, lowest: int = 45) -> Pixels:
    """JPEG, a share `WEBP` of the time WebP."""
    quality = int(rng.integers(lowest, 100))
    bgr = cv2.cvtColor(x, cv2.COLOR_RGB2BGR)
    if rng.random() >= WEBP:
        sampling = (
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
            if rng.random() < 0.65
            else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        )
        _, file = cv2.imencode(
            ".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
        )
    else:
        _, file = cv2.imencode(".webp", bgr, (cv2.IMWRITE_WEBP_QUALITY, quality))
    return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def stored(x: Pixels, rng: Rng, format: str, lowest: int = 72) -> Pixels:
    """As a file of that format would hold it: `webp` or `jpg`."""
    bgr = cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2BGR)
    quality = int(rng.integers(lowest, 97))
    key = cv2.IMWRITE_WEBP_QUALITY if format == "webp" else cv2.IMWRITE_JPEG_QUALITY
    _, file = cv2.imencode(f".{format}", bgr, (key, quality))
    return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def sharpness(x: Pixels) -> float:
    """Log variance of the Laplacian of the luma."""
    return float(np.log(cv2.Laplacian(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var() + 1.0))


def brought_to_sharpness(x: Pixels, target: float) -> Pixels:
    """Blurred or sharpened until the `sharpness` is the target, or as near as sane strengths allow."""
    own = sharpness(x)
    if own > target:
        low, high = 0.25, 2.0
        for _ in range(5):
            middle = (low + high) / 2
            y = cv2.GaussianBlur(x, (0, 0), middle)
            low, high = (middle, high) if sharpness(y) > target else (low, middle)
        return y
    soft = cv2.GaussianBlur(x, (0, 0), 1.0)
    low, high = 0.0, 2.5
    for _ in range(5):
        middle = (low + high) / 2
        y = cv2.addWeighted(x, 1 + middle, soft, -middle, 0)
        low, high = (low, middle) if sharpness(y) > target else (middle, high)
    return y


def deliver(
    square: Pixels, rng: Rng, strength: float = 1.0, native: float = 0.0, light: float = 0.0
) -> Pixels:
    """Steps 2 to 4 and the shrinking of step 5, which a share `native` is spared.

    `strength` scales how often edits happen; a share `light` is resized and compressed once and nothing else.
    """
    if rng.random() < TURNED and square.shape[0] >= 160:
        square = turned(square, rng)
    own = square.shape[0]
    side = int(np.exp(rng.uniform(np.log(112), np.log(480 if native else 420))))
    if side > own:
        side = own if rng.random() < 0.8 else min(side, int(own * rng.uniform(1.0, 1.8)))
    x = resized(square, side, rng)
    if rng.random() < light:
        x = compressed(x, rng, 60) if rng.random() < 0.8 else x
        return antialiased(x, SIDE) if x.shape[0] > SIDE and rng.random() >= native else x
    order = rng.permutation(len(EDITS))
    for place in order:
        share, edit = EDITS[place]
        draws = np.random.default_rng(int(rng.integers(2**31)))
        if rng.random() < share * strength:
            x = edit(x, draws)
    if rng.random() < MATCHED:
        x = brought_to_sharpness(x, float(rng.normal(*SHARPNESS)))
    if rng.random() < 0.7:
        x = compressed(x, rng)
    if rng.random() < 0.25:
        if (again := int(x.shape[0] * rng.uniform(0.6, 1.3))) >= 104:
            x = resized(x, again, rng)
        if rng.random() < 0.7:
            x = compressed(x, rng)
    if x.shape[0] > SIDE and rng.random() >= native:
        x = antialiased(x, SIDE)
    return x


def shuffled(x: Pixels, rng: Rng) -> Pixels:
    """The square tiles of a patch in another order: what it shows is gone, what its pixels are like stays."""
    count = x.shape[0] // TILE
    tiles = x.reshape(count, TILE, count, TILE, 3).transpose(0, 2, 1, 3, 4).reshape(-1, TILE, TILE, 3)
    tiles = tiles[rng.permutation(len(tiles))].reshape(count, count, TILE, TILE, 3)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(x.shape)


def patch(x: Pixels, side: int, rng: Rng, shuffle: float = 0.0) -> Pixels:
    """A square patch, mirrored half of the time, `shuffled` now and then; a smaller picture is enlarged to it."""
    if x.shape[0] < side:
        x = cv2.resize(x, (side, side), interpolation=cv2.INTER_LINEAR)
    y0, x0 = rng.integers(x.shape[0] - side + 1, size=2)
    x = x[y0 : y0 + side, x0 : x0 + side]
    x = x[:, ::-1] if rng.random() < 0.5 else x
    return shuffled(x, rng) if rng.random() < shuffle else x
