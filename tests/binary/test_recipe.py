"""The recipe of a binary detector."""

import pytest

from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.errors import RecipeError
from cameraborn.train.recipe import kind_of

GOOD = """
kind = "binary"
weights = "w.safetensors"
[data]
manifest = "m.jsonl"
[network]
type = "sdaie"
[optimise]
steps = 5
"""


def test_a_recipe_in_a_file(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(GOOD)
    assert kind_of(path) == "binary"
    recipe = BinaryRecipe.read(path)
    assert (recipe.alpha, recipe.start, recipe.augment.resize_side) == (0.05, "random", (64, 128))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD.replace('weights = "w.safetensors"', ""), "weights"),
        (GOOD.replace("steps = 5", "steps = 5\naccumulate = 2"), "now called optimise.grad_accum_steps"),
        (GOOD.replace('"sdaie"', '"resnet50"'), "does not see patches"),
        (GOOD + "[augment]\nresize_side = [32, 64]\n", "resize_side"),
        (GOOD + "[augment]\njpeg_quality = [99, 90]\n", "jpeg_quality"),
    ],
)
def test_a_wrong_recipe_names_the_field(tmp_path, text, named):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=named) as caught:
        BinaryRecipe.read(path)
    assert str(path) in str(caught.value)
