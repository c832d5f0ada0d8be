"""Self-descriptions: constrained filters, and the prediction against a general solver of the same problem."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from cameraborn.rivals.self_descriptions import PredictionFilters, SelfDescription, predict_itself
from tests.rivals.formula import a_picture, formula_, passes_for_loaded


def test_filters_predict_from_neighbours_alone():
    filters = PredictionFilters(3, 5).constrained().detach()
    assert torch.allclose(filters.sum(dim=(1, 2, 3)), torch.ones(3), atol=1e-5)
    assert filters[:, 0, 2, 2].abs().max() == 0
    even = torch.full((1, 1, 12, 12), 77.0)
    residual = PredictionFilters(3, 5)(even)
    assert residual[..., 2:-2, 2:-2].abs().max() < 1e-3


def test_the_prediction_is_the_least_squares_one_under_its_constraint():
    torch.manual_seed(0)
    maps = [torch.randn(2, 9, 8, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)]
    found = predict_itself(maps, 3, ridge=0.1)
    rows, targets = [], []
    for one in maps:
        around = np.pad(one.numpy(), ((0, 0), (1, 1), (1, 1)), mode="reflect")
        for y in range(one.shape[1]):
            for x in range(one.shape[2]):
                patches = around[:, y : y + 3, x : x + 3].reshape(2, 9)
                rows.append(np.delete(patches, 4, axis=1).ravel())
                targets.append(one[:, y, x].sum().item())
    rows, targets = np.array(rows), np.array(targets)

    def objective(w):
        return ((rows @ w - targets) ** 2).sum() + 0.1 * (w**2).sum()

    def slope(w):
        return 2 * rows.T @ (rows @ w - targets) + 0.2 * w

    sums = [{"type": "eq", "fun": lambda w, k=k: w[8 * k : 8 * k + 8].sum() - 1} for k in range(2)]
    best = minimize(objective, np.full(16, 1 / 8), jac=slope, constraints=sums, tol=1e-12)
    assert np.allclose(found.numpy(), best.x, atol=1e-4)
    assert found.view(2, 8).sum(dim=1).tolist() == pytest.approx([1, 1])


def test_a_description_has_960_numbers_whatever_the_picture():
    encoder = passes_for_loaded(formula_(SelfDescription(shortest=48)))
    for height, width in ((60, 90), (50, 40)):
        seen = encoder.preprocess(a_picture(height, width))
        assert torch.equal(seen[0], seen[2])
        described = encoder.compute(seen[None])
        assert described.shape == (1, 960)
        assert described.view(8, 120).sum(dim=1).tolist() == pytest.approx([1] * 8)


def test_the_loss_rewards_prediction_and_independence():
    encoder = SelfDescription()
    encoder.start_training()
    with torch.no_grad():
        encoder.filters.w[1] = encoder.filters.w[0] + 1e-6 * torch.randn_like(encoder.filters.w[0])
    photograph = torch.rand(1, 3, 40, 40)
    alike = encoder.loss(photograph)
    torch.nn.init.xavier_normal_(encoder.filters.w, gain=1 / 3)
    different = encoder.loss(photograph)
    assert different < alike
    residuals = encoder.filters(photograph[:, :1])[0, :, 7:-7, 7:-7].flatten(1).double()
    energies = (residuals**2).mean(dim=1)
    correlations = (residuals @ residuals.T / residuals.shape[1]) / (energies[:, None] * energies).sqrt()
    literal = energies.log().mean() - torch.logdet(correlations) / 2
    assert float(different) == pytest.approx(float(literal), abs=1e-3)
