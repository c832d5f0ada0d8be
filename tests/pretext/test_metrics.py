"""Shares of pairs and of pictures against loops over them."""

import math

import pytest
import torch
from hypothesis import given, settings

from cameraborn.pretext.metrics import binary_accuracy, binary_auc, class_accuracy, pair_accuracy

from .test_losses import ITEMS


def literal_accuracy(scores, tags):
    right = []
    for i in range(len(tags)):
        for j in range(i + 1, len(tags)):
            if math.isnan(tags[i]) or math.isnan(tags[j]) or tags[i] == tags[j]:
                continue
            larger, smaller = (i, j) if tags[i] > tags[j] else (j, i)
            right.append(scores[larger] > scores[smaller])
    return sum(right) / len(right) if right else math.nan


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


def test_shares_are_of_what_is_known():
    logits = torch.tensor([[2.0, -1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 5.0], [0.0, 9.0, 0.0]])
    assert class_accuracy(logits, torch.tensor([0.0, 2.0, 2.0, math.nan])) == pytest.approx(2 / 3)
    labels = torch.tensor([[1.0, 0.0, 1.0], [math.nan] * 3, [1.0, math.nan, 0.0], [math.nan] * 3])
    assert binary_accuracy(logits, labels) == pytest.approx(3 / 5)
    assert math.isnan(class_accuracy(logits, torch.full((4,), math.nan)))
    assert math.isnan(binary_accuracy(logits, torch.full((4, 3), math.nan)))


def test_an_auc_is_the_share_of_pairs_in_order():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(40, generator=rng).mul(2).round()  # with ties
    labels = (torch.rand(40, generator=rng) > 0.6).float()
    labels[::7] = math.nan
    above = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one, label in zip(logits, labels, strict=True)
        for other, of_other in zip(logits, labels, strict=True)
        if label == 1 and of_other == 0
    ]
    assert binary_auc(logits, labels) == pytest.approx(sum(above) / len(above))
    assert math.isnan(binary_auc(logits, torch.zeros(40)))
    assert math.isnan(binary_auc(logits, torch.full((40,), math.nan)))
    assert math.isnan(binary_auc(torch.full((40,), math.nan), labels))
