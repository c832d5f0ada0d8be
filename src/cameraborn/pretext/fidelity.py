"""BLADES' losses (arXiv 2507.22824): fidelity for levels, classes and manipulations.

Fidelity between a prediction p and a truth g, 1 - sqrt(p g) - sqrt((1 - p)(1 - g)), is bounded: unlike cross-entropy, a
wrong label cannot outweigh a batch. A target that is missing is nan and takes its row out of the loss.

Shapes: B pictures, C classes, R regions of the face.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-8  # keeps the square root's gradient finite


def expected_level(logits: Tensor) -> Tensor:
    """The score that is ranked: the mean of levels 1, 2, ... under the softmax of logits [B C], as [B].

    What a photograph's levels are is never said: `pairwise_fidelity` of these scores learns them from order alone.
    """
    p = _full(logits).softmax(dim=1)
    return p @ torch.arange(1, p.shape[1] + 1, dtype=p.dtype, device=p.device)


def focal_fidelity(logits: Tensor, classes: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Mean of (1 - p_y)^gamma (1 - sqrt(p_y)): what is already told well weighs little, as most photographs are alike.

    The authors' code also adds the root of its epsilon for every wrong class, which only shifts the loss.

    Args:
        logits: [B C].
        classes: index of the true class [B]; nan where it is not known.
        gamma: 0 gives the plain fidelity.

    Returns:
        A scalar; zero, still attached to the graph, if no class is known.
    """
    known = torch.isfinite(classes)
    if not bool(known.any()):
        return logits.sum() * 0.0
    p = _full(logits[known]).softmax(dim=1)
    true = p.gather(1, classes[known].long()[:, None])[:, 0]
    loss: Tensor = ((1 - true) ** gamma * (1 - (true + _EPSILON).sqrt())).mean()
    return loss


def coarse_fidelity(logits: Tensor, manipulated: Tensor) -> Tensor:
    """Mean of 1 - sqrt(p_y) over the softmax of logits [B 2]; `manipulated` [B] is 0, 1 or nan."""
    return focal_fidelity(logits, manipulated, gamma=0.0)


def fine_fidelity(logits: Tensor, regions: Tensor) -> Tensor:
    """Mean fidelity of the sigmoids of logits [B R] to whether each region was manipulated, `regions` [B R].

    A face may be manipulated in several regions (a global warp: in all). The authors' code has three prompts (mouth,
    eye, nose) and two columns of labels, and cannot run; here there are as many columns as prompts.

    Returns:
        A scalar; zero, still attached to the graph, if nothing is known.
    """
    known = torch.isfinite(regions)
    if not bool(known.any()):
        return logits.sum() * 0.0
    p = _full(logits[known]).sigmoid()
    g = regions[known].to(p.dtype)
    loss: Tensor = (1 - (p * g + _EPSILON).sqrt() - ((1 - p) * (1 - g) + _EPSILON).sqrt()).mean()
    return loss


def region_labels(bits: Tensor, regions: int) -> Tensor:
    """Bit fields [B] (see `Task.label`), nan where nothing is known, to 0, 1 or nan for each region: [B R]."""
    known = torch.isfinite(bits)[:, None]
    places = torch.arange(regions, device=bits.device)
    columns = (bits.nan_to_num(0.0).long()[:, None] >> places & 1).to(bits.dtype)
    return columns.where(known, torch.nan)


def _full(logits: Tensor) -> Tensor:
    """At least float32: the roots of half-precision probabilities near 0 and 1 are mostly rounding."""
    return logits if logits.dtype == torch.float64 else logits.float()
