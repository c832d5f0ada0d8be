"""Losses of the pretext tasks: of pairs, to rank; of single pictures, to classify.

AIGFD-EXIF (arXiv 2501.02207). Eq. 1-3: for two pictures x, y with scores s_x, s_y the probability that x has the larger
tag is p = Phi(k (s_x - s_y)) (Thurstone's model), and the loss compares it with the truth g by fidelity,
1 - sqrt(p g) - sqrt((1 - p)(1 - g)). The paper, its code and SDAIE's code use three different link scales k.
Eq. 4-5: the same fidelity of one picture's probability p and label g, for manipulated or not. Eq. 6: their sum.
BLADES (arXiv 2507.22824) takes fidelity for levels and classes too: unlike cross-entropy it is bounded, so a wrong
label cannot outweigh a batch.

A target that is missing is nan and takes its picture out of the loss; if nothing is left, the loss is zero, still
attached to the graph. All is computed in float32 at least: the roots of half-precision probabilities near 0 and 1 are
mostly rounding, and differences of half-precision scores mostly ties.

Shapes: B pictures in the batch, C classes, R regions of the face.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

LINK_SCALES = {"paper": 1 / math.sqrt(2), "aigfd-code": 2.0, "sdaie-code": 1.0}
_EPSILON = 1e-8  # keeps the square root's gradient finite
_BLOCK = 2**20  # pairs looked at together: about 40 MB while they are


def pairwise_fidelity(scores: Tensor, tags: Tensor, *, link_scale: float, tie: float = 0.5) -> Tensor:
    """Mean fidelity loss over all pairs i < j of the pictures that have the tag: a scalar.

    Large batches are worked off in blocks of rows that the backward pass computes again, so that memory grows with B
    and not with its square.

    Args:
        scores: predicted ranks [B].
        tags: true values [B].
        link_scale: k above; `LINK_SCALES` names the published ones.
        tie: the truth g of a pair with equal tags; 0.5 as the authors' code (order-free), 1 as their Eq. 1.
    """
    return _mean_over_pairs(_infidelity_of_link, scores, tags, link_scale, tie)


def pairwise_cross_entropy(scores: Tensor, tags: Tensor, *, link_scale: float, tie: float = 0.5) -> Tensor:
    """Mean cross-entropy -g log p - (1 - g) log(1 - p) over the same pairs, as SDAIE ranks; see `pairwise_fidelity`."""
    return _mean_over_pairs(_cross_entropy_of_link, scores, tags, link_scale, tie)


RANK_LOSSES = {"fidelity": pairwise_fidelity, "cross-entropy": pairwise_cross_entropy}
_PairLoss = Callable[[Tensor, Tensor], Tensor]  # of k (s_x - s_y) and g


def _mean_over_pairs(loss: _PairLoss, scores: Tensor, tags: Tensor, link_scale: float, tie: float) -> Tensor:
    known = torch.isfinite(tags)
    scores, tags = _full(scores[known]), tags[known]
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


def expected_level(logits: Tensor) -> Tensor:
    """The score that is ranked: the mean of levels 1, 2, ... under the softmax of logits [B C], as [B].

    What a photograph's levels are is never said: `pairwise_fidelity` of these scores learns them from order alone.
    """
    p = _full(logits).softmax(dim=1)
    return p @ torch.arange(1, p.shape[1] + 1, dtype=p.dtype, device=p.device)


def binary_fidelity(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean fidelity loss of sigmoid(logit) against labels of 0 and 1: a scalar.

    Args:
        logits: [B], or [B R] of several regions of a face. (BLADES' code has three prompts for regions and two columns
            of labels, and cannot run; here there are as many columns as prompts.)
        labels: of the same shape.
    """
    known = torch.isfinite(labels)
    p = _full(logits[known]).sigmoid()
    return _infidelity(p, labels[known].to(p.dtype)).mean() if len(p) else p.sum()


def focal_fidelity(logits: Tensor, classes: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Mean of (1 - p_y)^gamma (1 - sqrt(p_y)): what is already told well weighs little, as most photographs are alike.

    The authors' code also takes the root of its epsilon, 1e-4, for each wrong class, which lowers the loss by
    (1 - p_y)^gamma (C - 1) 1e-4: a constant where gamma is 0, else a slope against the right answer, as small as that.

    Args:
        logits: [B C].
        classes: index of the true class [B].
        gamma: 0 gives the plain fidelity, BLADES' loss of "manipulated or not" over two logits.
    """
    known = torch.isfinite(classes)
    p = _full(logits[known]).softmax(dim=1)
    if not len(p):
        return p.sum()
    true = p.gather(1, classes[known].long()[:, None])[:, 0]
    loss: Tensor = ((1 - true) ** gamma * (1 - (true + _EPSILON).sqrt())).mean()
    return loss


def class_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross-entropy of logits [B C] against the index of the true class [B]: a scalar."""
    known = torch.isfinite(classes)
    logits = _full(logits[known])
    return F.cross_entropy(logits, classes[known].long()) if len(logits) else logits.sum()


def _infidelity(p: Tensor, truth: Tensor) -> Tensor:
    return 1 - (p * truth + _EPSILON).sqrt() - ((1 - p) * (1 - truth) + _EPSILON).sqrt()


def _full(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
