"""The warp is scikit-image's piecewise-affine transform on a grid drawn as imgaug draws it."""

import numpy as np
import pytest
from skimage import data
from skimage.transform import PiecewiseAffineTransform, warp

from cameraborn.pseudo.warp import draw_grid, piecewise_affine, regular_grid, sampling_map

H, W = 120, 150


def exact_map(grid):
    """x and y [H W 2] by scikit-image, cell by cell.

    Delaunay may divide a rectangle either way: two corners are moved out by a millionth, so that it takes our diagonal.
    """
    where = np.empty((H, W, 2))
    rows, columns = grid.shape[0] - 1, grid.shape[1] - 1
    source = regular_grid(H, W, rows + 1, columns + 1)
    y, x = np.mgrid[:H, :W]
    for i in range(rows):
        for j in range(columns):
            corners = source[i : i + 2, j : j + 2].copy()
            corners[0, 0] -= 1e-6
            corners[1, 1] += 1e-6
            transform = estimate(corners.reshape(4, 2), grid[i : i + 2, j : j + 2].reshape(4, 2))
            inside = (y * rows // H == i) & (x * columns // W == j)
            where[inside] = transform(np.stack([x[inside], y[inside]], axis=1))
    return where


def estimate(source, target):
    if hasattr(PiecewiseAffineTransform, "from_estimate"):
        return PiecewiseAffineTransform.from_estimate(source, target)
    transform = PiecewiseAffineTransform()
    assert transform.estimate(source, target)
    return transform


@pytest.mark.parametrize("seed", range(6))
def test_the_map_and_the_picture_are_those_of_scikit_image(seed):
    pixels = data.astronaut()[:H, 150 : 150 + W]
    grid = draw_grid(H, W, np.random.default_rng(seed))
    expected = exact_map(grid)
    assert np.abs(sampling_map(grid, H, W) - expected).max() < 1e-3
    places = expected.transpose(2, 0, 1)[::-1]  # row, column
    channels = [warp(pixels[..., c], places, order=1, mode="edge", preserve_range=True) for c in range(3)]
    exactly = np.stack(channels, axis=2)
    warped = piecewise_affine(pixels, np.random.default_rng(seed))
    assert np.abs(warped - exactly).max() < 4  # OpenCV rounds weights to 32nds
    assert np.abs(warped - exactly).mean() < 0.4


def test_the_map_is_the_literal_one():
    rng = np.random.default_rng(1)
    grid = regular_grid(H, W, 3, 4) + rng.normal(0, 5, (3, 4, 2))
    where = sampling_map(grid, H, W)
    for y, x in rng.integers(0, (H, W), (200, 2)):
        row, column = int(y * 2 / H), int(x * 3 / W)
        v, u = y * 2 / H - row, x * 3 / W - column
        if u + v <= 1:
            weights = {(0, 0): 1 - u - v, (0, 1): u, (1, 0): v}
        else:
            weights = {(1, 1): u + v - 1, (1, 0): 1 - u, (0, 1): 1 - v}
        expected = sum(weight * grid[row + i, column + j] for (i, j), weight in weights.items())
        np.testing.assert_allclose(where[y, x], expected, atol=1e-3)


def test_a_regular_grid_changes_nothing():
    y, x = np.mgrid[:H, :W]
    for rows, columns in [(2, 2), (3, 4), (4, 3)]:
        where = sampling_map(regular_grid(H, W, rows, columns), H, W)
        np.testing.assert_allclose(where, np.stack([x, y], axis=2), atol=1e-4)


def test_nothing_is_taken_from_outside():
    rng = np.random.default_rng(0)
    white = np.full((H, W, 3), 255, np.uint8)
    for _ in range(50):
        where = sampling_map(draw_grid(H, W, rng), H, W)
        assert where.min() >= 0
        assert where[..., 0].max() <= W - 1 + 1e-3
        assert where[..., 1].max() <= H - 1 + 1e-3
        assert (piecewise_affine(white, rng) == 255).all()


def test_grids_are_drawn_as_described():
    rng = np.random.default_rng(0)
    grids = [draw_grid(H, W, rng) for _ in range(600)]
    assert {grid.shape[:2] for grid in grids} == {(r, c) for r in (2, 3, 4) for c in (2, 3, 4)}
    middles = np.array([grid[1, 1] for grid in grids if grid.shape == (3, 3, 2)])  # never clipped
    np.testing.assert_allclose(middles.mean(axis=0), (W / 2, H / 2), atol=3)
    np.testing.assert_allclose(middles.std(axis=0) / (W, H), 0.045, atol=0.01)
