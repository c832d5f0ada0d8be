"""Figures of held-out photographs, against a network whose outputs are known."""

import math

import pytest
import torch
from torch import nn

from cameraborn.pretext.tasks import TASKS
from cameraborn.pretext.validate import Validator

TASK = TASKS["iso"]


class Brightness(nn.Module):
    """Ranks by the mean level of the input."""

    def forward(self, x):
        assert not self.training
        return {"iso": x.flatten(1).mean(dim=1, keepdim=True)}


def batch(levels, targets, names):
    inputs = torch.stack([torch.full((3, 4, 4), level, dtype=torch.uint8) for level in levels])
    return inputs, torch.tensor(targets, dtype=torch.float64)[:, None], names


def figures(batches, precision=None):
    network = Brightness().train()
    found = Validator(batches, [TASK], torch.device("cpu"), precision)(network)
    assert network.training  # it goes on training afterwards
    return found


def test_each_name_has_figures_of_its_own_pictures():
    right = batch([10, 20, 30], [100, 200, 400], ["day"] * 3)
    wrong = batch([30, 20, 10], [100, 200, 400], ["night"] * 3)
    found = figures([right, wrong])
    assert list(found) == ["day/iso", "night/iso"]
    assert found == {"day/iso": 1.0, "night/iso": 0.0}


def test_a_figure_is_over_all_batches_of_a_name():
    """Two of the three pairs are in the right order: the one between the batches, and one within."""
    first, second = batch([10, 30], [100, 400], ["all"] * 2), batch([20], [50], ["all"])
    assert figures([first, second])["all/iso"] == pytest.approx(2 / 3)


def test_where_there_is_nothing_to_measure_it_is_nan():
    known, unknown = batch([10, 20], [100, 200], ["a"] * 2), batch([10, 20], [math.nan] * 2, ["b"] * 2)
    found = figures([known, unknown], precision=torch.bfloat16)
    assert found["a/iso"] == 1.0
    assert math.isnan(found["b/iso"])
