"""The recipe of a detector of known generators."""

import pytest

from .made_faces import CONFIGS, SMALL, recipe_of


def test_there_are_recipes_for_a_processor_and_an_accelerator():
    assert [path.stem for path in CONFIGS] == ["generators_cpu", "generators_h200"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimise": {"batch_size": 10}}, "not a multiple of the 4 pictures"),
        ({"optimise": {"patches": 2}}, r"count of each side in \[\[patches\]\]"),
        ({"overlap": {}}, "give init"),
        ({"patches": [{"side": 100}]}, "not divisible by 32"),
        ({"patches": []}, "patches"),
        ({"network": SMALL | {"spectrum": True}}, "network.spectrum"),
        ({"network": {"type": "sdaie"}}, "does not see single patches"),
        ({"network": {"type": "efficientnet"}}, "did you mean 'efficientnet-lite0'"),
    ],
)
def test_a_wrong_recipe_names_the_field(toys, changes, named):
    with pytest.raises(ValueError, match=named):
        recipe_of(toys, **changes)
