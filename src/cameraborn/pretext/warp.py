"""A piecewise-affine distortion of the whole picture: a coarse grid whose corners are moved at random.

It is what imgaug's `PiecewiseAffine` does (0.4.0; the releases of AIGFD-EXIF and BLADES were made with it, scale 0.04
to 0.05), without imgaug, which does not import on NumPy 2. Each grid point says where the output takes its pixels
from: a sampling map, affine in each triangle. Points stay inside the picture, so no black border appears.

Shapes: H W picture, R C grid points.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [H W 3]
Grid = NDArray[np.float64]  # [R C 2]: x, y in pixels

_SCALE = (0.04, 0.05)  # standard deviation of the moves, of the picture's height and width
_POINTS = (2, 3, 4)  # rows, columns


def piecewise_affine(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A distorted copy of a picture [H W 3]."""
    H, W, _ = pixels.shape
    x, y = sampling_map(draw_grid(H, W, rng), H, W)
    # The border mode fills nothing in: the map never leaves the picture.
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


def sampling_map(grid: Grid, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y [H W] of the pixel that each output pixel takes, affine in both triangles of each cell of the grid.

    A cell is divided by the diagonal between its upper right and its lower left corner.
    """
    row, v = _cells(height, grid.shape[0])
    column, u = _cells(width, grid.shape[1])
    row, v = row[:, None], v[:, None, None]
    u = u[None, :, None]
    a, b = grid[row, column], grid[row, column + 1]  # [H W 2]: the corners of each pixel's cell
    c, d = grid[row + 1, column], grid[row + 1, column + 1]
    upper = a + u * (b - a) + v * (c - a)
    lower = d + (1 - u) * (c - d) + (1 - v) * (b - d)
    where = np.where(u + v <= 1, upper, lower).astype(np.float32)
    return np.ascontiguousarray(where[..., 0]), np.ascontiguousarray(where[..., 1])


def _cells(length: int, points: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The cell of each pixel along one side, and where in it the pixel lies, 0 to 1."""
    place = np.arange(length) * (points - 1) / length
    cell = place.astype(np.intp)
    return cell, place - cell
