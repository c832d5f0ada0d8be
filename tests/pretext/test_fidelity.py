"""BLADES' losses against their formulas, written literally, picture by picture."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.pretext.fidelity import (
    coarse_fidelity,
    expected_level,
    fine_fidelity,
    focal_fidelity,
    region_labels,
)
from cameraborn.pretext.tasks import TASKS

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
def test_coarse_fidelity_is_that_of_a_softmax_over_two(rows):
    logits, manipulated = as_tensors(rows)
    losses = []
    for row, label in rows:
        if not math.isnan(label):
            p = softmax(row)
            losses.append(1 - math.sqrt(p[0] * (1 - label)) - math.sqrt(p[1] * label))
    expected = sum(losses) / len(losses) if losses else 0.0
    assert float(coarse_fidelity(logits, manipulated)) == pytest.approx(expected, abs=1.1e-4)


@settings(max_examples=100, deadline=None)
@given(rows=rows_of(3, st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3)))
def test_fine_fidelity_is_the_mean_over_regions(rows):
    logits, regions = as_tensors(rows)
    losses = []
    for row, truth in rows:
        of_regions = []
        for logit, g in zip(row, truth, strict=True):
            p = 1 / (1 + math.exp(-logit))
            of_regions.append(1 - math.sqrt(p * g) - math.sqrt((1 - p) * (1 - g)))
        losses.append(sum(of_regions) / 3)
    assert float(fine_fidelity(logits, regions)) == pytest.approx(sum(losses) / len(losses), abs=2.1e-4)


def test_unknown_regions_are_left_out():
    logits = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0]])
    regions = torch.tensor([[1.0, 0.0, 1.0], [math.nan] * 3])
    assert fine_fidelity(logits, regions) == fine_fidelity(logits[:1], regions[:1])


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (focal_fidelity, [1.0, math.nan, 0.0]),
        (coarse_fidelity, [1.0, math.nan, 0.0]),
        (fine_fidelity, [[1.0, 0.0], [math.nan, 1.0], [0.0, 0.0]]),
    ],
)
def test_gradient_is_that_of_finite_differences(loss, targets):
    torch.manual_seed(0)
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, torch.tensor(targets)), logits)
    assert torch.autograd.gradcheck(expected_level, logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("loss", [focal_fidelity, coarse_fidelity, fine_fidelity])
def test_gradient_is_finite_when_sure_and_wrong_or_right(loss, dtype):
    logits = torch.tensor([[90.0, -90.0], [-90.0, 90.0]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]] if loss is fine_fidelity else [0.0, 0.0])
    loss(logits, targets).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [focal_fidelity, coarse_fidelity, fine_fidelity])
def test_nothing_known_gives_zero_with_a_graph(loss):
    logits = torch.ones(2, 2, requires_grad=True)
    value = loss(logits, torch.full((2, 2) if loss is fine_fidelity else (2,), math.nan))
    value.backward()
    assert float(value.detach()) == 0
    assert logits.grad.tolist() == [[0.0] * 2] * 2


@pytest.mark.parametrize(
    ("manipulation", "expected"),
    [
        ("", [0, 0, 0]),
        ("mouth", [1, 0, 0]),
        ("mouth-vertical", [1, 0, 0]),
        ("eye", [0, 1, 0]),
        ("nose", [0, 0, 1]),
        ("affine", [1, 1, 1]),
    ],
)
def test_what_was_done_becomes_a_column_a_region(manipulation, expected):
    """The authors' labels (mouth, eye) with the third column that their prompts ask for."""
    bits = torch.tensor([TASKS["blades_fine"].label(manipulation), math.nan])
    labels = region_labels(bits, 3)
    assert labels[0].tolist() == expected
    assert labels[1].isnan().all()
    assert TASKS["blades_coarse"].label(manipulation) == float(any(expected))
