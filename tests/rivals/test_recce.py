"""RECCE: graph reasoning and guided attention against loops over positions, losses against loops over pairs."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.rivals.recce import (
    GraphReasoning,
    GuidedAttention,
    Outputs,
    Recce,
    _of_deepfakebench,
    metric_loss,
    similarity,
)
from tests.rivals.formula import formula_, formula_maps, formula_pictures
from tests.rivals.literal import (
    assert_same,
    batch_normalised,
    convolved,
    logistic,
    numbers,
    positive,
    stretched,
)


def literal_reasoning(module, a, b, c):
    """Position by position, as the authors write it."""
    embedded = module.va_embedding(a)
    B, W = embedded.shape[:2]
    H, V = a.shape[2:]
    out = torch.zeros(B, 3 * W, H, V)
    for n in range(B):
        for y in range(H):
            for x in range(V):
                own = embedded[n, :, y, x]
                gathered = []
                for maps, embedding, reweight, gate, r in (
                    (b, module.vb_embedding, module.reweight_ab, module.va_gated_b, module.ratios[0]),
                    (c, module.vc_embedding, module.reweight_ac, module.va_gated_c, module.ratios[1]),
                ):
                    near = [embedding(maps[n, :, r * y + i, r * x + j]) for i in range(r) for j in range(r)]
                    scores = torch.cat([F.relu(reweight(torch.cat([own, one]))) for one in near])
                    weights = scores.softmax(0)
                    total = sum(weight * one for weight, one in zip(weights, near, strict=True))
                    gathered.append(total * (1 - gate(a)[n, :, y, x]))
                out[n, :, y, x] = torch.cat([*gathered, own])
    return module.reproject(torch.sigmoid(out))


def test_graph_reasoning_is_its_loop():
    module = formula_(GraphReasoning((6, 4, 3), (5, 5, 5), (2, 4)))
    a = formula_pictures(2, 2, 3).repeat(1, 2, 1, 1)
    b = formula_pictures(2, 4, 6).repeat(1, 2, 1, 1)[:, :4]
    c = formula_pictures(2, 8, 12)
    with torch.no_grad():
        found = module(a, b, c)
        assert found.shape == a.shape
        assert torch.allclose(found, literal_reasoning(module, a, b, c), atol=1e-6)


def literal_guided(module, picture, reconstructed, maps):
    """Of one picture: the maps, and what a convolution makes of them, weighted by where the reconstruction fails."""
    first, second = (numbers(module.gated[layer].weight) for layer in (0, 2))
    error = stretched(np.abs(picture - reconstructed), *maps.shape[1:])
    weights = logistic(convolved(positive(convolved(error, first, padding=1)), second))
    convolution, norm = module.h[0], module.h[1]
    seen = positive(batch_normalised(convolved(maps, numbers(convolution.weight)), norm))
    out = np.zeros_like(maps)
    for c in range(maps.shape[0]):
        for y in range(maps.shape[1]):
            for x in range(maps.shape[2]):
                out[c, y, x] = maps[c, y, x] + weights[0, y, x] * seen[c, y, x]
    return out


def test_guided_attention_is_its_loop():
    module = formula_(GuidedAttention(6))
    pictures, reconstructed = formula_pictures(2, 11, 9), formula_maps(2, 3, 11, 9)
    maps = formula_maps(2, 6, 5, 4).flip(1)
    with torch.no_grad():
        found = module(pictures, reconstructed, maps)
    for b in range(2):
        expected = literal_guided(module, *(numbers(given[b]) for given in (pictures, reconstructed, maps)))
        assert_same(found[b], expected)


def test_similarity_is_the_cosine_of_mean_vectors():
    maps = torch.randn(3, 5, 2, 4)
    found = similarity(maps)
    for i in range(3):
        for j in range(3):
            cosine = F.cosine_similarity(maps[i].mean(dim=(1, 2)), maps[j].mean(dim=(1, 2)), dim=0)
            assert torch.isclose(found[i, j], (cosine + 1) / 2, atol=1e-6)


def test_metric_loss_is_its_loop_over_pairs():
    generated = torch.tensor([0, 1, 0, 0, 1])
    values = torch.rand(5, 5)
    alike = [values[i, j] for i in range(5) for j in range(5) if i != j and generated[i] == generated[j] == 0]
    unlike = [values[i, j] for i in range(5) for j in range(5) if generated[i] != generated[j]]
    literal = max(torch.zeros(()), 1 - sum(alike) / len(alike) + sum(unlike) / len(unlike))
    assert torch.isclose(metric_loss([values, values], generated), 2 * literal, atol=1e-5)
    assert torch.isclose(metric_loss([values], torch.ones(5)), torch.ones(()))  # no pair of genuine ones


def test_the_loss_is_flooded_and_reconstructs_genuine_pictures_alone():
    with torch.device("meta"):
        rival = Recce()
    rival.start_training()
    pictures, generated = torch.rand(3, 3, 4, 4), torch.tensor([True, False, True])
    scores = torch.tensor([[9.0], [-9.0], [9.0]])
    reconstructed = pictures + torch.tensor([5.0, 0.5, 7.0])[:, None, None, None]
    alike = torch.rand(3, 3)
    rival.network.run = lambda prepared: Outputs(scores, reconstructed, [alike])
    flooded = 2 * 0.04 - F.softplus(torch.tensor(-9.0))
    literal = flooded + 0.1 * 0.5 + 0.1 * metric_loss([alike], generated)
    assert torch.isclose(rival.loss(pictures, generated), literal, atol=1e-6)


def test_a_key_with_the_prefix_and_without_is_refused():
    with pytest.raises(RecipeError, match=r"holds 'fc.weight' twice, with 'model\.' before it and without"):
        _of_deepfakebench({"model.fc.weight": torch.zeros(1), "fc.weight": torch.ones(1)})


def test_deepfakebenchs_second_backbone_is_left_out():
    state = {"model.fc.weight": torch.zeros(1), "backbone.conv1.weight": torch.ones(1)}
    assert list(_of_deepfakebench(state)) == ["fc.weight"]
