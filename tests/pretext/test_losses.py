"""The losses and the ranking's figure against the papers' formulas, written literally, pair by pair."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.pretext import losses
from cameraborn.pretext.losses import (
    LINK_SCALES,
    RANK_LOSSES,
    binary_fidelity,
    pair_accuracy,
    pairwise_cross_entropy,
    pairwise_fidelity,
)

TAGS = st.one_of(st.sampled_from([1.0, 2.0, 3.0, math.nan]), st.floats(-1e6, 1e6))
SCORES = st.one_of(st.sampled_from([-1.0, 0.0, 2.0]), st.floats(-6, 6))
ITEMS = st.lists(st.tuples(SCORES, TAGS), min_size=2, max_size=9)


def normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def literal_fidelity(scores, tags, k, tie):
    """AIGFD-EXIF, Eq. 1-3, in the loops of the paper; the mean over pairs that have both tags."""
    losses = []
    for i in range(len(tags)):
        for j in range(i + 1, len(tags)):
            if math.isnan(tags[i]) or math.isnan(tags[j]):
                continue
            g = tie if tags[i] == tags[j] else float(tags[i] > tags[j])
            p = normal_cdf(k * (scores[i] - scores[j]))
            losses.append(1 - math.sqrt(p * g) - math.sqrt((1 - p) * (1 - g)))
    return sum(losses) / len(losses) if losses else 0.0


def literal_accuracy(scores, tags):
    right = []
    for i in range(len(tags)):
        for j in range(i + 1, len(tags)):
            if math.isnan(tags[i]) or math.isnan(tags[j]) or tags[i] == tags[j]:
                continue
            larger, smaller = (i, j) if tags[i] > tags[j] else (j, i)
            right.append(scores[larger] > scores[smaller])
    return sum(right) / len(right) if right else math.nan


@pytest.mark.parametrize("tie", [0.5, 1.0])
@pytest.mark.parametrize("link", LINK_SCALES)
@settings(max_examples=60, deadline=None)
@given(items=ITEMS)
def test_fidelity_is_the_papers_formula(link, tie, items):
    scores, tags = zip(*items, strict=True)
    k = LINK_SCALES[link]
    loss = pairwise_fidelity(
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(tags, dtype=torch.float64),
        link_scale=k,
        tie=tie,
    )
    # the code adds 1e-8 under each root, which moves a root of zero to 1e-4
    assert float(loss) == pytest.approx(literal_fidelity(scores, tags, k, tie), abs=2.1e-4)


@pytest.mark.parametrize("tie", [0.5, 1.0])
@pytest.mark.parametrize("link", LINK_SCALES)
def test_cross_entropy_is_the_literal_one(link, tie):
    rng = np.random.default_rng(4)
    scores, tags = torch.from_numpy(rng.normal(size=9)), torch.from_numpy(rng.integers(0, 4, 9).astype(float))
    terms = []
    for i in range(9):
        for j in range(i + 1, 9):
            p = 0.5 * (1 + math.erf(LINK_SCALES[link] * float(scores[i] - scores[j]) / math.sqrt(2)))
            g = tie if tags[i] == tags[j] else float(tags[i] > tags[j])
            terms.append(-g * math.log(p) - (1 - g) * math.log(1 - p))
    loss = pairwise_cross_entropy(scores, tags, link_scale=LINK_SCALES[link], tie=tie)
    assert float(loss) == pytest.approx(np.mean(terms), rel=1e-9)


def test_link_scales_are_the_published_ones():
    published = {"paper": pytest.approx(0.70710678), "aigfd-code": 2.0, "sdaie-code": 1.0}
    assert published == LINK_SCALES


@pytest.mark.parametrize("tie", [0.5, 1.0])
@pytest.mark.parametrize("link", LINK_SCALES)
@pytest.mark.parametrize("loss", RANK_LOSSES.values(), ids=RANK_LOSSES)
def test_gradient_is_that_of_finite_differences(loss, link, tie):
    scores = torch.tensor([0.3, -0.7, 1.1, 0.2, 0.9], dtype=torch.float64, requires_grad=True)
    tags = torch.tensor([1.0, 2.0, 2.0, math.nan, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: loss(s, tags, link_scale=LINK_SCALES[link], tie=tie), scores)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("loss", RANK_LOSSES.values(), ids=RANK_LOSSES)
def test_gradient_is_finite_far_from_the_truth(loss, dtype):
    scores = torch.tensor([-90.0, 90.0, 90.0], dtype=dtype, requires_grad=True)
    loss(scores, torch.tensor([3.0, 1.0, 1.0]), link_scale=2.0).backward()
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("tags", [[], [math.nan, math.nan], [math.nan, 100.0]])
def test_fewer_than_two_tags_give_zero_with_a_graph(tags):
    scores = torch.ones(len(tags), requires_grad=True)
    loss = pairwise_fidelity(scores, torch.tensor(tags), link_scale=1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad.tolist() == [0.0] * len(tags)


@pytest.mark.parametrize("tie", [0.5, 1.0])
@pytest.mark.parametrize("pairs", [1, 30, 90])
def test_blocks_of_pairs_add_up_to_all_pairs(monkeypatch, pairs, tie):
    tags = torch.randint(0, 5, (17,)).double()
    tags[3] = math.nan

    def loss_and_gradient():
        scores = torch.linspace(-1, 2, 17, dtype=torch.float64).requires_grad_()
        loss = pairwise_fidelity(scores, tags, link_scale=1.0, tie=tie)
        loss.backward()
        return float(loss.detach()), scores.grad

    whole, gradient = loss_and_gradient()
    monkeypatch.setattr(losses, "_BLOCK", pairs)
    in_blocks, same_gradient = loss_and_gradient()
    assert in_blocks == pytest.approx(whole, abs=1e-12)
    torch.testing.assert_close(same_gradient, gradient)


PEAK = """
import resource, torch
from cameraborn.pretext.losses import pairwise_fidelity
def peak(batch):
    scores = torch.randn(batch, requires_grad=True)
    pairwise_fidelity(scores, torch.rand(batch), link_scale=1.0).backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak(16)
print((peak(4096) - before) / 1024)
"""


def test_a_batch_of_4096_needs_little_memory():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 250  # MB; one full matrix of pairs is 64


def literal_binary_fidelity(logits, labels):
    """AIGFD-EXIF, Eq. 4-5, picture by picture."""
    losses = []
    for logit, label in zip(logits, labels, strict=True):
        if not math.isnan(label):
            p = 1 / (1 + math.exp(-logit))
            losses.append(1 - math.sqrt(p * label) - math.sqrt((1 - p) * (1 - label)))
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.tuples(SCORES, st.sampled_from([0.0, 1.0, math.nan])), min_size=1, max_size=9))
def test_binary_fidelity_is_the_papers_formula(items):
    logits, labels = (torch.tensor(column, dtype=torch.float64) for column in zip(*items, strict=True))
    logits.requires_grad_()
    loss = binary_fidelity(logits, labels)
    assert float(loss.detach()) == pytest.approx(
        literal_binary_fidelity(*zip(*items, strict=True)), abs=2.1e-4
    )
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[torch.isnan(labels)].any()


@settings(max_examples=100, deadline=None)
@given(items=ITEMS)
def test_pair_accuracy_is_the_share_of_pairs_ordered_rightly(items):
    scores, tags = zip(*items, strict=True)
    got = pair_accuracy(torch.tensor(scores, dtype=torch.float64), torch.tensor(tags, dtype=torch.float64))
    assert got == pytest.approx(literal_accuracy(scores, tags), nan_ok=True)


@pytest.mark.parametrize("score", [1.0, math.nan])
def test_a_network_that_orders_nothing_has_no_accuracy(score):
    for tags in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]):
        assert pair_accuracy(torch.full((3,), score), torch.tensor(tags)) == 0
