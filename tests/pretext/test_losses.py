"""The ranking loss and its figure against the papers' formulas, written literally, pair by pair."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.pretext.losses import LINK_SCALES, pair_accuracy, pairwise_fidelity

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


def test_link_scales_are_the_published_ones():
    published = {"paper": pytest.approx(0.70710678), "aigfd-code": 2.0, "sdaie-code": 1.0}
    assert published == LINK_SCALES


@pytest.mark.parametrize("tie", [0.5, 1.0])
@pytest.mark.parametrize("link", LINK_SCALES)
def test_gradient_is_that_of_finite_differences(link, tie):
    scores = torch.tensor([0.3, -0.7, 1.1, 0.2, 0.9], dtype=torch.float64, requires_grad=True)
    tags = torch.tensor([1.0, 2.0, 2.0, math.nan, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s: pairwise_fidelity(s, tags, link_scale=LINK_SCALES[link], tie=tie), scores
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradient_is_finite_far_from_the_truth(dtype):
    scores = torch.tensor([-90.0, 90.0, 90.0], dtype=dtype, requires_grad=True)
    pairwise_fidelity(scores, torch.tensor([3.0, 1.0, 1.0]), link_scale=2.0).backward()
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("tags", [[], [math.nan, math.nan], [math.nan, 100.0]])
def test_fewer_than_two_tags_give_zero_with_a_graph(tags):
    scores = torch.ones(len(tags), requires_grad=True)
    loss = pairwise_fidelity(scores, torch.tensor(tags), link_scale=1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad.tolist() == [0.0] * len(tags)


def test_a_large_batch_needs_little_memory():
    kept = []
    scores = torch.randn(1024, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        pairwise_fidelity(scores, torch.rand(1024), link_scale=1.0).backward()
    pairs = 1024 * 1023 // 2
    assert pairs * 4 < sum(kept) < pairs * 200  # bytes; under 100 MB


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
