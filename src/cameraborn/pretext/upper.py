"""What the upper level of the bi-level weighting may ask for in place of one task's loss: detection itself.

BLADES (arXiv 2507.22824) chooses the tasks' weights by the loss of one pretext task, which stands for detection. Here
it is the one-class detector in small: a Gaussian is fitted to the features of the photographs in the lower batch, and
on the upper batch, held-out photographs should be likelier than manipulated or reconstructed ones. With d(x), the
squared Mahalanobis distance of a feature divided by D,

    loss = mean over pairs (photograph p, made picture m) of log(1 + exp(d(p) - d(m))),

which is the logistic bound of 1 - AUC. The covariance is shrunk to a multiple of the identity, as a batch has fewer
pictures than features: S = (1 - a) C + a tr(C) / D. Distances do not change when all features are turned, shifted or
scaled, so that weights cannot please by growing features.

Shapes: B pictures in a batch, F photographs to fit on, N photographs and M made pictures to tell apart, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cameraborn.pretext.kinds import Manipulation, Reconstruction, Task, columns_of
from cameraborn.registry import Registry

_SHRINKAGE = 0.1
_SMALLEST = 1e-12  # of the covariance's scale: a network may give the same of every picture


class Labelled(NamedTuple):
    """A batch as the encoder sees it.

    Attributes:
        features: as a detector has them [B D].
        made: 1 for a manipulated or reconstructed picture, 0 for a photograph, nan where it is not known [B].
    """

    features: Tensor
    made: Tensor


UpperObjective = Callable[
    [Labelled, Labelled], Tensor
]  # of the lower batch and the upper one: a scalar to lower
UPPER: Registry[UpperObjective] = Registry("upper objective")


def detection_loss(lower: Labelled, upper: Labelled) -> Tensor:
    """How badly a Gaussian of the lower batch's photographs tells the upper batch's from made pictures: a scalar.

    It is zero, still attached to the graph, if a side has too few: two photographs are needed below, one of each above.
    """
    fitted, photographs, generated = (
        shown.features[shown.made == label].double() for shown, label in ((lower, 0), (upper, 0), (upper, 1))
    )
    if len(fitted) < 2 or not len(photographs) or not len(generated):
        return (lower.features.sum() + upper.features.sum()) * 0.0
    distances = mahalanobis(fitted, torch.cat([photographs, generated]))
    near, far = distances[: len(photographs)], distances[len(photographs) :]
    return F.softplus(near[:, None] - far[None, :]).mean().float()


def mahalanobis(fitted: Tensor, x: Tensor) -> Tensor:
    """Squared distances of x [N D] from the fitted [F D], by their shrunk covariance, divided by D: [N]."""
    D = fitted.shape[1]
    mean = fitted.mean(0)
    centred = fitted - mean
    covariance = centred.T @ centred / len(fitted)
    ridge = _SHRINKAGE * covariance.trace() / D + _SMALLEST
    identity = torch.eye(D, dtype=fitted.dtype, device=fitted.device)
    factor = torch.linalg.cholesky((1 - _SHRINKAGE) * covariance + ridge * identity)
    standard = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
    distances: Tensor = standard.square().sum(0) / D
    return distances


def column_of_made(tasks: Sequence[Task]) -> int | None:
    """Where the targets of these tasks say whether a picture was made; None if none does."""
    columns = columns_of(tasks)
    return next(
        (columns[task.name].start for task in tasks if isinstance(task, Manipulation | Reconstruction)), None
    )


UPPER.add("detection", detection_loss)
