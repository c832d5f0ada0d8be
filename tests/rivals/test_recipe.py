"""A rival's recipe: what contradicts itself is refused with what to change, and pictures change where it says so."""

import re
from pathlib import Path

import pytest

from cameraborn.rivals.recipe import AugmentSection, RivalOptimiseSection
from tests.rivals.made_toys import recipe_of


@pytest.mark.parametrize(
    ("rival", "changes", "said"),
    [
        ("npr", {"objective": "distilled", "teacher": "t.safetensors"}, "none teaches 'npr'"),
        ("tiny-ladeda", {"objective": "distilled"}, "give weights of 'ladeda' as teacher"),
        ("tiny-ladeda", {"teacher": "t.safetensors"}, "means nothing without objective = 'distilled'"),
    ],
)
def test_a_teacher_is_given_where_there_is_one_to_learn_from(toys, rival, changes, said):
    with pytest.raises(ValueError, match=said):
        recipe_of(toys, rival, **changes)


def test_one_file_of_weights_needs_no_list(toys):
    one, several = (recipe_of(toys, weights=given) for given in ("a.safetensors", ["a.safetensors"]))
    assert one == several
    assert one.weights == (Path("a.safetensors"),)
    assert recipe_of(toys, weights=(Path("a"), Path("b"))).weights == (Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rival": "tiny-ladedo"}, "no rival is called 'tiny-ladedo': did you mean 'tiny-ladeda'?"),
        ({"rival": "farrl"}, "no rival is called 'farrl': did you mean 'farl'?"),
    ],
)
def test_a_name_of_neither_kind_is_answered_with_the_nearest(toys, changes, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        recipe_of(toys, **changes)


@pytest.mark.parametrize(
    ("rival", "objective"),
    [("tiny-ladeda", "photographs"), ("self-description", "binary"), ("farl", "self-blended")],
)
def test_encoders_learn_from_photographs_and_rivals_from_both_kinds(toys, rival, objective):
    begun = f"objective '{objective}' is not for '{rival}': encoders learn from 'photographs', "
    with pytest.raises(ValueError, match=begun + "rivals from 'binary', 'self-blended' or 'distilled'"):
        recipe_of(toys, rival, objective=objective)


@pytest.mark.parametrize(
    ("name", "limits", "said"),
    [
        ("shrink", (64, 32), "shrink [64, 32]: give [lowest, highest], at least 1"),
        ("shrink", (0, 32), "shrink [0, 32]: give [lowest, highest], at least 1"),
        ("blur_sigma", (-1.0, 2.0), "blur_sigma [-1.0, 2.0]: give [lowest, highest], at least 0"),
        ("blur_sigma", (3.0, 2.0), "blur_sigma [3.0, 2.0]: give [lowest, highest], at least 0"),
        ("jpeg_quality", (90, 30), "(90, 30) is not a range of qualities: give [lowest, highest] of 1..100"),
        ("jpeg_quality", (0, 30), "(0, 30) is not a range of qualities: give [lowest, highest] of 1..100"),
        (
            "jpeg_quality",
            (30, 101),
            "(30, 101) is not a range of qualities: give [lowest, highest] of 1..100",
        ),
    ],
)
def test_a_range_goes_from_its_lowest_to_its_highest(name, limits, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        AugmentSection(**{name: limits})
    assert getattr(AugmentSection(**{name: (7, 7)}), name) == (7, 7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decay_every": 2, "patience": 3}, "give either decay_every or patience"),
        (
            {"patience": 3, "min_lr": 0.5},
            "min_lr 0.5 is above learning_rate: nothing would be trained: lower it",
        ),
    ],
)
def test_a_rate_falls_in_one_way_and_from_above(changes, said):
    with pytest.raises(ValueError, match=said):
        RivalOptimiseSection(learning_rate=0.1, batch_size=2, steps=1, **changes)


def test_pictures_change_where_something_of_them_is_left_to_chance():
    changing = {
        "shrink": [8, 9],
        "blur_probability": 0.1,
        "jpeg_probability": 0.1,
        "crop_picture": 8,
        "flip_picture": 0.5,
    }
    assert all(AugmentSection(**{name: value}).changes_pictures for name, value in changing.items())
    assert not AugmentSection(crop=8, flip=0.5, blur_sigma=(1, 2), jpeg_quality=(50, 60)).changes_pictures
