"""A piecewise-affine distortion of the whole picture: a coarse grid whose corners are moved at random.

It is what imgaug's `PiecewiseAffine` does (0.4.0; the releases of AIGFD-EXIF and BLADES were made with it, scale 0.04
to 0.05), without imgaug, which does not import on NumPy 2. Each grid point says where the output takes its pixels
from: a sampling map, affine in each triangle; cells have a fixed diagonal, where imgaug takes either. Points stay
inside the picture, so no black border appears.

Shapes: H W picture, R C grid points.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Pixels

Grid = NDArray[np.float64]  # [R C 2]: x, y in pixels

_SCALE = (0.04, 0.05)  # standard deviation of the moves, of the picture's height and width
_POINTS = (2, 3, 4)  # rows, columns


def piecewise_affine(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A distorted copy of a picture [H W 3]."""
    H, W, _ = pixels.shape
    where = sampling_map(draw_grid(H, W, rng), H, W)
    x, y = np.moveaxis(where, 2, 0)
    warped = cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def draw_grid(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Where a regular grid over the picture takes its pixels from, [R C 2].

    R and C are 2, 3 or 4; every point is moved by N(0, s) of the height and the width, s uniform in 0.04 to 0.05, and
    kept inside the picture.
    """
    rows, columns = rng.choice(_POINTS, 2)
    moves = rng.normal(0.0, rng.uniform(*_SCALE), (rows, columns, 2)) * (width, height)
    grid: Grid = (regular_grid(height, width, rows, columns) + moves).clip(0, (width - 1, height - 1))
    return grid


def regular_grid(height: int, width: int, rows: int, columns: int) -> Grid:
    """Evenly spaced points from the picture's first corner to its last, [R C 2]."""
    x, y = np.meshgrid(np.linspace(0, width, columns), np.linspace(0, height, rows))
    return np.stack([x, y], axis=2)


def sampling_map(grid: Grid, height: int, width: int) -> NDArray[np.float32]:
    """x and y [H W 2] of the pixel that each output pixel takes, affine in both triangles of each cell of the grid.

    A cell is divided by the diagonal between its upper right and its lower left corner.
    """
    planes = np.empty((2, height, width), np.float32)  # one after the other they are worked out faster
    for i, (rows, v) in enumerate(_cells(height, grid.shape[0])):
        for j, (columns, u) in enumerate(_cells(width, grid.shape[1])):
            across, down = u[None, :], v[:, None]
            beyond = np.maximum(across + down - 1, 0)  # the diagonal: only there does d count
            corners = grid[i : i + 2, j : j + 2].reshape(4, 2).astype(np.float32)
            for plane, (a, b, c, d) in zip(planes, corners.T, strict=True):
                plane[rows, columns] = a + across * (b - a) + down * (c - a) + beyond * (a + d - b - c)
    return np.moveaxis(planes, 0, 2)


def _cells(length: int, points: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """For each cell along one side: the pixels in it, and where in it each of them lies, 0 to 1."""
    place = np.arange(length) * (points - 1) / length
    starts = np.searchsorted(place, np.arange(points))
    for cell, (start, stop) in enumerate(itertools.pairwise(starts)):
        yield slice(start, stop), (place[start:stop] - cell).astype(np.float32)
