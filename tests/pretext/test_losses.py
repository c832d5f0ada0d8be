"""The losses against the papers' formulas, written literally, pair by pair or picture by picture."""

import math
import subprocess
import sys
from functools import partial

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
    class_cross_entropy,
    expected_level,
    focal_fidelity,
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


LOGIT = st.floats(-8, 8)


def rows_of(width, targets):
    return st.lists(
        st.tuples(st.lists(LOGIT, min_size=width, max_size=width), targets), min_size=1, max_size=6
    )


def softmax(logits):
    exponentials = [math.exp(x) for x in logits]
    return [e / sum(exponentials) for e in exponentials]


def literal_focal(logits, label, gamma):
    """(1 - p_y)^gamma (1 - sum over classes of sqrt(p onehot)), without the code's epsilon in the roots."""
    p = softmax(logits)
    onehot = [float(c == label) for c in range(len(p))]
    fidelity = sum(math.sqrt(p_c * g_c) for p_c, g_c in zip(p, onehot, strict=True))
    return (1 - p[label]) ** gamma * (1 - fidelity)


def as_tensors(rows):
    logits, targets = zip(*rows, strict=True)
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)


@settings(max_examples=100, deadline=None)
@given(rows=rows_of(3, st.none()))
def test_the_expected_level_is_the_mean_of_one_to_three(rows):
    logits = torch.tensor([row[0] for row in rows], dtype=torch.float64)
    expected = [sum(level * p for level, p in enumerate(softmax(row), 1)) for row in logits.tolist()]
    assert expected_level(logits).tolist() == pytest.approx(expected)
    assert all(1 <= score <= 3 for score in expected)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@settings(max_examples=100, deadline=None)
@given(rows=rows_of(4, st.sampled_from([0, 1, 2, 3, math.nan])))
def test_focal_fidelity_is_the_papers_formula(gamma, rows):
    logits, classes = as_tensors(rows)
    losses = [literal_focal(row, int(label), gamma) for row, label in rows if not math.isnan(label)]
    expected = sum(losses) / len(losses) if losses else 0.0
    assert float(focal_fidelity(logits, classes, gamma=gamma)) == pytest.approx(expected, abs=1.1e-4)


@settings(max_examples=100, deadline=None)
@given(rows=rows_of(2, st.sampled_from([0, 1, math.nan])))
def test_focal_fidelity_without_gamma_is_that_of_a_softmax_over_two(rows):
    logits, manipulated = as_tensors(rows)
    losses = []
    for row, label in rows:
        if not math.isnan(label):
            p = softmax(row)
            losses.append(1 - math.sqrt(p[0] * (1 - label)) - math.sqrt(p[1] * label))
    expected = sum(losses) / len(losses) if losses else 0.0
    assert float(focal_fidelity(logits, manipulated, gamma=0.0)) == pytest.approx(expected, abs=1.1e-4)


@settings(max_examples=100, deadline=None)
@given(rows=rows_of(3, st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3)))
def test_binary_fidelity_of_regions_is_their_mean(rows):
    logits, regions = as_tensors(rows)
    losses = []
    for row, truth in rows:
        of_regions = []
        for logit, g in zip(row, truth, strict=True):
            p = 1 / (1 + math.exp(-logit))
            of_regions.append(1 - math.sqrt(p * g) - math.sqrt((1 - p) * (1 - g)))
        losses.append(sum(of_regions) / 3)
    assert float(binary_fidelity(logits, regions)) == pytest.approx(sum(losses) / len(losses), abs=2.1e-4)


def test_unknown_regions_are_left_out():
    logits = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0]])
    regions = torch.tensor([[1.0, 0.0, 1.0], [math.nan] * 3])
    assert binary_fidelity(logits, regions) == binary_fidelity(logits[:1], regions[:1])


OF_PICTURES = {
    "focal": (focal_fidelity, [1.0, math.nan, 0.0]),
    "coarse": (partial(focal_fidelity, gamma=0.0), [1.0, math.nan, 0.0]),
    "cross-entropy": (class_cross_entropy, [1.0, math.nan, 0.0]),
    "regions": (binary_fidelity, [[1.0, 0.0], [math.nan, 1.0], [0.0, 0.0]]),
}
OF_PICTURES = {name: (loss, torch.tensor(targets)) for name, (loss, targets) in OF_PICTURES.items()}


@pytest.mark.parametrize(("loss", "targets"), OF_PICTURES.values(), ids=OF_PICTURES)
def test_gradient_of_pictures_is_that_of_finite_differences(loss, targets):
    torch.manual_seed(0)
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits)
    assert torch.autograd.gradcheck(expected_level, logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("loss", "targets"), OF_PICTURES.values(), ids=OF_PICTURES)
def test_gradient_is_finite_when_sure_and_wrong_or_right(loss, targets, dtype):
    logits = torch.tensor([[90.0, -90.0], [0.0, 0.0], [-90.0, 90.0]], dtype=dtype, requires_grad=True)
    loss(logits, targets).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("loss", "targets"), OF_PICTURES.values(), ids=OF_PICTURES)
def test_nothing_known_gives_zero_with_a_graph(loss, targets):
    logits = torch.ones(3, 2, requires_grad=True)
    value = loss(logits, torch.full_like(targets, math.nan))
    value.backward()
    assert float(value.detach()) == 0
    assert logits.grad.tolist() == [[0.0] * 2] * 3


def test_class_cross_entropy_is_the_literal_one():
    logits = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0], [0.2, 0.1, 0.0]], dtype=torch.float64)
    expected = [-math.log(softmax(row)[label]) for row, label in ((logits[0], 2), (logits[2], 0))]
    loss = class_cross_entropy(logits, torch.tensor([2.0, math.nan, 0.0]))
    assert float(loss) == pytest.approx(sum(expected) / 2)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_what_the_authors_focal_fidelity_adds(gamma):
    """Their sum over all classes, of which the wrong ones leave the root of epsilon each."""
    generator = torch.Generator().manual_seed(0)
    logits, classes = torch.randn(40, 5, generator=generator, dtype=torch.float64), torch.arange(40) % 5
    p, one_hot = logits.softmax(dim=1), torch.nn.functional.one_hot(classes, 5)
    true = p[torch.arange(40), classes]
    theirs = ((1 - true) ** gamma * (1 - (p * one_hot + 1e-8).sqrt().sum(dim=1))).mean()
    lower = ((1 - true) ** gamma * 4e-4).mean()
    torch.testing.assert_close(
        focal_fidelity(logits, classes.double(), gamma=gamma), theirs + lower, atol=1e-9, rtol=0
    )
