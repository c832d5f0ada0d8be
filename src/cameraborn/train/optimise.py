"""The optimiser, its learning rate, and the running average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cameraborn.train.recipe import OptimiseSection

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make_optimiser(network: nn.Module, settings: OptimiseSection) -> torch.optim.Optimizer:
    """Adam with weight decay beside the gradient (AdamW) or in it, or SGD; biases and norms decay only if asked to."""
    decayed = [p for p in network.parameters() if p.ndim > 1 or settings.decay_all]
    free = [p for p in network.parameters() if p.ndim <= 1 and not settings.decay_all]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.betas[0], fused=True)
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.eps, fused=True)


def momentum_of(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What SGD with momentum adds to the next gradient, by the parameter's name; of Adam nothing."""
    if not isinstance(optimiser, torch.optim.SGD):
        return {}
    held = ((name, optimiser.state[p].get("momentum_buffer")) for name, p in network.named_parameters())
    factor = optimiser.defaults["momentum"]
    return {name: factor * buffer for name, buffer in held if buffer is not None}


def learning_rate(step: int, settings: OptimiseSection, *, steps: int, steps_an_epoch: int) -> float:
    """Linear warm-up, then a decay from the full rate to the lowest; a cosine that has ended rises again."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.lr_per_epoch:
        step = step // steps_an_epoch * steps_an_epoch
    end = steps_an_epoch * settings.cosine_epochs if settings.cosine_epochs else steps
    share = max(0, step - settings.warmup) / max(1, end - settings.warmup)
    height = math.sqrt(1 - share) if settings.schedule == "root" else 0.5 * (1 + math.cos(math.pi * share))
    return settings.min_lr + (settings.learning_rate - settings.min_lr) * height


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group of parameters but those that have a `constant_lr`."""
    for group in optimiser.param_groups:
        group["lr"] = group.get("constant_lr", rate)


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
