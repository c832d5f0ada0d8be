"""From a face detector's raw outputs to boxes: which parts of a picture it is shown, and which boxes are one face.

Shapes: N candidates, A anchors. Boxes are x0, y0, x1, y1 in pixels; a frame is the box of a whole picture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.files import Array, Box
from cameraborn.photo.crops import longer_side

LARGE = 0.2  # of the picture's long side
TILE = 512  # smallest tile, pixels: its smallest findable face is about 40 px
TILE_GROWTH = 2.5  # a tile's side over the next finer one's
TILE_OVERLAP = 0.3  # of its side: a face up to this large lies whole in some tile
TILES_ACROSS = 8  # finest tiles along the long side at most (before overlap), so the cost is bounded
SAME_IOU = 0.3  # MediaPipe's own threshold
SAME_INSIDE = 0.7  # a box with this share of it inside a surer one is a part of the same face

Candidates = Array  # [N 5]: x0, y0, x1, y1, confidence


def anchors(size: int) -> Array:
    """Centres of the anchors [A 2], in input pixels: full range one a cell, short range 2 and 6 a cell."""
    grids = [(4, 1)] if size == 192 else [(8, 2), (16, 6)]  # stride, anchors a cell
    centres = []
    for stride, repeats in grids:
        along = np.arange(size // stride) * stride + stride / 2
        y, x = np.meshgrid(along, along, indexing="ij")
        centres.append(np.stack([x.ravel(), y.ravel()], axis=1).repeat(repeats, axis=0))
    return np.concatenate(centres)


def decode_boxes(
    raw_boxes: NDArray[np.float32], raw_scores: NDArray[np.float32], size: int, min_confidence: float
) -> Candidates:
    """Raw outputs [A 16], [A] to merged candidates [N 5] in input pixels."""
    confidence = 1 / (1 + np.exp(-np.clip(raw_scores.astype(np.float64), -80, 80)))
    keep = (confidence >= min_confidence) & (raw_boxes[:, 2:4] > 0).all(axis=1)
    centre = raw_boxes[keep, :2] + anchors(size)[keep]
    half = raw_boxes[keep, 2:4] / 2
    return suppress(
        np.concatenate([centre - half, centre + half, confidence[keep, None]], axis=1), average=True
    )


def suppress(candidates: Candidates, *, average: bool = False) -> Candidates:
    """Non-maximum suppression by overlap and by containment, surest first.

    With `average` a box becomes the mean of those that it suppresses by overlap, weighted by confidence, as
    in MediaPipe: right among the anchors of one pass, which see the same pixels, and not across passes.
    """
    rest = candidates[np.argsort(-candidates[:, 4], kind="stable")]
    kept = []
    while len(rest):
        best = rest[0].copy()
        iou, inside = _overlaps(best, rest)
        if average:
            best[:4] = np.average(rest[iou > SAME_IOU, :4], axis=0, weights=rest[iou > SAME_IOU, 4])
        kept.append(best)
        same = (iou > SAME_IOU) | (inside > SAME_INSIDE)
        same[0] = True
        rest = rest[~same]
    return np.array(kept).reshape(-1, 5)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    return float(_overlaps(np.array(one), np.array([other]))[0][0])


def _overlaps(one: Array, many: Candidates) -> tuple[Array, Array]:
    """Intersection over union, and over the smaller of the two, of one box with many [N 5]."""
    sides = np.minimum(one[2:4], many[:, 2:4]) - np.maximum(one[:2], many[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    area, areas = (one[2:4] - one[:2]).prod(), (many[:, 2:4] - many[:, :2]).prod(axis=1)
    return shared / (area + areas - shared), shared / np.minimum(area, areas)


def has_large(found: Candidates, frame: Box) -> bool:
    """Whether a candidate is a large face of the frame."""
    sides = (found[:, 2:4] - found[:, :2]).max(axis=1)
    return bool((sides >= LARGE * longer_side(frame)).any())


def letterbox(frame: Box, margin: float = 0.0) -> Box:
    """The square around the picture, `margin` of the long side wider on each side."""
    half = longer_side(frame) * (0.5 + margin)
    return (frame[2] / 2 - half, frame[3] / 2 - half, frame[2] / 2 + half, frame[3] / 2 + half)


def view_of(image: Image.Image, region: Box, size: int) -> Image.Image:
    """`region` of the picture at `size` x `size`; outside the picture it is black."""
    x0, y0 = max(region[0], 0), max(region[1], 0)
    x1, y1 = min(region[2], image.width), min(region[3], image.height)
    scale = size / (region[2] - region[0])
    shrunk = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    # reducing_gap: whole-number box reduction first, which makes a large picture several times cheaper
    part = image.resize(shrunk, Image.Resampling.BILINEAR, box=(x0, y0, x1, y1), reducing_gap=2.0)
    if shrunk == (size, size):
        return part
    view = Image.new("RGB", (size, size))
    view.paste(part, (round((x0 - region[0]) * scale), round((y0 - region[1]) * scale)))
    return view


def tiles_of(width: int, height: int) -> list[Box]:
    """Square overlapping tiles, coarse to fine; none for a picture that a tile would hardly magnify."""
    side = max(float(TILE), max(width, height) / TILES_ACROSS)
    tiles: list[Box] = []
    while side * 1.5 <= max(width, height):
        rows, columns = _starts(height, side), _starts(width, side)
        tiles = [(x, y, x + side, y + side) for y in rows for x in columns] + tiles
        side *= TILE_GROWTH
    return tiles


def _starts(length: int, side: float) -> list[float]:
    """Where tiles begin along one side of the picture: evenly, overlapping by `TILE_OVERLAP` at least."""
    if length <= side:
        return [(length - side) / 2]
    count = math.ceil((length - side) / (side * (1 - TILE_OVERLAP))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def uncut(found: Candidates, tile: Box, width: int, height: int) -> NDArray[np.bool_]:
    """Which candidates the tile does not cut: the next tile, or the coarser one, has the others whole."""
    # a tile ends at the picture's edge only to within rounding
    low = np.array([start if start > 1 else -np.inf for start in tile[:2]])
    high = np.array(
        [e if e < limit - 1 else np.inf for e, limit in zip(tile[2:], (width, height), strict=True)]
    )
    return np.asarray(np.concatenate([found[:, :2] >= low, found[:, 2:4] <= high], axis=1).all(axis=1))
