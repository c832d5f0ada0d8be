"""Recipes: those that ship parse, and a wrong one is refused with the name of the field."""

from pathlib import Path

import pytest

from cameraborn.errors import RecipeError
from cameraborn.pretext.architectures import build_network
from cameraborn.pretext.recipe import Recipe
from cameraborn.train.recipe import kind_of

FOLDER = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = [path for path in sorted(FOLDER.glob("*.toml")) if not path.name.startswith("bench_")]
GOOD = '[data]\nmanifest = "m.jsonl"\n[pretext]\ntasks = { iso = 1.0 }\n[optimise]\nsteps = 5\n'


def written(folder, text):
    path = folder / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_some_recipes_ship():
    assert CONFIGS


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if kind_of(path) == "pretext"], ids=lambda path: path.name
)
def test_recipes_that_ship(path):
    recipe = Recipe.read(path)
    assert not recipe.data.manifest.is_absolute()
    heads = build_network(recipe).heads
    assert set(heads if recipe.prompts is None else heads.slices) == set(recipe.pretext.tasks)


def test_a_short_recipe_has_defaults(tmp_path):
    recipe = Recipe.read(written(tmp_path, GOOD))
    assert recipe.optimise.steps == 5
    assert recipe.pretext.pair_loss.keywords["link_scale"] == pytest.approx(2**-0.5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD + "speed = 3\n", "optimise: no key is called 'speed'"),
        ("colour = 1\n" + GOOD, "no key is called 'colour'"),
        (GOOD.replace("iso", "isso"), "no task is called 'isso': did you mean 'iso'?"),
        (GOOD + '[network]\ntype = "resnet"\n', "no network is called 'resnet': did you mean 'resnet50'?"),
        (GOOD + "[network]\ntype = 7\n", "no network is called '7': choose from patch"),
        (GOOD.replace("{ iso = 1.0 }", "{}"), "pretext.tasks"),
        (GOOD.replace("steps = 5", "steps = 0"), "optimise.steps"),
        (GOOD.replace("steps = 5", ""), "optimise.steps"),
        (GOOD + "seed = -1\n", "optimise.seed"),
        (
            GOOD.replace("[data]\nmanifest", "[data]\nfile"),
            "data: no key is called 'file': choose from manifest",
        ),
        (GOOD + '[network]\nwidths = "wide"\n', "network.widths"),
        (GOOD + "[augment]\nscale_min = 0\n", "augment.scale_min"),
        (GOOD + "[augment]\njpeg_quality = [98, 60]\n", "augment.jpeg_quality"),
        (GOOD.replace("iso", "reconstructed") + "[network]\ncolour = true\n", "network.colour"),
        ("[data\n", "not valid TOML"),
        (b"\xff\xfe", "is UTF-16, and TOML is UTF-8: save it so"),
    ],
)
def test_a_wrong_recipe_names_the_field(tmp_path, text, named):
    path = written(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        Recipe.read(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe"):
        Recipe.read(tmp_path / "none.toml")


def test_what_the_heads_are_given_is_no_size_of_the_encoder(tmp_path):
    recipe = Recipe.read(
        written(tmp_path, GOOD + '[network]\nwidths = [4, 6]\npool = "all"\ncolour = true\n')
    )
    sizes = recipe.network.encoder_sizes()
    assert sizes["widths"] == (4, 6)
    assert sizes["pool"] == "all"
    assert not {"type", "colour"} & set(sizes)
    assert build_network(recipe).colours is not None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[faces]\nsize", "[faces]\nsiez", "faces: no key is called 'siez': did you mean 'size'?"),
        ("width = 8", "widht = 8", "network: no key is called 'widht': did you mean 'width'?"),
        ("[log]", "[lgo]", "no key is called 'lgo': did you mean 'log'?"),
        ("manifest =", "manifets =", "data: no key is called 'manifets': did you mean 'manifest'?"),
        ('manifest = "runs/tiny.jsonl"', "", "data.manifest: missing: give it"),
        ("steps = 6", "steps = 6\nepochs = 2", "optimise: give either"),
    ],
)
def test_what_is_wrong_is_said_in_the_recipes_own_words(tmp_path, old, new, said):
    text = (FOLDER / "tiny.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError) as caught:
        Recipe.read(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_recipe_may_name_its_kind(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('kind = "pretext"\n' + (FOLDER / "tiny.toml").read_text())
    assert Recipe.read(path) == Recipe.read(FOLDER / "tiny.toml")
