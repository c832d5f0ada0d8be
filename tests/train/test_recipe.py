"""What all recipes share: old keys are refused with their new name; how long a run is."""

import re

import pytest

from cameraborn.errors import RecipeError
from cameraborn.train.recipe import RENAMED, OptimiseSection, WholeRecipe, kind_of

OLD = [(section, *names) for section, renamed in RENAMED.items() for names in renamed.items()]


@pytest.mark.parametrize(("section", "old", "new"), OLD)
def test_an_old_key_is_refused_with_the_new_name(tmp_path, section, old, new):
    path = tmp_path / "old.toml"
    path.write_text(f"[{section}]\n{old} = 1\n" if section else f"[{old}]\nkey = 1\n")
    prefix = f"{section}." if section else ""
    with pytest.raises(RecipeError, match=rf": {prefix}{old} is now called {prefix}{new}: rename it$"):
        WholeRecipe.read(path)


def test_an_old_key_is_found_in_every_table_of_a_list(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text('[[autoencoders]]\nname = "a"\n[[autoencoders]]\ncritic = false\n')
    with pytest.raises(RecipeError, match=r"autoencoders\.critic is now called autoencoders\.discriminator"):
        WholeRecipe.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "binray"', "no kind of recipe is called 'binray': did you mean 'binary'?"),
        ('kind = "mystery"', "choose from binary, generators, autoencoders, rival"),
        ('kind = "painters"\n[[painters]]\nname = "a"', "painters is now called autoencoders: rename it"),
    ],
)
def test_an_unknown_kind_is_answered_with_the_nearest(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(said)):
        kind_of(path)


@pytest.mark.parametrize(("text", "kind"), [("", "pretext"), ('kind = "rival"', "rival")])
def test_a_recipe_that_names_no_kind_is_of_pretext_tasks(tmp_path, text, kind):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    assert kind_of(path) == kind


def test_an_epoch_is_whole_steps_and_never_none():
    settings = OptimiseSection(epochs=3, batch_size=8, grad_accum_steps=2)
    assert [settings.steps_an_epoch(rows) for rows in (5, 16, 47, 48)] == [1, 1, 2, 3]
    assert settings.steps_for(48) == 9
    assert OptimiseSection(steps=7, batch_size=8).steps_for(10**6) == 7


@pytest.mark.parametrize("length", [{}, {"steps": 1, "epochs": 1}])
def test_a_run_has_one_length(length):
    with pytest.raises(ValueError, match="give either optimise"):
        OptimiseSection(**length)
