"""Deterministic diffusion by DDIM: from a picture to its noise, and back.

Song, Meng and Ermon, ICLR 2021, arXiv 2010.02502. Every step estimates the picture and the noise in a mixture of both
and mixes them again in other parts; in one direction the noise grows, in the other it falls. The steps are those of
ADM's code; `by_schedulers` takes those of diffusers (extra `[diffusion]`) in their place.

Shapes: B pictures, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cameraborn.errors import RecipeError

_TRAINED_STEPS = 1000
_BETAS = (1e-4, 0.02)  # first and last, of the linear schedule

Noise = Callable[[Tensor, Tensor], Tensor]  # a mixture [B ...] and times [B] to the noise in it
Reconstruct = Callable[[Noise, Tensor], Tensor]  # pictures in -1..1 [B ...] to noise and back


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


def there_and_back(noise: Noise, pictures: Tensor, *, steps: int) -> Tensor:
    """What comes back of pictures in -1..1 [B ...] from their noise."""
    schedule = Schedule.evenly(steps)
    return generate(noise, invert(noise, pictures, schedule), schedule)


class Stepped(Protocol):
    """What a scheduler's step gives."""

    prev_sample: Tensor


class Scheduler(Protocol):
    """What is used of a scheduler of diffusers."""

    timesteps: Tensor

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Choose the times [T], in the order in which they are visited."""

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor) -> Stepped:
        """The noise in a mixture, its time and itself to the next mixture."""


def by_schedulers(there: Scheduler, back: Scheduler, *, steps: int) -> Reconstruct:
    """The way to noise by one scheduler of diffusers and back by another, in so many steps each.

    Args:
        there: one that adds noise, such as `DDIMInverseScheduler`.
        back: one that takes it away, such as `DDIMScheduler`.
        steps: T.
    """
    there.set_timesteps(steps)
    back.set_timesteps(steps)

    def reconstruct(noise: Noise, pictures: Tensor) -> Tensor:
        mixed = pictures
        for scheduler in (there, back):
            for time in scheduler.timesteps:
                predicted = noise(mixed, time.to(mixed.device).expand(len(mixed)))
                mixed = scheduler.step(predicted, time, mixed).prev_sample
        return mixed

    return reconstruct


def ddim_of_diffusers() -> tuple[Scheduler, Scheduler]:
    """The schedulers of diffusers that do DDIM on ADM's schedule, there and back.

    Theirs is not ADM's way there to the bit: it starts at the picture itself and ends one step before pure noise, and
    asks for the noise at the time that a step leads to. Back they are the same.

    Raises:
        RecipeError: diffusers is not installed.
    """
    try:
        from diffusers import DDIMInverseScheduler, DDIMScheduler
    except ImportError as error:
        raise RecipeError(
            f"diffusers is not installed ({error}): pip install 'cameraborn[diffusion]', or take the steps of ours"
        ) from error
    settings = {
        "num_train_timesteps": _TRAINED_STEPS,
        "beta_start": _BETAS[0],
        "beta_end": _BETAS[1],
        "beta_schedule": "linear",
        "clip_sample": True,
    }
    return DDIMInverseScheduler(**settings), DDIMScheduler(**settings)
