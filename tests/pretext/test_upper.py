"""Detection as the objective of the upper level: the formula, step by step, and the gradient of the weights."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.pretext.tasks import chosen
from cameraborn.pretext.upper import UPPER, Labelled, column_of_made, detection_loss, mahalanobis
from cameraborn.pretext.weighting import BilevelWeights

from .test_weighting import START, TASKS, Net, exact_hypergradient, net_batch


def shown(seed, B=24, D=6, moved=1.5):
    """Photographs and made pictures, which lie elsewhere; one of which nothing is known."""
    rng = torch.Generator().manual_seed(seed)
    made = (torch.arange(B) % 2).double()
    made[-1] = math.nan
    features = torch.randn(B, D, generator=rng).double() @ torch.diag(torch.linspace(0.2, 3, D).double())
    return Labelled(features + moved * (made[:, None] == 1), made)


def literal(lower, upper, a=0.1):
    fitted = [x.numpy() for x, made in zip(*lower, strict=True) if made == 0]
    mean, D = np.mean(fitted, axis=0), len(fitted[0])
    C = sum(np.outer(x - mean, x - mean) for x in fitted) / len(fitted)
    S = (1 - a) * C + a * np.trace(C) / D * np.eye(D)
    distances = {0: [], 1: []}
    for x, made in zip(*upper, strict=True):
        if made in (0, 1):
            z = x.numpy() - mean
            distances[int(made)].append(z @ np.linalg.inv(S) @ z / D)
    losses = [math.log(1 + math.exp(p - m)) for p in distances[0] for m in distances[1]]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("D", [2, 6, 40])
def test_the_loss_is_the_formula(D):
    lower, upper = shown(0, D=D), shown(1, D=D)
    assert float(detection_loss(lower, upper)) == pytest.approx(literal(lower, upper), rel=1e-6)


def test_made_pictures_that_lie_far_off_are_told():
    same, near, far = (
        float(detection_loss(shown(0, B=600), shown(1, B=600, moved=m))) for m in (0.0, 1.5, 15.0)
    )
    assert same == pytest.approx(math.log(2), abs=0.15)
    assert same > near > far
    assert far < 0.01


def test_turning_moving_and_scaling_all_features_changes_nothing():
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)).double())[0]
    lower, upper = shown(0), shown(1)
    turned = [Labelled(100 * batch.features @ turn + 7, batch.made) for batch in (lower, upper)]
    assert float(detection_loss(*turned)) == pytest.approx(float(detection_loss(lower, upper)), rel=1e-6)


def test_a_gaussian_needs_no_more_pictures_than_features():
    fitted = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).double()
    assert torch.isfinite(mahalanobis(fitted, fitted)).all()
    assert torch.isfinite(mahalanobis(fitted[:1].expand(3, -1), fitted)).all()  # the same of every picture


@pytest.mark.parametrize("missing", ["below", "photographs", "made"])
def test_a_batch_that_lacks_a_side_says_nothing(missing):
    lower, upper = shown(0), shown(1)
    if missing == "below":
        lower = lower._replace(made=torch.ones(24))
    else:
        upper = upper._replace(made=torch.full((24,), float(missing == "photographs")))
    lower, upper = (batch._replace(features=batch.features.requires_grad_()) for batch in (lower, upper))
    loss = detection_loss(lower, upper)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not lower.features.grad.any()
    assert not upper.features.grad.any()


class Features(Net):
    """The network with what its heads are told from among its outputs."""

    def forward(self, x):
        y = self.body(x)
        return {name: head(y) for name, head in self.heads.items()} | {"features": y}


def losses(network, batch):
    x, classes = batch
    outputs = network(x)
    return {name: F.cross_entropy(outputs[name], classes[name]) for name in TASKS}


def objective(network, lower, upper):
    batches = [Labelled(network(x)["features"], classes["main"] % 2) for x, classes in (lower, upper)]
    return detection_loss(*batches)


@pytest.mark.parametrize("seed", range(3))
def test_weights_move_by_the_exact_hypergradient_of_detection(seed):
    torch.manual_seed(seed)
    network, (lower, upper) = Features(), (net_batch(seed), net_batch(seed + 100))

    def of_level(net, batch):
        return losses(net, batch) if batch is lower else {"main": objective(net, lower, batch)}

    exact = exact_hypergradient(network, of_level, lower, upper, [1.0] * 3, 0.05, 0.01)
    weights = BilevelWeights(START, None)
    found = weights.update(network, losses, lower, upper, alpha=0.05, weight_decay=0.01, objective=objective)
    scale = max(abs(value) for value in exact.values())
    assert scale > 1e-6
    assert found == {name: pytest.approx(value, abs=0.01 * scale) for name, value in exact.items()}


def test_without_a_primary_task_an_objective_is_needed():
    with pytest.raises(RecipeError, match="give the update an objective"):
        BilevelWeights(START, None).update(
            Features(), losses, net_batch(0), net_batch(1), alpha=0.1, weight_decay=0.0
        )


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (["iso", "face"], 1),
        (["blades_fine", "blades_coarse"], 3),
        (["reconstructed"], 0),
        (["iso", "blades_fine"], None),
    ],
)
def test_what_says_that_a_picture_was_made(names, column):
    assert column_of_made(chosen(names)) == column
    assert list(UPPER) == ["detection"]
