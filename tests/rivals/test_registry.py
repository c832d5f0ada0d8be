"""Every rival, encoder, network and layout, by being registered: names and shapes, outputs, inputs, refusals."""

from pathlib import Path

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import ENCODERS, LAYOUTS, NETWORKS, RIVALS
from cameraborn.rivals.published import Rival, empty_network, missing_weights
from cameraborn.rivals.recipe import RivalRecipe
from tests.rivals.formula import a_picture, digest, formula_, formula_pictures

RECIPES = Path(__file__).resolve().parents[2] / "configs" / "rivals"
NAMES = {  # network: its parameters, and the hash of its state's names and shapes
    "adm-256": (552_814_086, "77e18ded5689d791"),
    "dire-classifier": (23_510_081, "1d090a708fb21ce3"),
    "clip-vit-l14": (303_966_208, "6d4942c8272fed64"),
    "clip-vit-b16": (86_192_640, "f57ddfd9d06e8b36"),
    "clip-rn50": (38_316_896, "ec414e79f1de2250"),
    "farl": (86_192_640, "f57ddfd9d06e8b36"),
    "exif-as-language": (25_081_664, "59a6c46e00faad98"),
    "efficientnet-lite0": (4_652_008, "d7f6403136a9eb86"),
    "frdm": (55_342_702, "5b285e9a3b853c20"),
    "gramnet": (11_734_723, "f1a123bf024237f5"),
    "npr": (1_437_761, "9f8117febdf5de47"),
    "ladeda": (13_641_793, "b99257e92428b26c"),
    "tiny-ladeda": (1_297, "e34a908d8cf0c748"),
    "stylegan-discriminator": (23_052_353, "c90a24b452dfbbd9"),
    "lgrad-classifier": (23_510_081, "1d090a708fb21ce3"),
    "probe-head-512": (513, "0d060d07addbf18f"),
    "probe-head-768": (769, "8a52a559eed9e606"),
    "probe-head-1024": (1_025, "76ec2749d0b0c962"),
    "probe-head-1280": (1_281, "73d9dcef7839e8ca"),
    "recce": (25_830_509, "05ef914baf561524"),
    "recce-deepfakebench": (25_832_558, "508e545915d8a085"),
    "taesd-encoder": (1_222_532, "b93e64e3ed5da6ce"),
    "taesd-decoder": (1_222_531, "fcdc16b0b51336a2"),
    "taesdxl-encoder": (1_222_532, "b93e64e3ed5da6ce"),
    "taesdxl-decoder": (1_222_531, "fcdc16b0b51336a2"),
    "taesd3-encoder": (1_229_456, "f76fde5c3d162e02"),
    "taesd3-decoder": (1_229_443, "1e0d29a1fcf52d69"),
    "taef1-encoder": (1_229_456, "f76fde5c3d162e02"),
    "taef1-decoder": (1_229_443, "1e0d29a1fcf52d69"),
    "efficientnet-b4-2": (17_552_202, "bd8348f09f7ac6b8"),
    "prediction-filters": (1_800, "4e34e4ac28682da5"),
    "univfd-head": (769, "8a52a559eed9e606"),
    "univfd-banks": (0, "24bcca05bcfde4de"),
}
OUTPUTS = {  # network: pictures, side, least, greatest level; the first outputs with weights made by a formula
    "dire-classifier": ((2, 64, -1, 1), [-0.0110972, -0.0100638]),
    "clip-rn50": ((1, 224, -1, 1), [0.0737294, 0.15593, 0.0916159]),
    "exif-as-language": ((2, 64, 0, 255), [0.0135909, 0.0272792, -0.131045]),
    "efficientnet-lite0": ((2, 64, -1, 1), [-0.057287, -0.141731, 0.0559949]),
    "frdm": ((1, 256, -1, 1), [-0.069195, -0.146677]),
    "gramnet": ((2, 64, 0, 255), [-28.6819, 0.0, -28.4742]),
    "npr": ((2, 64, -1, 1), [0.123472, 0.119552]),
    "ladeda": ((2, 64, -1, 1), [-0.11729, -0.117201]),
    "tiny-ladeda": ((2, 64, -1, 1), [-0.00224759, -0.000812397]),
    "stylegan-discriminator": ((1, 256, -1, 1), [0.0074575]),
    "recce": ((2, 75, -1, 1), [0.118435, 0.114502]),
    "efficientnet-b4-2": ((2, 64, 0, 1), [0.0414492, -0.0948287, 0.0414492]),
    "taesd-encoder": ((1, 32, 0, 1), [0.0432352, 0.00409388, -0.0224679]),
}
ALL = {**RIVALS, **ENCODERS}


def empty(name):
    """A rival or encoder without memory for its weights."""
    with torch.device("meta"):
        return ALL[name]().eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_pinned(name):
    network = empty_network(name)
    assert (sum(p.numel() for p in network.parameters()), digest(network)) == NAMES[name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_pinned(name):
    (count, side, low, high), expected = OUTPUTS[name]
    network = formula_(NETWORKS[name]())
    with torch.no_grad():
        found = network(formula_pictures(count, side, low=low, high=high)).flatten()[: len(expected)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ALL)
def test_its_parts_are_networks_with_a_way_to_their_weights(name):
    published = empty(name)
    assert published.name == name
    assert {*published.trained_parts()} <= {*published.parts}
    for part, network in published.parts.items():
        assert digest(published.get_submodule(part)) == NAMES[network][1]
        assert part in published.trained_parts() or any(
            layout.network == network for layout in LAYOUTS.values()
        )
    assert set(published.state_dict()) == {
        f"{part}.{key}" for part in published.parts for key in published.get_submodule(part).state_dict()
    }


@pytest.mark.parametrize("name", ALL)
def test_its_record_is_complete(name):
    record = empty(name).publication
    for field in ("title", "paper", "code", "code_licence", "weights_licence", "needs", "differs"):
        assert getattr(record, field).strip(), field
    assert 2015 < record.year < 2027


@pytest.mark.parametrize("name", ALL)
def test_without_weights_it_says_what_is_missing_in_one_line(name):
    published = empty(name)
    with pytest.raises(RecipeError) as caught:
        published(torch.zeros(1, 3, 16, 16, device="meta"))
    line = str(caught.value)
    assert line.startswith(f"{name}: no weights of the network ")
    assert "\n" not in line
    assert "cameraborn import-checkpoint " in line or "cameraborn train " in line


@pytest.mark.parametrize("name", ALL)
def test_its_input_is_three_channels_of_finite_numbers(name):
    published = empty(name)
    for height, width in ((200, 300), (300, 200), (40, 37)):
        seen = published.preprocess(a_picture(height, width))
        assert seen.dtype == torch.float32
        assert seen.ndim == 3
        assert seen.shape[0] == 3
        assert seen.isfinite().all()
        assert float(seen.std()) > 0.2


@pytest.mark.parametrize("name", ENCODERS)
def test_its_statistics_are_those_of_its_input(name):
    encoder = empty(name)
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in encoder.statistics)
    levels = encoder.preprocess(a_picture(224, 224)) * deviation + mean
    assert -1e-5 <= float(levels.min()) < 0.01
    assert 0.98 < float(levels.max()) <= 1 + 1e-5


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_leads_to_a_network(name):
    layout = LAYOUTS[name]
    assert layout.network in NETWORKS
    assert f"--layout {name} " in missing_weights(layout.network)
    assert layout.sha256 is None or len(layout.sha256) == 64


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_a_recipe_names_what_it_trains(file):
    text = file.read_text(encoding="utf-8")
    recipe = RivalRecipe.read(file)
    assert ALL[recipe.rival]
    assert f"cameraborn train configs/rivals/{file.name}" in text
    assert "Published: " in text
    published = empty(recipe.rival)
    frozen = [part for part in published.parts if part not in published.trained_parts()]
    assert [Path(path).stem for path in recipe.weights] == [published.parts[part] for part in frozen]


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_that_is_named_is_there(name):
    published = empty(name)
    for part in published.trained_parts():
        recipe = published.recipe_of(part)
        assert RivalRecipe.read(RECIPES.parents[1] / recipe).rival == name
        published.loaded = dict.fromkeys({*published.parts} - {part}, "0" * 64)
        assert published.missing().endswith(f"cameraborn train {recipe}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "recce",
            "were given: model_params_best.pt, which training with https://github.com/VISION-SJTU/RECCE writes (its "
            "authors publish none), imported by: cameraborn import-checkpoint model_params_best.pt --layout recce",
        ),
        (
            "probe-farl",
            "were given: FaRL-Base-Patch16-LAIONFace20M-ep64.pth, published at release pretrained_weights",
        ),
        ("gramnet", "(sha256 not known), a pickled module, which runs code when it is opened: "),
        (
            "gramnet",
            "import these with: cameraborn import-checkpoint stylegan-ffhq-state.pth --layout gramnet -o ",
        ),
        (
            "probe-clip-rn50",
            "a TorchScript archive, which runs code when it is opened: where you trust it, save ",
        ),
        (
            "probe-clip-rn50",
            "with: cameraborn import-checkpoint RN50-state.pt --layout clip-rn50 -o clip-rn50.saf",
        ),
    ],
)
def test_what_is_missing_is_said_truly(name, said):
    assert said in empty(name).missing()


def test_a_recipe_that_names_nothing_is_answered_with_the_nearest(tmp_path):
    file = tmp_path / "recipe.toml"
    text = (RECIPES / "npr.toml").read_text(encoding="utf-8")
    file.write_text(text.replace('"npr"', '"nqr"'), encoding="utf-8")
    with pytest.raises(RecipeError, match="did you mean 'npr'"):
        RivalRecipe.read(file)
    file.write_text(text.replace("epochs = 50", "epochs = 50\nsteps = 3"), encoding="utf-8")
    with pytest.raises(RecipeError, match="give either optimise"):
        RivalRecipe.read(file)
    file.write_text(text.replace("crop = 224", "shrink = [9, 3]"), encoding="utf-8")
    with pytest.raises(RecipeError, match="lowest, highest"):
        RivalRecipe.read(file)
    file.write_text(text.replace("batch_size", "patience = 3\nbatch_size"), encoding="utf-8")
    with pytest.raises(RecipeError, match="either decay_every or patience"):
        RivalRecipe.read(file)
    file.write_text(
        text.replace("batch_size", "patience = 3\nmin_lr = 9.0\nbatch_size").replace("decay_every", "#")
    )
    with pytest.raises(RecipeError, match=r"min_lr 9.0 is above learning_rate: nothing would be trained"):
        RivalRecipe.read(file)
    file.write_text(text.replace("[data]", 'objective = "photographs"\n[data]'), encoding="utf-8")
    with pytest.raises(RecipeError, match="objective 'photographs' is not for 'npr'"):
        RivalRecipe.read(file)


def test_names_are_taken_once_and_wrong_ones_answered():
    with pytest.raises(ValueError, match="twice"):
        RIVALS.add("npr", Rival)
    with pytest.raises(RecipeError, match="did you mean 'gramnet'"):
        RIVALS["gramnett"]


@pytest.mark.parametrize(
    ("registry", "name", "said"),
    [
        (RIVALS, "UnivFD", "no rival is called 'UnivFD': did you mean 'univfd'?"),
        (RIVALS, "RECCE", "no rival is called 'RECCE': did you mean 'recce'?"),
        (ENCODERS, "CLIP", "did you mean 'clip-vit-l14', 'clip-vit-b16' or 'clip-rn50'?"),
        (ENCODERS, "CLIP ViT-L/14", "did you mean 'clip-vit-l14'?"),
        (
            RIVALS,
            "clip-vit-l14",
            'clip-vit-l14 is an encoder: give it as encoder = "clip-vit-l14", or --encoder cl',
        ),
        (RIVALS, "FaRL", 'farl is an encoder: give it as encoder = "farl", or --encoder farl'),
        (ENCODERS, "NPR", 'npr is a rival: give it as rival = "npr", or --rival npr'),
    ],
)
def test_names_as_papers_spell_them_are_understood(registry, name, said):
    with pytest.raises(RecipeError) as caught:
        registry[name]
    assert said in str(caught.value)
