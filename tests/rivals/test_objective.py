"""What training lowers: the rate as the recipe says, patience, and what is prepared once."""

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.objective import Plateau, Prepared, RivalObjective, Trained
from cameraborn.rivals.published import NETWORKS
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.processes import Processes
from tests.rivals.formula import formula_, formula_pictures
from tests.rivals.made_toys import make_trained, recipe_of


def test_the_rate_falls_by_epochs_steps_or_patience(toys):
    def rates(steps_an_epoch, falls=(0,) * 8, **optimise):
        objective = RivalObjective(recipe_of(toys, optimise=optimise), Processes(torch.device("cpu")))
        found = []
        for step, fallen in enumerate(falls):
            objective.plateau.falls = fallen
            found.append(
                objective.learning_rate(
                    step, objective.recipe.optimise, steps=8, steps_an_epoch=steps_an_epoch
                )
            )
        return found

    assert rates(2, steps=None, epochs=4, decay_every=2, decay_factor=0.5) == [0.01] * 4 + [0.005] * 4
    assert rates(2, decay_every=3, decay_factor=0.5) == [0.01] * 3 + [0.005] * 3 + [0.0025] * 2
    held = rates(2, (0, 1, 2), patience=1, decay_factor=0.1, min_lr=1e-3)
    assert held[:2] == pytest.approx([0.01, 0.001])
    assert held[2] is None


def test_patience_counts_validations_and_travels():
    plateau = Plateau(2)
    for figure in (0.5, 0.6, 0.6, 0.55, 0.7, 0.1, 0.1):
        plateau.add(figure)
    assert plateau.falls == 2
    other = Plateau(2)
    other.load_state_dict(plateau.state_dict())
    assert vars(other) == vars(plateau)


def test_a_recipe_starts_from_a_file(toys, tmp_path):
    theirs = formula_(NETWORKS["tiny-ladeda"]()).state_dict()
    torch.save(
        theirs | {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}, tmp_path / "net.pth"
    )
    objective = RivalObjective(recipe_of(toys, start=tmp_path / "net.pth"), Processes(torch.device("cpu")))
    started = objective.published.network.state_dict()
    assert all(torch.equal(started[name], value) for name, value in theirs.items() if "fc." not in name)


def test_what_was_prepared_is_not_computed_again():
    asked = []

    def function(pictures):
        asked.append(len(pictures))
        return pictures.square().sum(dim=(1, 2, 3))

    with torch.device("meta"):  # its classifier takes no part
        rival = LGrad(function)
    prepared, pictures = Prepared(MemoryBudget(1)), torch.rand(4, 3, 8, 8)
    literal = rival.prepare(pictures)
    asked.clear()
    assert torch.equal(prepared(rival, pictures[:2], [0, 1]), literal[:2])
    assert torch.equal(prepared(rival, pictures, [0, 1, 2, 3]), literal)
    assert torch.equal(prepared(rival, pictures, [0, 1, 2, 3]), literal)
    assert asked == [2, 2]
    forgetful = Prepared(MemoryBudget(0))
    for _ in range(2):
        assert torch.equal(forgetful(rival, pictures, [0, 1, 2, 3]), literal)
    assert asked == [2, 2, 4, 4]


def test_what_is_trained_is_all_that_the_loop_sees():
    lgrad = LGrad(lambda x: x.square().sum(dim=(1, 2, 3)))
    assert {name.split(".")[1] for name, _ in Trained(lgrad).named_parameters()} == {"network"}
    rival = make_trained("tiny-ladeda")
    trained, pictures, labels = Trained(rival), formula_pictures(2, 24), torch.tensor([0, 1])
    assert trained.published is rival
    assert torch.equal(trained(pictures, labels), rival.loss(pictures, labels))
    assert rival.train(False) is rival
    trained.train()
    assert rival.training
    trained.eval()
    assert not any(module.training for module in rival.modules())


def test_with_a_teacher_the_loss_is_that_of_its_scores():
    rival, teacher = make_trained("tiny-ladeda").eval(), make_trained("ladeda").eval()
    pictures, labels = formula_pictures(2, 40), torch.tensor([0, 1])
    trained = Trained(rival, teacher)
    assert torch.equal(trained(pictures, labels), rival.distillation_loss(teacher, pictures))
    assert not torch.equal(trained(pictures, labels), rival.loss(pictures, labels))
    assert all(name.startswith("parts.network.") for name, _ in trained.named_parameters())


def test_accuracy_is_waited_for_or_the_loss_where_there_are_photographs_alone(toys):
    objective = RivalObjective(recipe_of(toys, optimise={"patience": 1}), Processes(torch.device("cpu")))
    objective.validated({"auc": 0.9, "accuracy": 0.7})
    assert objective.plateau.best == 0.7
    other = RivalObjective(recipe_of(toys), Processes(torch.device("cpu")))
    for loss in (0.5, 0.4):
        other.validated({"loss": loss})
    assert (other.plateau.best, other.plateau.waited) == (-0.4, 0)


@pytest.mark.parametrize(
    ("rival", "changes", "said"),
    [
        (
            "dire",
            {"objective": "self-blended"},
            'dire: cannot learn from self-blended pictures: choose objective = "binary"',
        ),
        ("rigid", {}, "rigid: nothing of it is trained: give it weights, and name it in a benchmark"),
    ],
)
def test_a_rival_that_cannot_learn_so_says_so(toys, rival, changes, said):
    with torch.device("meta"), pytest.raises(RecipeError) as caught:
        RivalObjective(recipe_of(toys, rival, **changes), Processes(torch.device("cpu")))
    assert caught.value.args[0] == said
