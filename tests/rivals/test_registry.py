"""Every rival, encoder, network and layout, by being registered: names and shapes, outputs, inputs, refusals."""

import ast
import inspect
import re
from copy import copy
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import ENCODERS, LAYOUTS, NETWORKS, RIVALS
from cameraborn.rivals.published import Publication, Rival, empty_network, missing_weights
from cameraborn.rivals.recipe import RivalRecipe
from tests.rivals.formula import (
    a_picture,
    digest,
    formula_,
    formula_maps,
    formula_pictures,
    passes_for_loaded,
)

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
    "resnet50": (25_557_032, "2d5b8870b35e1530"),
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
    "taef2-encoder": (1_338_528, "d37345d26f7a19b6"),
    "taef2-decoder": (1_338_499, "4480a58fa4fc3f96"),
    "efficientnet-b4-2": (17_552_202, "bd8348f09f7ac6b8"),
    "prediction-filters": (1_800, "4e34e4ac28682da5"),
    "univfd-head": (769, "8a52a559eed9e606"),
    "univfd-banks": (0, "24bcca05bcfde4de"),
}


def pictures(count, side, low=-1.0, high=1.0):
    """What gives pictures [count 3 side side]."""
    return lambda: (formula_pictures(count, side, low=low, high=high),)


def rows(*shape):
    """What gives features or latents of that shape, in -1..1."""
    return lambda: (formula_maps(*shape),)


def noisy():
    """What ADM is given: pictures, at a size at which all of its levels are left, and a time each."""
    return formula_pictures(1, 32), torch.tensor([500])


def grey():
    """A grey picture."""
    return (formula_pictures(1, 32, low=0, high=255)[:, :1],)


LATENTS = {"taesd": 4, "taesdxl": 4, "taesd3": 16, "taef1": 16, "taef2": 32}
OUTPUTS = {  # network: what it is given; the first outputs with weights made by a formula
    "adm-256": (noisy, [0.288088, 0.582838, 0.00384083]),
    "dire-classifier": (pictures(2, 64), [-0.0110972, -0.0100638]),
    "clip-vit-l14": (pictures(1, 224), [1.15281, -1.09641, -0.914806]),
    "clip-vit-b16": (pictures(1, 224), [-0.448651, 2.49016, -0.0433948]),
    "clip-rn50": (pictures(1, 224), [0.0737294, 0.15593, 0.0916159]),
    "farl": (pictures(1, 224), [-0.448651, 2.49016, -0.0433948]),
    "exif-as-language": (pictures(2, 64, 0, 255), [0.0135909, 0.0272792, -0.131045]),
    "efficientnet-lite0": (pictures(2, 64), [-0.057287, -0.141731, 0.0559949]),
    "frdm": (pictures(1, 256), [-0.069195, -0.146677]),
    "gramnet": (pictures(2, 64, 0, 255), [-28.6819, 0.0, -28.4742]),
    "npr": (pictures(2, 64), [0.123472, 0.119552]),
    "ladeda": (pictures(2, 64), [-0.11729, -0.117201]),
    "tiny-ladeda": (pictures(2, 64), [-0.00224759, -0.000812397]),
    "stylegan-discriminator": (pictures(1, 256), [0.0074575]),
    "lgrad-classifier": (pictures(2, 64), [-0.0110972, -0.0100638]),
    "resnet50": (pictures(2, 64), [-0.0110972, -0.0176888, -0.132838]),
    "probe-head-512": (rows(2, 512), [0.0789538, 0.118101]),
    "probe-head-768": (rows(2, 768), [-0.348628, -0.281272]),
    "probe-head-1024": (rows(2, 1024), [-0.302888, 0.237951]),
    "probe-head-1280": (rows(2, 1280), [-0.479792, -0.401069]),
    "recce": (pictures(2, 75), [0.118435, 0.114502]),
    "recce-deepfakebench": (pictures(2, 75), [-0.24548, -0.25357]),
    "efficientnet-b4-2": (pictures(2, 64, 0, 1), [0.0414492, -0.0948287, 0.0414492]),
    "prediction-filters": (grey, [16.1628, 161.141, 235.39]),
    "univfd-head": (rows(2, 768), [-0.348628, -0.281272]),
    "univfd-banks": (rows(2, 768), [-0.00170752, 0.00409302]),
    **{
        f"{kind}-encoder": (pictures(1, 32, 0, 1), [0.0432353, 0.00409387, -0.0224679])
        for kind in LATENTS
        if kind != "taef2"
    },
    "taef2-encoder": (pictures(1, 32, 0, 1), [0.0827366, -0.270786, -0.458569]),
    "taesd-decoder": (rows(1, 4, 4, 4), [0.0294902, 0.0276308, 0.0198171]),
    "taesdxl-decoder": (rows(1, 4, 4, 4), [0.0294902, 0.0276308, 0.0198171]),
    "taesd3-decoder": (rows(1, 16, 4, 4), [0.0389994, 0.038962, 0.0295473]),
    "taef1-decoder": (rows(1, 16, 4, 4), [0.0389994, 0.038962, 0.0295473]),
    "taef2-decoder": (rows(1, 32, 4, 4), [0.0315435, 0.0294049, 0.0543062]),
}
LARGE = ("adm-256", "clip-vit-l14", "farl")  # seconds to minutes; of farl clip-vit-b16 shows the same
ALL = {**RIVALS, **ENCODERS}


@cache
def empty(name):
    """A rival or encoder without memory for its weights; no test changes it."""
    with torch.device("meta"):
        return ALL[name]().eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_pinned(name):
    network = empty_network(name)
    assert (sum(p.numel() for p in network.parameters()), digest(network)) == NAMES[name]


def network_of(name):
    """A network with formula-made weights; of the banks, which have no forward pass, what is scored by them."""
    network = NETWORKS[name]()
    if name != "univfd-banks":
        return formula_(network)
    with torch.device("meta"):
        rival = passes_for_loaded(RIVALS["univfd-nearest"]())
    network.grow({"genuine": torch.zeros(3, 768), "generated": torch.zeros(5, 768)})
    rival.banks = formula_(network)
    return rival.score


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LARGE else ()) for name in OUTPUTS]
)
def test_outputs_are_pinned(name):
    inputs, expected = OUTPUTS[name]
    with torch.no_grad():
        found = network_of(name)(*inputs()).flatten()[: len(expected)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=2e-6)


def test_every_network_is_pinned():
    assert set(OUTPUTS) == set(NAMES) == set(NETWORKS)


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
    assert "https://" in record.code or "not at hand" in record.code  # an address, or words
    assert 2015 < record.year < 2027


def opening_records(module):
    """The records that a file has right behind its docstring and imports; it has none further down."""
    _, *statements = ast.parse(inspect.getsource(module)).body
    behind = list(dropwhile(lambda node: isinstance(node, ast.Import | ast.ImportFrom), statements))
    assigned = takewhile(lambda node: isinstance(node, ast.Assign), behind)
    values = (getattr(module, ast.unparse(node.targets[0]), None) for node in assigned)
    records = list(takewhile(lambda value: isinstance(value, Publication), values))
    later = [node for statement in behind[len(records) :] for node in ast.walk(statement)]
    assert not [
        node for node in later if isinstance(node, ast.Call) and "Publication" in ast.unparse(node.func)
    ]
    return records


@pytest.mark.parametrize("name", ALL)
def test_its_file_opens_with_its_paper(name):
    """Year and arXiv's number, or venue and year; behind the imports the record; of a probe those of its encoder."""
    published = empty(name)
    holder = published.encoder if name.startswith("probe-") else published
    module, record = inspect.getmodule(type(holder)), holder.publication
    arxiv = re.search(r"arXiv \d{4}\.\d{5}", record.paper)
    named = f"{record.year}, {arxiv[0]}" if arxiv else record.paper
    assert str(record.year) in named
    assert named in " ".join(inspect.getdoc(module).split())
    assert getattr(type(holder), "publication", record) in opening_records(module)


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
    published = copy(empty(name))
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


@pytest.mark.parametrize("name", ["dire", "frdm", "gramnet", "lgrad", "recce", "self_blended"])
def test_a_recipe_that_may_start_from_imagenet_says_so(name, tmp_path):
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    (tmp_path / "started.toml").write_text(text.replace("# start = ", "start = "), encoding="utf-8")
    started = RivalRecipe.read(tmp_path / "started.toml")
    assert started.start is not None
    assert RivalRecipe.read(RECIPES / f"{name}.toml").start is None
    assert empty(started.rival).trained_parts() == ["network"]
    assert "only where its `start`" in empty(started.rival).publication.differs or name == "gramnet"


def test_recipes_have_the_authors_numbers():
    """What a README or the public code says, where it was once copied wrongly."""
    ladeda, tiny, univfd = (
        RivalRecipe.read(RECIPES / f"{name}.toml") for name in ("ladeda", "tiny_ladeda", "univfd")
    )
    assert (ladeda.optimise.batch_size, ladeda.optimise.learning_rate) == (32, 2e-4)
    assert (ladeda.optimise.decay_factor, ladeda.optimise.patience) == (0.9, 15)
    assert (tiny.optimise.learning_rate, tiny.optimise.decay_factor) == (2e-4, 0.9)
    assert (univfd.augment.crop_picture, univfd.augment.flip_picture) == (224, 0.5)
    assert univfd.augment.crop is None  # its network sees features


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
