"""NPR: the residual against the published shrinking and enlarging."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.rivals.npr import neighbour_residual


def test_residual_is_the_picture_less_its_shrunk_and_enlarged_self():
    pictures = torch.rand(2, 3, 8, 12)
    shrunk = F.interpolate(pictures, scale_factor=0.5, mode="nearest")
    assert torch.equal(
        neighbour_residual(pictures), pictures - F.interpolate(shrunk, scale_factor=2, mode="nearest")
    )


@pytest.mark.parametrize(("height", "width"), [(7, 12), (8, 11), (7, 11)])
def test_an_odd_last_row_or_column_is_left_out(height, width):
    pictures = torch.rand(1, 3, height, width)
    even = pictures[..., : height // 2 * 2, : width // 2 * 2]
    assert torch.equal(neighbour_residual(pictures), neighbour_residual(even))


def test_every_second_pixel_is_zero_and_its_neighbours_the_difference():
    pictures = torch.arange(16.0).view(1, 1, 4, 4)
    expected = [[0, 1, 0, 1], [4, 5, 4, 5], [0, 1, 0, 1], [4, 5, 4, 5]]
    assert neighbour_residual(pictures)[0, 0].tolist() == expected
