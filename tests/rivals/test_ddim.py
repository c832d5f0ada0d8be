"""DDIM on Gaussian pictures, whose noise is known exactly."""

import math
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals.ddim import (
    Schedule,
    by_schedulers,
    ddim_of_diffusers,
    generate,
    invert,
    there_and_back,
)
from cameraborn.rivals.dire import Dire

MEAN, DEVIATION = 0.2, 0.1
BETAS = np.linspace(1e-4, 0.02, 1000)
SHARES = np.cumprod(1 - BETAS)


def gaussian_noise(mixed, times):
    """The expected noise in a mixture, where pictures are Gaussian."""
    share = torch.from_numpy(SHARES)[times].to(mixed)[:, None]
    return (1 - share).sqrt() * (mixed - share.sqrt() * MEAN) / (share * DEVIATION**2 + 1 - share)


def literal_walk(x, steps, clip):
    """One number there and back, written out."""
    times = list(range(0, 1000, 1000 // steps))

    def split(x, t):
        a = SHARES[t]
        noise = math.sqrt(1 - a) * (x - math.sqrt(a) * MEAN) / (a * DEVIATION**2 + 1 - a)
        picture = (x - math.sqrt(1 - a) * noise) / math.sqrt(a)
        picture = min(1.0, max(-1.0, picture)) if clip else picture
        return picture, (x - math.sqrt(a) * picture) / math.sqrt(1 - a)

    for place, t in enumerate(times):
        a = SHARES[times[place + 1]] if place + 1 < steps else 0.0
        picture, noise = split(x, t)
        x = math.sqrt(a) * picture + math.sqrt(1 - a) * noise
    latent = x
    for place, t in reversed(list(enumerate(times))):
        a = SHARES[times[place - 1]] if place else 1.0
        picture, noise = split(x, t)
        x = math.sqrt(a) * picture + math.sqrt(1 - a) * noise
    return latent, x


def test_the_schedule_is_every_fiftieth_step():
    schedule = Schedule.evenly(20)
    assert schedule.times.tolist() == list(range(0, 1000, 50))
    assert np.allclose(schedule.shares.numpy(), SHARES[::50], rtol=1e-12)
    with pytest.raises(ValueError, match="do not divide"):
        Schedule.evenly(30)


@pytest.mark.parametrize("clip", [True, False])
def test_there_and_back_is_the_walk_of_single_numbers(clip):
    pictures = torch.tensor([[0.2], [0.37], [-0.9], [1.4]], dtype=torch.float64)
    schedule = Schedule.evenly(20)
    latents = invert(gaussian_noise, pictures, schedule, clip=clip)
    returned = generate(gaussian_noise, latents, schedule, clip=clip)
    for picture, latent, back in zip(pictures, latents, returned, strict=True):
        literal_latent, literal_back = literal_walk(float(picture), 20, clip)
        assert float(latent) == pytest.approx(literal_latent, abs=1e-9)
        assert float(back) == pytest.approx(literal_back, abs=1e-9)


def test_many_steps_come_to_the_exact_flow():
    pictures = MEAN + DEVIATION * torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    standard = (pictures - MEAN) / DEVIATION  # the flow keeps a point's place in the Gaussian
    errors = []
    for steps in (20, 100, 500):
        latents = invert(gaussian_noise, pictures, Schedule.evenly(steps), clip=False)
        errors.append(float((latents - standard).abs().max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1


def test_the_error_falls_with_more_steps_and_is_that_of_the_round_trip():
    pictures = MEAN + DEVIATION * torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    few, many = (
        (pictures - there_and_back(gaussian_noise, pictures, steps=steps)).abs() for steps in (20, 200)
    )
    literal = [abs(float(x) - literal_walk(float(x), 20, True)[1]) for x in pictures]
    assert few.flatten().tolist() == pytest.approx(literal, abs=1e-9)
    assert float(many.max()) < float(few.max())


class LiteralSteps:
    """A scheduler as those of diffusers, by the formula of one step: from a time to that of the next, or to an end."""

    def __init__(self, end, order):
        self.end, self.order = end, order

    def set_timesteps(self, steps):
        times = torch.arange(0, 1000, 1000 // steps)
        self.timesteps = times if self.order > 0 else times.flip(0)

    def step(self, noise, time, mixed):
        place = self.timesteps.tolist().index(int(time)) + 1
        a = SHARES[int(time)]
        b = SHARES[int(self.timesteps[place])] if place < len(self.timesteps) else self.end
        picture = ((mixed - math.sqrt(1 - a) * noise) / math.sqrt(a)).clamp(-1, 1)
        noise = (mixed - math.sqrt(a) * picture) / math.sqrt(1 - a)
        return SimpleNamespace(prev_sample=math.sqrt(b) * picture + math.sqrt(1 - b) * noise)


def test_schedulers_take_the_place_of_our_steps():
    pictures = torch.tensor([[0.2], [0.37], [-0.9], [1.4]], dtype=torch.float64)
    reconstruct = by_schedulers(LiteralSteps(0.0, 1), LiteralSteps(1.0, -1), steps=20)
    expected = there_and_back(gaussian_noise, pictures, steps=20)
    assert torch.allclose(reconstruct(gaussian_noise, pictures), expected, atol=1e-9)
    with torch.device("meta"):
        rival = Dire(reconstruct=reconstruct)
    assert (rival.name, set(rival.parts)) == ("dire*", {"diffusion", "network"})
    assert rival.reconstruct is reconstruct


def test_our_steps_are_those_of_diffusers():
    pytest.importorskip("diffusers", reason="needs cameraborn[diffusion]")
    there, back = ddim_of_diffusers()
    there.set_timesteps(20)
    back.set_timesteps(20)
    pictures = MEAN + DEVIATION * torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]  # nothing is clipped
    schedule = Schedule.evenly(20)
    # There: told the time that a step leads to, theirs is ours; the last of ours leads to no time, but to pure noise.
    theirs = pictures
    for time, following in pairwise(schedule.times.tolist()):
        theirs = there.step(gaussian_noise(theirs, torch.tensor([time])), following, theirs).prev_sample
    noise = gaussian_noise(theirs, schedule.times[-1:])
    assert torch.allclose(noise, invert(gaussian_noise, pictures, schedule), atol=1e-5)
    # Back they are the same.
    latents = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    returned = latents
    for time in back.timesteps:
        returned = back.step(gaussian_noise(returned, time[None]), time, returned).prev_sample
    assert torch.allclose(returned, generate(gaussian_noise, latents, schedule), atol=1e-5)
    # As they are used: the way there begins and ends one step earlier.
    reconstruct = by_schedulers(there, back, steps=20)
    ours = there_and_back(gaussian_noise, pictures, steps=20)
    assert torch.allclose(reconstruct(gaussian_noise, pictures), ours, atol=0.01)


def test_without_diffusers_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(RecipeError, match=r"pip install 'cameraborn\[diffusion\]'"):
        ddim_of_diffusers()
