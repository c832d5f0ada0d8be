"""Multiply-adds of rivals, against figures that are published or counted by hand."""

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals.cost import Cost, cost_of, multiply_adds
from cameraborn.rivals.dire import STEPS
from cameraborn.rivals.published import make, without_memory
from tests.rivals.formula import passes_for_loaded


def test_published_sizes():
    # OpenAI's CLIP ViT-L/14: 81 G at 224 pixels. EfficientNet-Lite0: 407 M with its layer of classes at most.
    assert cost_of("clip-vit-l14").multiply_adds == pytest.approx(81.0e9, rel=0.01)
    assert 0.37e9 < cost_of("efficientnet-lite0").multiply_adds < 0.407e9
    # ADM at 256 pixels: 1120 G a pass (as arXiv 2212.09748 counts it), and 20 steps each way.
    assert cost_of("dire").multiply_adds == pytest.approx(2 * STEPS * 1120e9, rel=0.01)


def test_a_convolution_by_hand():
    layer = torch.nn.Conv2d(3, 8, 5, padding=2)
    assert multiply_adds(layer, torch.zeros(1, 3, 10, 12)) == 3 * 8 * 25 * 10 * 12


def test_without_memory_it_is_what_the_true_pass_takes():
    probe = passes_for_loaded(make("probe-efficientnet-lite0").eval())
    assert cost_of("probe-efficientnet-lite0") == Cost(
        sum(one.numel() for one in probe.parameters()),
        multiply_adds(probe.compute, torch.zeros(1, 3, 224, 224)),
    )


def test_what_was_counted_has_no_weights():
    assert cost_of("probe-efficientnet-lite0").multiply_adds
    assert "no weights" in without_memory("probe-efficientnet-lite0").missing()


def test_disturbed_pictures_are_passes_too():
    once = cost_of("efficientnet-lite0").multiply_adds
    assert cost_of("blur-similarity").multiply_adds >= 2 * once  # the picture, and blurred
    assert cost_of("rigid").multiply_adds == 4 * once  # and under three draws of noise


def test_a_name_that_is_none():
    with pytest.raises(RecipeError, match="gramnet"):
        cost_of("gramnett")
