"""The bi-level weights against exact hypergradients, on problems with a known answer."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.pretext.weighting import BilevelWeights, split_levels

TASKS = ("main", "useful", "harmful")
START = dict.fromkeys(TASKS, 1.0)


class Point(nn.Module):
    """A network that is one point; its losses are squared distances."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(4, dtype=torch.float64))


def distances(network, goals):
    """The main task's goal; the useful one's lies near it, the harmful one's on the other side."""
    return {
        name: 0.5 * (network.place - goal).square().sum() for name, goal in zip(TASKS, goals, strict=True)
    }


def goals(noise=0.0):
    main = torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64)
    main = main + noise * torch.linspace(-1, 1, 4, dtype=torch.float64)
    return main, 0.9 * main + 0.05, -main


class Net(nn.Module):
    """Two layers with batch norm and dropout, and a head a task."""

    def __init__(self, dropout=0.0, dtype=torch.float64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(dropout))
        self.heads = nn.ModuleDict({name: nn.Linear(16, 3) for name in TASKS})
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(2))
        self.to(dtype)

    def forward(self, x):
        y = self.body(x)
        return {name: head(y) for name, head in self.heads.items()}


def net_losses(network, batch):
    x, classes = batch
    return {name: F.cross_entropy(out, classes[name]) for name, out in network(x).items()}


def net_batch(seed, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 5, generator=rng).to(dtype)
    return x, {name: torch.randint(3, (32,), generator=rng) for name in TASKS}


def exact_hypergradient(network, losses, lower, upper, weights, alpha, decay, velocity=None):
    """Autograd through the virtual step."""
    w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    named = dict(network.named_parameters())
    trained = {name: p for name, p in named.items() if p.requires_grad}
    of_task = losses(network, lower)
    total = sum(w[n] * of_task[name] for n, name in enumerate(TASKS))
    gradients = torch.autograd.grad(total, list(trained.values()), create_graph=True, allow_unused=True)
    moved = {}
    for (name, p), g in zip(trained.items(), gradients, strict=True):
        v = (velocity or {}).get(name, 0.0)
        moved[name] = p - alpha * (v + (0 if g is None else g) + decay * p)

    class Moved(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *arguments):
            return functional_call(network, {**named, **moved}, arguments)

        @property
        def place(self):
            return moved["place"]

    (answer,) = torch.autograd.grad(losses(Moved(), upper)["main"], w)
    return dict(zip(TASKS, answer.tolist(), strict=True))


def test_on_a_quadratic_the_gradient_is_the_exact_hypergradient():
    network, (lower, upper) = Point(), (goals(), goals(0.2))
    weights = BilevelWeights(START, "main")
    found = weights.update(network, distances, lower, upper, alpha=0.1, weight_decay=0.01)
    exact = exact_hypergradient(network, distances, lower, upper, [1.0] * 3, 0.1, 0.01)
    assert found == {name: pytest.approx(value, rel=1e-9) for name, value in exact.items()}
    # And by hand: with t = 0, t' = a (sum of goals), dl/dw_i = -a (t' - upper goal) . (0 - lower goal_i)
    moved = 0.1 * sum(lower)
    by_hand = [float(-0.1 * (moved - upper[0]) @ -goal) for goal in lower]
    assert list(found.values()) == pytest.approx(by_hand)


def test_a_useful_task_gains_weight_and_a_harmful_one_loses_it():
    network = Point()
    weights = BilevelWeights(START, "main", learning_rate=0.02)
    for step in range(60):
        lower, upper = goals(0.3 * math.sin(step)), goals(0.3 * math.cos(step))
        weights.update(network, distances, lower, upper, alpha=0.02, weight_decay=0.0)
        w = weights.values()
        of_task = distances(network, lower)
        (g,) = torch.autograd.grad(sum(w[name] * of_task[name] for name in TASKS), network.place)
        with torch.no_grad():
            network.place -= 0.02 * g
    w = {name: float(value) for name, value in weights.values().items()}
    assert w["harmful"] < 0.5 < 1.3 < w["useful"]
    assert w["main"] > 1.3


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_on_a_network_it_agrees_with_the_exact_hypergradient_to_one_percent(seed, momentum):
    torch.manual_seed(seed)
    network, (lower, upper) = Net(), (net_batch(seed), net_batch(seed + 100))
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    velocity = {name: 0.1 * torch.randn_like(p) for name, p in trained.items()} if momentum else None
    exact = exact_hypergradient(network, net_losses, lower, upper, [1.0] * 3, 0.05, 0.01, velocity)
    weights = BilevelWeights(START, "main")
    found = weights.update(
        network, net_losses, lower, upper, alpha=0.05, weight_decay=0.01, velocity=velocity
    )
    scale = max(abs(value) for value in exact.values())
    assert found == {name: pytest.approx(value, abs=0.01 * scale) for name, value in exact.items()}


def test_the_virtual_step_is_that_of_sgd_with_momentum():
    torch.manual_seed(0)
    network, (lower, upper) = Point(), (goals(), goals(0.2))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.3)
    for _ in range(2):
        optimiser.zero_grad()
        sum(distances(network, lower).values()).backward()
        optimiser.step()
    seen = []

    def watched(net, batch):
        seen.append(net.place.detach().clone())
        return distances(net, batch)

    velocity = {"place": 0.9 * optimiser.state[network.place]["momentum_buffer"]}
    BilevelWeights(START, "main").update(
        network, watched, lower, upper, alpha=0.1, weight_decay=0.3, velocity=velocity
    )
    optimiser.zero_grad()
    sum(distances(network, lower).values()).backward()
    optimiser.step()
    # seen: before, after the virtual step, and the finite difference's two ends
    torch.testing.assert_close(seen[1], network.place.detach(), rtol=1e-12, atol=0)
    assert float((seen[2] - seen[0]).norm()) == pytest.approx(0.01)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_comes_out_as_it_went_in_to_the_last_bit(fails):
    torch.manual_seed(0)
    network = Net(dropout=0.5, dtype=torch.float32).train()
    sum(
        net_losses(network, net_batch(9, torch.float32)).values()
    ).backward()  # gradients that must survive too
    before = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    random = torch.get_rng_state()
    calls = []

    def losses(net, batch):
        calls.append(net.state_dict()["body.1.running_mean"].clone())
        if fails and len(calls) == 3:
            raise KeyboardInterrupt
        return net_losses(net, batch)

    weights = BilevelWeights(START, "main")
    batches = net_batch(1, torch.float32), net_batch(2, torch.float32)
    try:
        weights.update(network, losses, *batches, alpha=0.1, weight_decay=0.1)
    except KeyboardInterrupt:
        assert fails
    assert not torch.equal(calls[1], before["body.1.running_mean"])  # the passes did move it
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, p in network.named_parameters():
        assert (p.grad is None) == (name not in gradients), name
        assert p.grad is None or torch.equal(p.grad, gradients[name]), name
    assert torch.equal(torch.get_rng_state(), random)


def test_passes_over_the_lower_batch_see_the_same_dropout():
    """Else the difference of two masks, divided by twice the small step, would drown the slope."""
    seen = []

    def losses(net, batch):
        seen.append(torch.rand(1).item())
        return distances(net, batch)

    batches = goals(), goals(0.2)
    BilevelWeights(START, "main").update(Point(), losses, *batches, alpha=0.1, weight_decay=0.0)
    first, _, ahead, behind = seen
    assert first == ahead == behind
    assert torch.rand(1).item() == first  # the ordinary step, too


def test_a_primary_task_that_knows_nothing_moves_no_weight():
    network = Point()
    weights = BilevelWeights(START, "main")
    found = weights.update(
        network,
        lambda net, batch: {name: value * 0.0 for name, value in distances(net, batch).items()},
        goals(),
        goals(),
        alpha=0.1,
        weight_decay=0.0,
    )
    assert list(found.values()) == [0.0] * 3
    assert [float(w) for w in weights.values().values()] == [1.0] * 3


@pytest.mark.parametrize(
    ("constraint", "check"),
    [
        ("none", lambda w: w["harmful"] < 0),
        ("clamp", lambda w: w["harmful"] == 0 and w["main"] > 1.2),
        ("normalise", lambda w: w["harmful"] == 0 and sum(w.values()) == pytest.approx(3)),
    ],
)
def test_weights_are_free_unless_asked(constraint, check):
    network = Point()
    weights = BilevelWeights(START, "main", learning_rate=0.1, constraint=constraint)
    for _ in range(20):
        weights.update(network, distances, goals(), goals(), alpha=0.1, weight_decay=0.0)
    assert check({name: float(value) for name, value in weights.values().items()})


def test_weights_start_where_the_recipe_says():
    start = {"main": 1.0, "useful": 0.25, "harmful": 2.0}
    weights, (lower, upper) = BilevelWeights(start, "main"), (goals(), goals(0.2))
    assert {name: float(value) for name, value in weights.values().items()} == start
    found = weights.update(Point(), distances, lower, upper, alpha=0.1, weight_decay=0.0)
    exact = exact_hypergradient(Point(), distances, lower, upper, list(start.values()), 0.1, 0.0)
    assert found == {name: pytest.approx(value, rel=1e-9) for name, value in exact.items()}


def test_a_run_goes_on_from_a_checkpoint_to_the_bit():
    def run(weights, steps):
        for step in steps:
            batches = goals(0.1 * step), goals(-0.1 * step)
            weights.update(Point(), distances, *batches, alpha=0.1, weight_decay=0.0)
        return weights.state_dict()

    whole = run(BilevelWeights(START, "main"), range(6))
    resumed = BilevelWeights(START, "main")
    resumed.load_state_dict(run(BilevelWeights(START, "main"), range(3)))
    parts = run(resumed, range(3, 6))
    assert whole.keys() == parts.keys() == {"weights", "exp_avg", "exp_avg_sq", "step"}
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_fresh_state_loads_and_a_foreign_one_is_refused():
    weights = BilevelWeights(START, "main")
    weights.load_state_dict(BilevelWeights(START, "main").state_dict())
    for foreign in ({}, {"weights": torch.ones(2)}, {"weights": torch.ones(3), "step": torch.tensor(1.0)}):
        with pytest.raises(RecipeError, match="of another recipe"):
            weights.load_state_dict(foreign)
    with pytest.raises(RecipeError, match="face: not a task"):
        BilevelWeights(START, "face")


def row(number, group):
    return Row(path=f"{number}.jpg", sha256=f"{number:064x}", group=group, split="train")


def test_rows_are_divided_by_group():
    rows = [row(n, f"g{n % 10}") for n in range(100)]
    lower, upper = split_levels(rows, 0.2, seed=0)
    assert sorted(r.path for r in lower + upper) == sorted(r.path for r in rows)
    assert not {r.group for r in lower} & {r.group for r in upper}
    assert len(upper) == 20
    assert {r.split for r in lower + upper} == {"train"}
    with pytest.raises(ManifestError, match="is in both levels"):
        split_levels([row(1, "one"), row(1, "two")], 0.5, seed=0)
    with pytest.raises(ManifestError, match="1 group"):
        split_levels([row(n, "one") for n in range(9)], 0.2, seed=0)
