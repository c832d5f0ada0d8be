"""Rivals: published detectors and encoders, with their own inputs, networks and losses, as rows of our benchmark.

Importing this registers all of them: `RIVALS`, `ENCODERS`, and the networks and layouts of weights that these are
made of. How one is loaded, and what it says without weights: `published` and `weights`.
"""

from cameraborn.rivals import (
    dire,
    encoders,
    frdm,
    gramnet,
    ladeda,
    lgrad,
    npr,
    probe,
    recce,
    reconstruction,
    self_blended,
    self_descriptions,
    similarity,
    univfd,
)
from cameraborn.rivals.published import ENCODERS, LAYOUTS, NETWORKS, RIVALS

__all__ = ["ENCODERS", "LAYOUTS", "NETWORKS", "RIVALS"]
_REGISTERED = (
    *(dire, encoders, frdm, gramnet, ladeda, lgrad, npr, probe),
    *(recce, reconstruction, self_blended, self_descriptions, similarity, univfd),
)
