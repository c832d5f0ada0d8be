"""Covariance pooling: how a map's channels vary together, as one vector.

Second-order pooling of Li et al. ("Towards faster training of global covariance pooling networks by iterative matrix
square root normalization", CVPR 2018): the covariance of the channels over a map's places, its square root by coupled
Newton-Schulz iterations (matrix products alone, so it is fast and has a plain gradient), and of that symmetric matrix
the upper triangle. SDAIE (arXiv 2512.05651, section 3) uses 5 iterations on 32 channels.

Shapes: N maps, C channels, H W places. Feed float32 or float64: a covariance is a difference of large numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor


def covariance(maps: Tensor) -> Tensor:
    """Covariance of the channels over the places, divided by H*W: maps [N C H W] to [N C C]."""
    x = maps.flatten(2)
    x = x - x.mean(dim=2, keepdim=True)
    return x @ x.mT / x.shape[2]


def matrix_square_root(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Newton-Schulz square root of positive semidefinite matrices [N C C], to the same shape.

    The iteration converges for matrices of norm under 1, so each is divided by its trace first and multiplied by the
    trace's root afterwards. Few iterations leave small eigenvalues short of their root: a part of the method, not an
    error to correct. A matrix of zeros gives zeros.
    """
    trace = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None].clamp_min(1e-12)
    three = 3 * torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    # The first step starts from Z = 1 and the last needs no Z: written out, they save three products.
    A = matrices / trace
    Z = 0.5 * (three - A)
    Y = A @ Z
    for _ in range(iterations - 2):
        T = 0.5 * (three - Z @ Y)
        Y, Z = Y @ T, T @ Z
    if iterations > 1:
        Y = 0.5 * Y @ (three - Z @ Y)
    return Y * trace.sqrt()


def upper_triangle(matrices: Tensor) -> Tensor:
    """The upper triangle with the diagonal, row by row: [N C C] to [N C(C+1)/2]."""
    C = matrices.shape[1]
    # A flat index, for ONNX; positions are constants of the graph.
    rows, columns = torch.triu_indices(C, C, device=matrices.device)
    return matrices.flatten(1)[:, rows * C + columns]
