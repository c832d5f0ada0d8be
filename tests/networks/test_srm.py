"""The 30 kernels: their number, their sums, the two square ones from the literature, and their orders."""

import numpy as np
import pytest

from cameraborn.networks.srm import srm_kernels

KERNELS = srm_kernels().astype(np.float64)
SQUARE_3 = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
SQUARE_5 = (
    np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
    )
    / 12
)
FIRST, REST = slice(0, 8), slice(8, 30)


def response(kernel, picture):
    windows = np.lib.stride_tricks.sliding_window_view(picture, (5, 5))
    return (windows * kernel).sum(axis=(2, 3))


def ramp(down, across):
    y, x = np.mgrid[:12, :12].astype(np.float64)
    return down * y + across * x


def test_thirty_distinct_kernels_that_sum_to_zero_around_minus_one():
    assert srm_kernels().shape == (30, 5, 5)
    assert srm_kernels().dtype == np.float32
    assert len({kernel.tobytes() for kernel in np.round(KERNELS, 6) + 0.0}) == 30
    np.testing.assert_allclose(KERNELS.sum(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_array_equal(KERNELS[:, 2, 2], -1)


@pytest.mark.parametrize("known", [np.pad(SQUARE_3, 1), SQUARE_5], ids=["3x3", "5x5"])
def test_square_kernels_are_the_known_ones(known):
    assert sum(np.allclose(kernel, known, atol=1e-6) for kernel in KERNELS) == 1


def test_no_kernel_sees_a_constant():
    for kernel in KERNELS:
        np.testing.assert_allclose(response(kernel, np.full((12, 12), 100.0)), 0, atol=1e-4)


@pytest.mark.parametrize("slopes", [(1, 0), (0, 1), (3, -2)])
def test_only_first_order_kernels_see_a_ramp(slopes):
    for kernel in KERNELS[REST]:
        np.testing.assert_allclose(response(kernel, ramp(*slopes)), 0, atol=1e-4)


def test_first_order_kernels_give_the_slope_in_eight_directions():
    slopes = sorted(round(float(response(kernel, ramp(3, 1))[0, 0]), 4) for kernel in KERNELS[FIRST])
    assert slopes == [-4, -3, -2, -1, 1, 2, 3, 4]


def test_third_order_kernels_do_not_see_a_parabola_and_second_order_ones_do():
    parabola = ramp(1, 0) ** 2 + ramp(0, 1) ** 2
    second, third = KERNELS[8:12], KERNELS[12:20]
    assert all(abs(response(kernel, parabola)).min() > 0.5 for kernel in second)
    for kernel in third:
        np.testing.assert_allclose(response(kernel, parabola), response(kernel, parabola)[0, 0], atol=1e-3)
