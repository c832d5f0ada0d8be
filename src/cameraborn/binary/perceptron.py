"""BLADES' binary detector: two linear layers on the frozen features, 768-1536-2 there (arXiv 2507.22824, section 3.4).

It learns photographs against generated pictures, and against the photographs that the mixture finds least likely: these
pseudo-outliers lie where no generator of the training set has been, so that what is far from photographs on any
side counts as generated. How that is trained is not published; what is here is plain.

The paper's features have unit length; a bundle's do if its preprocessing says so. They are standardised for training
alone: the shift and the scale are folded into the first layer, so what is written takes features as they come and
scoring needs NumPy and nothing else (`detect.evidence.known_generators`).

Shapes: N photographs, M generated pictures, D features, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from cameraborn.errors import CalibrationError, counted

Array = NDArray[np.floating]
PHOTOGRAPH, GENERATED = 0, 1  # the head's two outputs


@dataclass(frozen=True)
class PerceptronOptions:
    """How a head is trained; small and plain, a matter of seconds on a processor.

    Attributes:
        hidden: H over D; 2 in the paper.
        pseudo_outliers: share of the photographs, those of lowest likelihood, that count as generated.
        epochs, batch, learning_rate, weight_decay: of AdamW, with a cosine to zero.
        seed: of the first weights and the order of the samples.
    """

    hidden: int = 2
    pseudo_outliers: float = 0.05
    epochs: int = 40
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    seed: int = 0


def fit_perceptron(
    photographs: Array, generated: Array, log_likelihood: Array, options: PerceptronOptions
) -> dict[str, NDArray[np.float32]]:
    """Train the two layers; both classes weigh the same, however many samples they have.

    Args:
        photographs: features [N D].
        generated: features [M D].
        log_likelihood: of the photographs under the mixture [N], which tells the pseudo-outliers.

    Returns:
        `0.weight` [H D], `0.bias` [H], `2.weight` [2 H], `2.bias` [2], for features as they were given.

    Raises:
        CalibrationError: a class is empty, or features are not finite.
    """
    if len(photographs) < 2 or len(generated) == 0:
        raise CalibrationError(
            f"{counted(len(photographs), 'photograph')} and "
            f"{counted(len(generated), 'generated picture')} are too few to learn from: "
            "give more"
        )
    x = np.concatenate([photographs, generated]).astype(np.float64)
    if not np.isfinite(x).all():
        raise CalibrationError(
            "some features are not finite: the network of this bundle is damaged, export it again"
        )
    y = np.full(len(x), GENERATED)
    y[: len(photographs)][~least_likely(log_likelihood, options.pseudo_outliers)] = PHOTOGRAPH
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-9 * max(1.0, scale.max())] = 1.0  # a feature that never changes says nothing
    network = _train((x - mean) / scale, y, options)
    return _folded(network, mean, scale)


def least_likely(log_likelihood: Array, share: float) -> NDArray[np.bool_]:
    """Which [N] are among the `share` of lowest likelihood, rounded down; of equal ones the first.

    Raises:
        CalibrationError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise CalibrationError(
            f"a share of pseudo-outliers of {share:g} is not in [0, 1): 0.05 takes 5 in 100"
        )
    chosen = np.zeros(len(log_likelihood), bool)
    chosen[np.argsort(log_likelihood, kind="stable")[: int(share * len(log_likelihood))]] = True
    return chosen


def _train(x: NDArray[np.float64], y: NDArray[np.int_], options: PerceptronOptions) -> nn.Sequential:
    features, classes = torch.from_numpy(x).float(), torch.from_numpy(y)
    weights = len(y) / (2 * torch.bincount(classes, minlength=2).float())
    D = x.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = nn.Sequential(nn.Linear(D, options.hidden * D), nn.ReLU(), nn.Linear(options.hidden * D, 2))
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        steps = options.epochs * -(-len(y) // options.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(options.epochs):
            for chosen in torch.split(torch.randperm(len(y)), options.batch):
                each = F.cross_entropy(network(features[chosen]), classes[chosen], reduction="none")
                # Not cross_entropy's own weights: it divides by their sum, and a batch of one class would outweigh.
                loss = (weights[classes[chosen]] * each).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
    return network


@torch.no_grad()
def _folded(network: nn.Sequential, mean: Array, scale: Array) -> dict[str, NDArray[np.float32]]:
    """The layers for features that are not standardised: W (x - m) / s + b = (W / s) x + (b - (W / s) m)."""
    tensors = {name: value.double().numpy() for name, value in network.state_dict().items()}
    tensors["0.weight"] = tensors["0.weight"] / scale
    tensors["0.bias"] = tensors["0.bias"] - tensors["0.weight"] @ mean
    return {name: value.astype(np.float32) for name, value in tensors.items()}
