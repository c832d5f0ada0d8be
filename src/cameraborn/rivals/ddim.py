"""Deterministic diffusion by DDIM: from a picture to its noise, and back.

Song, Meng and Ermon, ICLR 2021, arXiv 2010.02502. Every step estimates the picture and the noise in a mixture of both
and mixes them again in other parts; in one direction the noise grows, in the other it falls.

Shapes: B pictures, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_TRAINED_STEPS = 1000
_BETAS = (1e-4, 0.02)  # first and last, of the linear schedule

Noise = Callable[[Tensor, Tensor], Tensor]  # a mixture [B ...] and times [B] to the noise in it


@dataclass(frozen=True)
class Schedule:
    """The steps that are taken.

    Attributes:
        times: of the steps, rising, in 0..999, int64 [T].
        shares: share of the picture's variance in the mixture at each, float64 [T].
    """

    times: Tensor
    shares: Tensor

    @classmethod
    def evenly(cls, steps: int) -> Schedule:
        """Every n-th of the thousand steps of the linear schedule, the first included.

        Raises:
            ValueError: the thousand cannot be so divided.
        """
        if steps < 1 or _TRAINED_STEPS % steps:
            raise ValueError(f"{steps} steps do not divide {_TRAINED_STEPS}: take 10, 20, 25, 50, ...")
        betas = torch.linspace(*_BETAS, _TRAINED_STEPS, dtype=torch.float64)
        times = torch.arange(0, _TRAINED_STEPS, _TRAINED_STEPS // steps)
        return cls(times, (1 - betas).cumprod(dim=0)[times])


def invert(noise: Noise, pictures: Tensor, schedule: Schedule, *, clip: bool = True) -> Tensor:
    """Pictures in -1..1 to their noise; in the last step nothing of the picture is left.

    Args:
        pictures: [B ...].
        schedule: the steps.
        clip: keep the estimate of the picture in -1..1, as ADM's code does.
    """
    targets = [*schedule.shares[1:].tolist(), 0.0]
    return _walk(noise, pictures, schedule, range(len(targets)), targets, clip)


def generate(noise: Noise, latents: Tensor, schedule: Schedule, *, clip: bool = True) -> Tensor:
    """Noise back to pictures, by the same steps in the other direction."""
    targets = [1.0, *schedule.shares[:-1].tolist()]
    return _walk(noise, latents, schedule, reversed(range(len(targets))), targets, clip)


def _walk(
    noise: Noise,
    mixed: Tensor,
    schedule: Schedule,
    order: Iterable[int],
    targets: list[float],
    clip: bool,
) -> Tensor:
    for place in order:
        share = float(schedule.shares[place])
        times = schedule.times[place].to(mixed.device).expand(len(mixed))
        estimate = (mixed - (1 - share) ** 0.5 * noise(mixed, times)) / share**0.5
        if clip:
            estimate = estimate.clamp(-1, 1)
        remaining = (mixed - share**0.5 * estimate) / (1 - share) ** 0.5
        target = targets[place]
        mixed = target**0.5 * estimate + (1 - target) ** 0.5 * remaining
    return mixed


def reconstruction_error(noise: Noise, pictures: Tensor, steps: int) -> Tensor:
    """What a picture in -1..1 [B ...] loses on the way to its noise and back, absolute."""
    schedule = Schedule.evenly(steps)
    with torch.no_grad():
        return (pictures - generate(noise, invert(noise, pictures, schedule), schedule)).abs()
