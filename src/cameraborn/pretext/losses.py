"""Pairwise fidelity ranking under Thurstone's model.

AIGFD-EXIF (arXiv 2501.02207) Eq. 1-3: for two pictures x, y with scores s_x, s_y the probability that x has the larger
tag is p = Phi(k (s_x - s_y)), and the loss compares it with the truth g by fidelity,
1 - sqrt(p g) - sqrt((1 - p)(1 - g)). The paper, its code and SDAIE's code use three different link scales k.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LINK_SCALES = {"paper": 1 / math.sqrt(2), "aigfd-code": 2.0, "sdaie-code": 1.0}
_EPSILON = 1e-8  # keeps the square root's gradient finite


def pairwise_fidelity(scores: Tensor, tags: Tensor, *, link_scale: float, tie: float = 0.5) -> Tensor:
    """Mean fidelity loss over all pairs i < j of the pictures that have the tag.

    Args:
        scores: predicted ranks [B].
        tags: true values [B]; nan where the picture lacks the tag, which takes it out of every pair.
        link_scale: k above; `LINK_SCALES` names the published ones.
        tie: the truth g of a pair with equal tags; 0.5 as the authors' code (order-free), 1 as their Eq. 1.

    Returns:
        A scalar; zero, still attached to the graph, if fewer than two pictures have the tag.
    """
    known = torch.isfinite(tags)
    scores, tags = scores[known], tags[known]
    if scores.dtype != torch.float64:
        scores = scores.float()  # differences of half-precision scores would be mostly ties
    if len(tags) < 2:
        return scores.sum() * 0.0
    i, j = torch.triu_indices(len(tags), len(tags), offset=1, device=tags.device)
    truth = torch.where(tags[i] == tags[j], tie, (tags[i] > tags[j]).float())
    p = torch.special.ndtr(link_scale * (scores[i] - scores[j]))
    agree = (p * truth + _EPSILON).sqrt() + ((1 - p) * (1 - truth) + _EPSILON).sqrt()
    loss: Tensor = (1 - agree).mean()
    return loss


def pair_accuracy(scores: Tensor, tags: Tensor) -> float:
    """Share of pairs with different tags that the scores order rightly; nan if there is no such pair.

    Equal scores order nothing: a network that says the same of every picture gets 0, not what the rows' order gives.
    """
    known = torch.isfinite(tags)
    scores, tags = scores[known], tags[known]
    i, j = torch.triu_indices(len(tags), len(tags), offset=1)
    differ = tags[i] != tags[j]
    if not bool(differ.any()):
        return float("nan")
    right = torch.sign(scores[i] - scores[j]) == torch.sign(tags[i] - tags[j])
    return float(right[differ].float().mean())
