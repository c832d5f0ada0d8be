"""Products of shifted maps, against the sum that they stand for."""

import pytest
import torch

from cameraborn.rivals.shifted_products import shifted_products


@pytest.mark.parametrize(
    ("maps", "height", "width", "shifts"),
    [(2, 9, 8, 3), (2, 3, 4, 3), (3, 12, 30, 5), (1, 40, 11, 11)],
    ids=["small", "no larger than the shifts", "wide", "tall"],
)
def test_it_is_the_sum_over_every_window(maps, height, width, shifts):
    torch.manual_seed(0)
    padded = torch.randn(maps, height + shifts - 1, width + shifts - 1, dtype=torch.float64)
    shifted = torch.stack(
        [
            padded[k, y : y + height, x : x + width].flatten()
            for k in range(maps)
            for y in range(shifts)
            for x in range(shifts)
        ]
    )
    assert torch.allclose(shifted_products(padded, shifts), shifted @ shifted.T, atol=1e-10)
