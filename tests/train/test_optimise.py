"""The running average against its formula value by value, the learning rate, and what decays."""

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from cameraborn.pretext.recipe import Recipe
from cameraborn.train.optimise import (
    average,
    learning_rate,
    make_optimiser,
    momentum_of,
    set_learning_rate,
)
from cameraborn.train.recipe import OptimiseSection

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_average_moves_by_one_minus_the_decay():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).requires_grad_(False)
    before = copy.deepcopy(averaged.state_dict())
    network(torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)))  # moves the statistics
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    average(averaged, network, 0.75)
    now = averaged.state_dict()
    for name, trained in network.state_dict().items():
        if trained.is_floating_point():
            torch.testing.assert_close(now[name], 0.75 * before[name] + 0.25 * trained)
            assert not torch.equal(now[name], before[name])
        else:
            assert torch.equal(now[name], trained)  # how many batches were seen


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = OptimiseSection(steps=100, warmup=10, learning_rate=0.5)
    rates = [learning_rate(step, settings, steps=100, steps_an_epoch=5) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[10] == 0.5
    assert rates[55] == pytest.approx(0.25)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 1e-3


def test_the_cosine_of_the_authors_code_rises_again():
    recipe = Recipe.read(CONFIGS / "aigfd_authors_code.toml")
    rates = [learning_rate(step, recipe.optimise, steps=60, steps_an_epoch=3) for step in range(60)]
    assert len(set(rates[:3])) == 1
    by_epoch = rates[::3]
    # torch's CosineAnnealingLR(T_max=10, eta_min=1e-7), as the code calls it, an epoch at a time
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10, eta_min=1e-7)
    for rate in by_epoch:
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert by_epoch[19] > by_epoch[10]


@pytest.mark.parametrize("optimiser", ["adamw", "adam"])
@pytest.mark.parametrize("decay_all", [False, True])
def test_what_decays(optimiser, decay_all):
    settings = OptimiseSection(steps=1, optimiser=optimiser, weight_decay=0.5, decay_all=decay_all)
    made = make_optimiser(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), settings)
    assert type(made).__name__.lower() == optimiser
    decayed = [len(group["params"]) for group in made.param_groups if group["weight_decay"] == 0.5]
    assert decayed == [4 if decay_all else 1]


def test_the_root_schedule_falls_with_the_square_root_of_what_is_left():
    settings = OptimiseSection(steps=100, warmup=20, learning_rate=0.5, schedule="root")
    rates = [learning_rate(step, settings, steps=100, steps_an_epoch=5) for step in (20, 40, 80)]
    assert rates == pytest.approx([0.5, 0.5 * 0.75**0.5, 0.5 * 0.25**0.5])


def test_the_constant_schedule_stays_after_its_warm_up():
    settings = OptimiseSection(steps=9, warmup=2, learning_rate=0.1, schedule="constant")
    rates = [learning_rate(step, settings, steps=9, steps_an_epoch=3) for step in range(9)]
    assert rates == [0.05] + [0.1] * 8


def test_sgd_moves_with_its_momentum():
    network = nn.Linear(1, 1, bias=False)
    start = network.weight.item()
    settings = OptimiseSection(
        steps=9, optimiser="sgd", learning_rate=0.1, betas=(0.9, 0.999), weight_decay=0.0
    )
    optimiser = make_optimiser(network, settings)
    for _ in range(2):
        network.weight.grad = torch.ones(1, 1)
        optimiser.step()
    assert network.weight.item() == pytest.approx(start - 0.1 * 1 - 0.1 * (0.9 + 1))
    momentum = momentum_of(network, optimiser)
    assert momentum["weight"].item() == pytest.approx(0.9 * (0.9 + 1))
    before = network.weight.item()
    optimiser.step()
    assert network.weight.item() == pytest.approx(before - 0.1 * (momentum["weight"].item() + 1))


def test_adam_has_no_momentum_of_this_kind():
    network = nn.Linear(1, 1)
    optimiser = make_optimiser(network, OptimiseSection(steps=9))
    network(torch.ones(1)).backward()
    optimiser.step()
    assert momentum_of(network, optimiser) == {}


def test_a_constant_rate_stays():
    one, other = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimiser = torch.optim.AdamW([{"params": [one]}, {"params": [other], "constant_lr": 0.2}], lr=0.1)
    set_learning_rate(optimiser, 0.3)
    assert [group["lr"] for group in optimiser.param_groups] == [0.3, 0.2]
