"""Every task's loss teaches what its figure measures, by its being in the registry."""

import math

import pytest
import torch

from cameraborn.pretext.kinds import Classify, Level, Rank, columns_of
from cameraborn.pretext.recipe import PretextSection
from cameraborn.pretext.tasks import TASKS, chosen

SETTINGS = [
    PretextSection(tasks={"iso": 1.0}, rank_loss=loss, link=link)
    for loss, link in (("fidelity", "paper"), ("cross-entropy", "sdaie-code"))
]
MANIPULATIONS = ("", "eye", "", "mouth", "affine", "", "nose", "mouth-vertical")


def targets_of(task):
    """Eight pictures that say different things, and one that says nothing: [9 W]."""
    if task.tag or task.name.startswith("fc"):
        rows = [(float(number % max(2, len(task.classes))),) for number in range(8)]
    elif task.of_faces:
        rows = [task.target({}, manipulation) for manipulation in MANIPULATIONS]
    else:
        rows = [task.target({}, "reconstructed" if number % 2 else "") for number in range(8)]
    return torch.tensor([*rows, [math.nan] * task.width], dtype=torch.float64)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda section: section.rank_loss)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_is_learnt_is_what_is_measured(task, settings):
    targets, everything = targets_of(task), torch.ones(9, dtype=torch.bool)
    torch.manual_seed(0)
    output = (0.1 * torch.randn(9, task.outputs)).requires_grad_()
    optimiser = torch.optim.Adam([output], 0.1)
    losses = []
    for _ in range(150):
        loss = task.loss(output, targets, settings.pair_loss)
        optimiser.zero_grad()
        loss.backward()
        assert torch.isfinite(output.grad).all()
        assert not output.grad[8].any()  # it says nothing
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    learnt = output.detach()
    assert task.figure(learnt, targets, everything) == 1
    if isinstance(task, Classify):
        wrong = learnt.roll(1, dims=1)
    else:
        wrong = learnt.flip(1) if isinstance(task, Level) else -learnt
    assert task.figure(wrong, targets, everything) < 0.2
    assert math.isnan(task.figure(learnt, targets, torch.arange(9) == 8))


def test_five_levels_are_ranked_by_the_expected_one():
    (task,) = chosen(["blades_iso"], 5)
    score = task.score(torch.eye(5) * 12)
    assert torch.allclose(score, torch.arange(1.0, 6.0), atol=1e-3)


def test_levels_are_ranked_by_the_expected_one():
    logits = torch.eye(3) * 9
    assert torch.allclose(TASKS["blades_iso"].score(logits), torch.tensor([1.0, 2.0, 3.0]), atol=1e-3)
    assert isinstance(TASKS["blades_iso"], Level)
    assert isinstance(TASKS["blades_iso"], Rank)


@pytest.mark.parametrize(
    ("manipulation", "expected"),
    [
        ("", (0, 0, 0)),
        ("mouth", (1, 0, 0)),
        ("mouth-vertical", (1, 0, 0)),
        ("eye", (0, 1, 0)),
        ("nose", (0, 0, 1)),
        ("affine", (1, 1, 1)),
    ],
)
def test_what_was_done_becomes_a_column_a_region(manipulation, expected):
    """The authors' labels (mouth, eye) with the third column that their prompts ask for."""
    assert TASKS["blades_fine"].target({}, manipulation) == expected
    assert TASKS["blades_coarse"].target({}, manipulation) == (float(any(expected)),)


@pytest.mark.parametrize("name", ["face", "blades_coarse"])
def test_the_figure_of_a_manipulation_is_its_auc_above_all_untouched_faces(name):
    labels = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [1.0]])
    says = torch.tensor([-3.0, -1.0, -2.0, 1.0, 2.0, 0.0])  # of eight pairs, seven are in order
    output = says[:, None] if name == "face" else torch.stack([-says, says], dim=1) + 7
    manipulated = torch.arange(6) >= 4
    assert TASKS[name].figure(output, labels, manipulated) == pytest.approx(7 / 8)
    assert TASKS[name].figure(output, labels, torch.arange(6) < 2) == 1


def test_columns_follow_each_other():
    tasks = [TASKS[name] for name in ("iso", "blades_fine", "make")]
    assert columns_of(tasks) == {"iso": slice(0, 1), "blades_fine": slice(1, 4), "make": slice(4, 5)}
