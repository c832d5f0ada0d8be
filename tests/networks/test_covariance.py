"""Covariance pooling against NumPy, known roots and numerical gradients."""

import numpy as np
import pytest
import torch

from cameraborn.networks.covariance import covariance, matrix_square_root, upper_triangle


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_covariance_is_numpys():
    x = maps(3, 5, 4, 6) + 100
    for one, got in zip(x, covariance(x), strict=True):
        np.testing.assert_allclose(got, np.cov(one.flatten(1), bias=True), atol=1e-10)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_iterations_are_newton_and_schulzs(iterations):
    matrices = covariance(maps(2, 4, 5, 5))
    for matrix, got in zip(matrices, matrix_square_root(matrices, iterations), strict=True):
        Y, Z, identity = matrix / matrix.trace(), torch.eye(4).double(), torch.eye(4).double()
        for _ in range(iterations):
            Y, Z = Y @ (3 * identity - Z @ Y) / 2, (3 * identity - Z @ Y) @ Z / 2
        torch.testing.assert_close(got, Y * matrix.trace().sqrt())


def test_many_iterations_give_the_root():
    matrices = covariance(maps(3, 4, 9, 9))
    root = matrix_square_root(matrices, 40)
    torch.testing.assert_close(root @ root, matrices, atol=1e-9, rtol=1e-9)
    for one, matrix in zip(root, matrices, strict=True):
        values, vectors = torch.linalg.eigh(matrix)
        torch.testing.assert_close(one, vectors @ values.sqrt().diag() @ vectors.T, atol=1e-8, rtol=1e-8)


def test_root_of_a_multiple_of_one():
    torch.testing.assert_close(
        matrix_square_root(9.0 * torch.eye(4)[None], 20), 3.0 * torch.eye(4)[None], atol=1e-4, rtol=0
    )


def test_a_flat_map_gives_zeros_and_a_finite_gradient():
    flat = torch.full((1, 3, 4, 4), 7.0, requires_grad=True)
    root = matrix_square_root(covariance(flat))
    root.sum().backward()
    assert torch.equal(root, torch.zeros(1, 3, 3))
    assert torch.isfinite(flat.grad).all()


def test_gradient():
    x = maps(2, 3, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: upper_triangle(matrix_square_root(covariance(x))), x)


def test_upper_triangle_is_read_row_by_row():
    matrices = torch.arange(18.0).view(2, 3, 3)
    assert upper_triangle(matrices).tolist() == [[0, 1, 2, 4, 5, 8], [9, 10, 11, 13, 14, 17]]
