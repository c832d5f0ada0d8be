"""Drawing numbers at random."""

from __future__ import annotations

import numpy as np

Rng = np.random.Generator


def log_uniform(rng: Rng, least: float, most: float) -> float:
    """A number between two, every factor as likely as any other."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))
