"""Fidelity losses: of pairs under Thurstone's model, to rank; of single pictures, to classify.

AIGFD-EXIF (arXiv 2501.02207). Eq. 1-3: for two pictures x, y with scores s_x, s_y the probability that x has the larger
tag is p = Phi(k (s_x - s_y)), and the loss compares it with the truth g by fidelity,
1 - sqrt(p g) - sqrt((1 - p)(1 - g)). The paper, its code and SDAIE's code use three different link scales k.
Eq. 4-5: the same fidelity of one picture's probability p and label g, for manipulated or not. Eq. 6: their sum.

Shapes: B pictures in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

LINK_SCALES = {"paper": 1 / math.sqrt(2), "aigfd-code": 2.0, "sdaie-code": 1.0}
_EPSILON = 1e-8  # keeps the square root's gradient finite
_BLOCK = 2**20  # pairs looked at together: about 40 MB while they are


def pairwise_fidelity(scores: Tensor, tags: Tensor, *, link_scale: float, tie: float = 0.5) -> Tensor:
    """Mean fidelity loss over all pairs i < j of the pictures that have the tag.

    Large batches are worked off in blocks of rows that the backward pass computes again, so that memory grows with B
    and not with its square.

    Args:
        scores: predicted ranks [B].
        tags: true values [B]; nan where the picture lacks the tag, which takes it out of every pair.
        link_scale: k above; `LINK_SCALES` names the published ones.
        tie: the truth g of a pair with equal tags; 0.5 as the authors' code (order-free), 1 as their Eq. 1.

    Returns:
        A scalar; zero, still attached to the graph, if fewer than two pictures have the tag.
    """
    return _mean_over_pairs(_infidelity_of_link, scores, tags, link_scale, tie)


def pairwise_cross_entropy(scores: Tensor, tags: Tensor, *, link_scale: float, tie: float = 0.5) -> Tensor:
    """Mean cross-entropy -g log p - (1 - g) log(1 - p) over the same pairs, as SDAIE ranks; see `pairwise_fidelity`."""
    return _mean_over_pairs(_cross_entropy_of_link, scores, tags, link_scale, tie)


RANK_LOSSES = {"fidelity": pairwise_fidelity, "cross-entropy": pairwise_cross_entropy}
_PairLoss = Callable[[Tensor, Tensor], Tensor]  # of k (s_x - s_y) and g


def _mean_over_pairs(loss: _PairLoss, scores: Tensor, tags: Tensor, link_scale: float, tie: float) -> Tensor:
    known = torch.isfinite(tags)
    scores, tags = scores[known], tags[known]
    if scores.dtype != torch.float64:
        scores = scores.float()  # differences of half-precision scores would be mostly ties
    B = len(tags)
    if B < 2:
        return scores.sum() * 0.0
    rows = max(1, _BLOCK // B)
    if rows >= B:
        total = _block(loss, scores, tags, 0, B, link_scale, tie)
    else:
        blocks = [
            checkpoint(_block, loss, scores, tags, start, rows, link_scale, tie, use_reentrant=False)
            for start in range(0, B - 1, rows)
        ]
        total = torch.stack(blocks).sum()
    mean: Tensor = total / (B * (B - 1) / 2)
    return mean


def _block(
    loss: _PairLoss, scores: Tensor, tags: Tensor, start: int, rows: int, link_scale: float, tie: float
) -> Tensor:
    """The summed loss of the pairs i < j with `start` <= i < `start` + `rows`."""
    row_tags, column_tags = tags[start : start + rows, None], tags[None, start:]
    truth = torch.where(row_tags == column_tags, tie, (row_tags > column_tags).to(scores.dtype))
    link = link_scale * (scores[start : start + rows, None] - scores[None, start:])
    return loss(link, truth).triu(diagonal=1).sum()


def _infidelity_of_link(link: Tensor, truth: Tensor) -> Tensor:
    return _infidelity(torch.special.ndtr(link), truth)


def _cross_entropy_of_link(link: Tensor, truth: Tensor) -> Tensor:
    # log_ndtr: the logarithm of p itself is minus infinity where p is rounded to nothing.
    loss: Tensor = -truth * torch.special.log_ndtr(link) - (1 - truth) * torch.special.log_ndtr(-link)
    return loss


def binary_fidelity(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean fidelity loss of sigmoid(logit) against labels of 0 and 1, over the pictures that have a label.

    Args:
        logits: [B].
        labels: [B]; nan where nothing is known.

    Returns:
        A scalar; zero, still attached to the graph, if no picture has a label.
    """
    known = torch.isfinite(labels)
    logits, labels = logits[known], labels[known]
    if logits.dtype != torch.float64:
        logits = logits.float()
    if len(labels) == 0:
        return logits.sum() * 0.0
    return _infidelity(torch.sigmoid(logits), labels.to(logits.dtype)).mean()


def _infidelity(p: Tensor, truth: Tensor) -> Tensor:
    return 1 - (p * truth + _EPSILON).sqrt() - ((1 - p) * (1 - truth) + _EPSILON).sqrt()


def pair_accuracy(scores: Tensor, tags: Tensor) -> float:
    """Share of pairs with different tags that the scores order rightly; nan if there is no such pair.

    Equal scores order nothing: a network that says the same of every picture gets 0, not what the rows' order gives.
    """
    known = torch.isfinite(tags)
    scores, tags = scores[known], tags[known]
    right = differ = 0
    for start in range(0, len(tags), rows := max(1, _BLOCK // max(1, len(tags)))):
        order = torch.sign(tags[start : start + rows, None] - tags[None, :])
        said = torch.sign(scores[start : start + rows, None] - scores[None, :])
        differ += int((order != 0).sum())
        right += int(((said == order) & (order != 0)).sum())
    return right / differ if differ else float("nan")
