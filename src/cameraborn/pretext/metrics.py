"""How well a task is told: shares of pairs and of pictures.

Targets are nan where nothing is known, and these pictures do not count; a share of nothing is nan. Importing this needs
no torch, as little as what a row says of a task does (see `kinds`).

Shapes: N pictures, C classes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 2**20  # pairs looked at together


def pair_accuracy(scores: Tensor, tags: Tensor) -> float:
    """Share of pairs with different tags [N] that the scores [N] order rightly.

    Equal scores order nothing: a network that says the same of every picture gets 0, not what the rows' order gives.
    """
    known = tags.isfinite()
    scores, tags = scores[known], tags[known]
    right = differ = 0
    for start in range(0, len(tags), rows := max(1, _BLOCK // max(1, len(tags)))):
        order = (tags[start : start + rows, None] - tags[None, :]).sign()
        said = (scores[start : start + rows, None] - scores[None, :]).sign()
        differ += int((order != 0).sum())
        right += int(((said == order) & (order != 0)).sum())
    return right / differ if differ else math.nan


def class_accuracy(logits: Tensor, classes: Tensor) -> float:
    """Share of pictures whose largest logit [N C] is that of their class [N]."""
    known = classes.isfinite()
    return float((logits[known].argmax(1) == classes[known].long()).float().mean())


def binary_auc(logits: Tensor, labels: Tensor) -> float:
    """Area under the ROC curve of logits for labels (0, 1 or nan), [N]; nan without both labels."""
    from sklearn.metrics import roc_auc_score

    known = labels.isfinite() & logits.isfinite()
    labels, logits = labels[known], logits[known]
    if not len(labels) or bool((labels == labels[0]).all()):
        return math.nan
    return float(roc_auc_score(labels.numpy(), logits.numpy()))


def binary_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of labels (0, 1 or nan) that the sign of their logit tells; both of any one shape."""
    known = labels.isfinite()
    return float(((logits[known] > 0) == (labels[known] == 1)).float().mean())
