"""The optimiser, its learning rate, and the running average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cameraborn.pretext.recipe import OptimiseSection


def make_optimiser(network: nn.Module, settings: OptimiseSection) -> torch.optim.Optimizer:
    """Adam with weight decay beside the gradient (AdamW) or in it; biases and norms decay only if asked to."""
    decayed = [p for p in network.parameters() if p.ndim > 1 or settings.decay_all]
    free = [p for p in network.parameters() if p.ndim <= 1 and not settings.decay_all]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=True)


def learning_rate(step: int, settings: OptimiseSection, *, steps: int, steps_an_epoch: int) -> float:
    """Linear warm-up, then a cosine from the full rate to the lowest; past its foot it rises again.

    Args:
        step: from 0.
        settings: of the recipe.
        steps: of the whole run.
        steps_an_epoch: of one pass over the photographs.
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.rate_by_epoch:
        step = step // steps_an_epoch * steps_an_epoch
    foot = steps_an_epoch * settings.cosine_epochs if settings.cosine_epochs else steps
    share = max(0, step - settings.warmup) / max(1, foot - settings.warmup)
    height = 0.5 * (1 + math.cos(math.pi * share))
    return settings.lowest_rate + (settings.learning_rate - settings.lowest_rate) * height


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the trained ones by 1 - `decay` of the way."""
    theirs = network.state_dict()
    moving, towards = [], []
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            moving.append(value)
            towards.append(theirs[name])
        else:
            value.copy_(theirs[name])
    get_ema_multi_avg_fn(decay)(moving, towards, None)  # type: ignore[no-untyped-call]
