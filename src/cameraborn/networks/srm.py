"""The 30 high-pass kernels of the spatial rich model (SRM).

They suppress what a picture shows and keep what the camera left: noise, demosaicing, sharpening, compression.
Fridrich and Kodovsky, "Rich models for steganalysis of digital images", 2012; used by SDAIE
(arXiv 2512.05651, section 3) as a fixed first layer. Each kernel sums to zero and is divided by the
magnitude of its centre, so that its response is a prediction error in grey levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, -1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
_SECOND = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, -2, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
_THIRD = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, -3, 3, -1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
_EDGE_3 = np.pad([[-1, 2, -1], [2, -4, 2], [0, 0, 0]], 1)
_SQUARE_3 = np.pad([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], 1)
_EDGE_5 = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
)
_SQUARE_5 = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
)


def srm_kernels() -> NDArray[np.float32]:
    """The kernels as float32 [30 5 5]: 8 first, 4 second and 8 third order, 4 edge and 1 square of 3 and of 5."""
    kernels = [
        *_turned(_FIRST, 4, diagonals=True),
        *_turned(_SECOND, 2, diagonals=True),
        *_turned(_THIRD, 4, diagonals=True),
        *_turned(_EDGE_3, 4),
        *_turned(_EDGE_5, 4),
        _SQUARE_3,
        _SQUARE_5,
    ]
    return np.stack([kernel / -kernel[2, 2] for kernel in kernels]).astype(np.float32)


def _turned(kernel: NDArray[np.int_], turns: int, *, diagonals: bool = False) -> list[NDArray[np.int_]]:
    """The kernel in `turns` quarter turns; with `diagonals` also its row laid along the diagonal."""
    versions = [kernel]
    if diagonals:
        versions.append(np.diag(kernel[2]))
    return [np.rot90(version, turn) for version in versions for turn in range(turns)]
