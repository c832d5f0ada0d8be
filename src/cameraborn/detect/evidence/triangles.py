"""Products with triangles, and their inverses: with BLAS and LAPACK for NumPy, with torch's own functions for torch.

NumPy alone multiplies by a triangle as by any matrix, and copies what it factors. SciPy gives the routines that do half
the operations, here about half the time. What stands between such calls goes through SciPy too: each brings a
BLAS with threads of its own, and the idle ones of one spin for a while and keep the other's from the processors. Arrays
are of any namespace `xp`; SciPy is imported only when a mixture is fitted, because scoring does without.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # of the namespace in use


def times_triangle(z: Array, upper: Array, xp: ModuleType) -> Array:
    """z [n Q] times an upper triangle [Q Q], both of one precision; the product may lie where z was."""
    if xp is not np or not len(z):
        product: Array = z @ upper
        return product
    from scipy.linalg.blas import dtrmm, strmm

    trmm = strmm if z.dtype == np.float32 else dtrmm
    # In Fortran's order, for which nothing is copied: the product is upper^T z^T.
    transposed: Array = trmm(1.0, upper.T, z.T, lower=1, overwrite_b=1)
    return transposed.T


def times(a: Array, b: Array, xp: ModuleType) -> Array:
    """a [n m] times b [m p], or a vector a [m], both of one precision."""
    if xp is not np or not len(a):
        product: Array = a @ b
        return product
    from scipy.linalg.blas import dgemm, dgemv, sgemm, sgemv

    single = b.dtype == np.float32
    if a.ndim == 1:
        product = (sgemv if single else dgemv)(1.0, b.T, a)
    else:
        product = (sgemm if single else dgemm)(1.0, b.T, a.T).T
    return product


def gram(z: Array, xp: ModuleType) -> Array:
    """z^T z [Q Q] of z [n Q]; only its upper triangle is sure to be there, and zeros below."""
    if xp is not np or not len(z):
        product: Array = z.T @ z
        return product
    from scipy.linalg.blas import dsyrk, ssyrk

    product = (ssyrk if z.dtype == np.float32 else dsyrk)(1.0, z.T, lower=1).T
    return product


def triangle_operations(n: int, Q: int, xp: ModuleType) -> int:
    """Additions and multiplications of `times_triangle`."""
    return n * Q * (Q + 1) if xp is np else 2 * n * Q**2


def cholesky(matrix: Array, xp: ModuleType) -> Array | None:
    """The lower triangle L with matrix = L L^T, of a symmetric matrix [Q Q]; None if it is not positive definite.

    With NumPy its upper triangle is enough. L may lie where the matrix was.
    """
    if xp is not np:
        try:
            found: Array = xp.linalg.cholesky(matrix)
        except xp.linalg.LinAlgError:
            return None
        return found
    from scipy.linalg.lapack import dpotrf

    lower, failed = dpotrf(matrix.T, lower=1, overwrite_a=1)
    return None if failed else lower


def inverse(lower: Array, xp: ModuleType) -> Array:
    """The inverse of a lower triangle [Q Q] without zeros on its diagonal; it may lie where the triangle was."""
    if xp is not np:
        solved: Array = xp.linalg.solve_triangular(
            lower, xp.eye(len(lower), dtype=lower.dtype, device=lower.device), upper=False
        )
        return solved
    from scipy.linalg.lapack import dtrtri

    inverted: Array
    inverted, _ = dtrtri(lower, lower=1, overwrite_c=1)
    return inverted
