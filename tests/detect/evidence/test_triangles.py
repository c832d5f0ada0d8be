"""Products with triangles and their inverses, by either library, against the literal ones."""

import numpy as np
import pytest
import torch

from cameraborn.detect.evidence.triangles import (
    cholesky,
    gram,
    inverse,
    times,
    times_triangle,
    triangle_operations,
)

NAMESPACES = pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])


def assert_product(found, a, b):
    """Within what rounding can do to a b, added up in any order: twice m u |a| |b| (Higham 2002, section 3.5)."""
    literal = a.astype(np.float64) @ b.astype(np.float64)
    assert np.shape(found) == literal.shape
    rounding = a.shape[-1] * np.finfo(a.dtype).eps * (np.abs(a) @ np.abs(b))
    assert (np.abs(np.asarray(found) - literal) <= rounding).all()


@NAMESPACES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_with_a_triangle_is_the_product(xp, dtype, n, order):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 5)).astype(dtype)
    upper = np.array(np.triu(rng.normal(size=(5, 5))), dtype, order=order)
    product = times_triangle(xp.asarray(z.copy()), xp.asarray(upper), xp)
    assert str(product.dtype).endswith(dtype)
    assert_product(product, z, upper)


@NAMESPACES
def test_factor_and_inverse(xp):
    rng = np.random.default_rng(0)
    matrix = np.cov(rng.normal(size=(6, 50)))
    lower = cholesky(xp.asarray(matrix.copy()), xp)
    literal = np.linalg.cholesky(matrix)
    np.testing.assert_allclose(lower, literal, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(inverse(lower, xp), np.linalg.inv(literal), rtol=1e-10, atol=1e-12)


@NAMESPACES
def test_what_is_not_positive_definite_has_no_factor(xp):
    assert cholesky(xp.asarray(np.diag([1.0, -1.0, 1.0])), xp) is None


def test_the_zeros_of_a_triangle_are_no_operations():
    multiplications_and_additions = sum(2 * (column + 1) for column in range(5)) * 7
    assert triangle_operations(7, 5, np) == multiplications_and_additions
    assert triangle_operations(7, 5, torch) == 2 * 7 * 5 * 5


@NAMESPACES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_products_by_one_library_are_the_products(xp, dtype, n):
    rng = np.random.default_rng(0)
    z, b = rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=(9, 8)).astype(dtype)[:5, 2:6]
    assert_product(times(xp.asarray(z), xp.asarray(b), xp), z, b)
    assert_product(times(xp.asarray(z[:, 0].copy()), xp.asarray(z), xp), z[:, 0], z)
    product = np.triu(gram(xp.asarray(z), xp))
    assert_product(product + np.triu(product, 1).T, z.T, z)
