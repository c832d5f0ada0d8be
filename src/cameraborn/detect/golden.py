"""Pictures made by integer formula, the same on every machine: what a bundle is verified on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BundleError

GOLDEN_NAMES = ("waves-256", "grain-200", "blocks-300")
GOLDEN_TOLERANCE = 2e-3  # relative; processors differ in rounding, damaged networks in much more


def golden_picture(name: str) -> NDArray[np.uint8]:
    """The picture [side side 3] of a name `FORMULA-SIDE`.

    Raises:
        BundleError: there is no such formula.
    """
    formula, _, side = name.partition("-")
    if formula not in ("waves", "grain", "blocks") or not side.isdigit() or not 64 <= int(side) <= 4096:
        raise BundleError(
            f"golden picture {name!r} is not known to this release: install the one that made the bundle"
        )
    y, x = np.mgrid[: int(side), : int(side)].astype(np.int64)
    ramp = (x * 3 + y * 2) // 8
    texture = {
        "waves": (x * x + 2 * y * y) // 97 % 64,
        "grain": (x * 7919 + y * 104729 + x * y * 31) % 23,
        "blocks": ((x // 8) * 5 + (y // 8) * 11) % 37,
    }[formula]
    channels = [(ramp + texture * (c + 2) // 2 + 20 * c) % 256 for c in range(3)]
    return np.stack(channels, axis=2).astype(np.uint8)
