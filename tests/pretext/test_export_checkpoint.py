"""Checkpoints in their authors' layouts become detectors whose features are those of the literal networks."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cameraborn.binary.export import export_binary_checkpoint
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.cli import app
from cameraborn.detect.observe import Observer
from cameraborn.detect.store import read_bundle
from cameraborn.errors import RecipeError
from cameraborn.library import load
from cameraborn.photo.decode import open_picture
from cameraborn.pretext.export_checkpoint import export_checkpoint
from cameraborn.pretext.recipe import Recipe
from cameraborn.train.export import BundleOptions, preprocessing_of, write_exported
from cameraborn.train.weights import import_checkpoint
from tests.networks.test_resnet import literal_forward
from tests.train.test_weights import FEATURES, FILES, SIZE, resnet_state, written
from tests.train.test_weights_sdaie import literal_feature, network_state

SIDE = 64
FACES = "[faces]\nsize = 64\ncrop = 'authors'\nantialias = false\n"
SHARED = "[data]\nmanifest = 'none.jsonl'\n[optimise]\nsteps = 1\n"
RESNET = (
    SHARED + FACES + "[pretext]\ntasks = { iso = 1.0 }\n[network]\ntype = 'resnet50'\nlayers = [1, 2, 1, 1]\n"
)
SDAIE = SHARED + "[pretext]\ntasks = { iso = 1.0 }\n[network]\ntype = 'sdaie'\npool = 'first'\n"
BINARY = "kind = 'binary'\nweights = 'none.pth'\n" + SHARED + "[network]\ntype = 'sdaie'\npool = 'first'\n"


def resnet_recipe(folder, normalise="clip"):
    path = folder / "recipe.toml"
    path.write_text(RESNET + f"width = 4\nfeatures = {FEATURES}\nnormalise = '{normalise}'\n")
    return path


def made(text, folder):
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def picture(side):
    return np.random.default_rng(7).integers(0, 256, (side, side, 3), np.uint8)


def observed(network, folder, pixels, **options):
    """The feature that scoring computes of a whole picture, and the bundle."""
    write_exported(network, BundleOptions("imported", **options), folder / "bundle")
    bundle = read_bundle(folder / "bundle")
    (seen,) = Observer(bundle).observe(open_picture(pixels), whole_image=True)
    return seen.measured.feature, bundle


def shown(pixels):
    """Pixels [H W 3] as a network takes them [1 3 H W]."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()[None]


def literal(state, pixels, normalise="clip"):
    return literal_forward(state, shown(pixels), SIZE["layers"], normalise)[0].numpy()


def encoded_by(network, batch):
    """What the exported encoder makes of a batch; `tests/train/test_onnx.py` holds that graphs compute the same."""
    with torch.no_grad():
        return network.encoder.eval()(batch)[0].numpy()


def test_scoring_computes_the_feature_of_the_literal_network(tmp_path):
    """From the file to the feature in a bundle, where BLADES' is of unit length."""
    path, pixels = tmp_path / "ours.safetensors", picture(SIDE)
    checkpoint = written(tmp_path, FILES["blades"]())
    ran = CliRunner().invoke(app, ["import-checkpoint", str(checkpoint), "-o", str(path)])
    assert ran.exit_code == 0
    network = export_checkpoint(path, Recipe.read(resnet_recipe(tmp_path)))
    feature, bundle = observed(network, tmp_path, pixels)
    expected = literal(resnet_state(), pixels)
    expected /= np.linalg.norm(expected)
    assert bundle.info.preprocessing.unit_length
    np.testing.assert_allclose(feature, expected, atol=1e-4 * np.abs(expected).max())
    assert [channel.name for channel in bundle.info.channels] == ["photographs"]


OF_FACES = [name for name in FILES if name.partition(",")[0] not in ("torchvision", "timm")]


@pytest.mark.parametrize("name", OF_FACES)
def test_faces_get_the_feature_of_the_literal_network(tmp_path, name):
    path, pixels = written(tmp_path, FILES[name]()), picture(SIDE)
    network = export_checkpoint(path, Recipe.read(resnet_recipe(tmp_path)))
    feature, expected = encoded_by(network, shown(pixels)), literal(resnet_state(), pixels)
    np.testing.assert_allclose(feature, expected, atol=1e-4 * np.abs(expected).max())
    cut = preprocessing_of(network, BundleOptions("imported"))
    assert (cut.crop_rule, cut.crop_scale, cut.antialias, cut.sides) == ("authors", 1.3, False, (SIDE,))
    assert cut.unit_length == name.startswith("blades")
    has_classifier = name == "blades, with a classifier"
    assert [channel.name for channel in network.evidence] == ["generators"] * has_classifier
    assert network.density_columns == (() if has_classifier else ((0, FEATURES),))


@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_of_imagenet_s_network_the_feature_is_what_classes_are_told_from(tmp_path, layout):
    path, pixels = written(tmp_path, FILES[layout]()), picture(SIDE)
    network = export_checkpoint(path, Recipe.read(resnet_recipe(tmp_path, "imagenet")), layout)
    feature = encoded_by(network, shown(pixels))
    inner = resnet_state(10)["fc.weight"].shape[1]
    state = resnet_state(10) | {"fc.weight": torch.eye(inner), "fc.bias": torch.zeros(inner)}
    expected = literal(state, pixels, "imagenet")
    assert network.features == inner
    np.testing.assert_allclose(feature, expected, atol=1e-4 * np.abs(expected).max())


def test_blades_classifier_scores_as_its_two_layers_do(tmp_path):
    held = FILES["blades, with a classifier"]()
    generator = torch.Generator().manual_seed(2)
    for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"):
        held["model"][name] = torch.randn(held["model"][name].shape, generator=generator)
    pixels = picture(SIDE)
    network = export_checkpoint(written(tmp_path, held), Recipe.read(resnet_recipe(tmp_path)))
    feature, bundle = observed(network, tmp_path, pixels)
    unit = torch.nn.functional.normalize(torch.from_numpy(literal(resnet_state(), pixels)), dim=0).double()
    weights = {name: value.double() for name, value in held["model"].items()}
    hidden = torch.relu(weights["fc1.weight"] @ unit + weights["fc1.bias"])
    fake = torch.softmax(weights["fc2.weight"] @ hidden + weights["fc2.bias"], dim=0)[1]
    (channel,) = bundle.evidence
    odds = channel.surprise(feature[None])[0]
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(float(fake), abs=1e-4)
    assert bundle.info.combined == ("generators",)


def test_unit_length_is_an_option(tmp_path):
    recipe = Recipe.read(resnet_recipe(tmp_path))
    for name, usual in (("aigfd", False), ("blades", True)):
        network = export_checkpoint(written(tmp_path, FILES[name]()), recipe)
        for asked, made in ((None, usual), (True, True), (False, False)):
            assert preprocessing_of(network, BundleOptions("b", unit_length=asked)).unit_length == made


def sdaie_file(folder, *, binary):
    state = network_state(3)
    torch.manual_seed(4)
    if binary:
        names = ("diffusionextractor_pretrained", "diffusionextractor_random")
        held = {f"module.{name}.{key}": value for name in names for key, value in state.items()}
        held |= {"module.fc.weight": torch.randn(2, 528), "module.fc.bias": torch.randn(2)}
    else:
        from cameraborn.train.weights_sdaie import AUTHORS_HEADS

        held = {f"module.backbone.{key}": value for key, value in state.items()}
        for name, size in AUTHORS_HEADS.items():
            held |= {
                f"module.{name}.weight": torch.randn(size, 528),
                f"module.{name}.bias": torch.randn(size),
            }
    return written(folder, {"state_net": held}), state, held


def middle_patches(pixels):
    """The four of a picture's middle, without overlap and nothing shrunk [4 3 64 64]."""
    corners = [(y, x) for y in (11, 75) for x in (11, 75)]
    patches = [pixels[y : y + 64, x : x + 64].transpose(2, 0, 1) for y, x in corners]
    return torch.from_numpy(np.stack(patches))


def test_scoring_computes_the_feature_of_sdaie_s_network(tmp_path):
    path, state, _ = sdaie_file(tmp_path, binary=False)
    network = export_checkpoint(path, Recipe.read(made(SDAIE, tmp_path)))
    pixels = picture(150)
    feature, _ = observed(network, tmp_path, pixels)
    expected = literal_feature(state, middle_patches(pixels)).numpy()
    np.testing.assert_allclose(feature, expected, atol=1e-4 * np.abs(expected).max())


def test_sdaie_s_classifier_scores_as_its_last_layer_does(tmp_path):
    path, state, held = sdaie_file(tmp_path, binary=True)
    network = export_binary_checkpoint(path, BinaryRecipe.read(made(BINARY, tmp_path)))
    patches = middle_patches(picture(150))
    feature, expected = encoded_by(network, patches[None].float()), literal_feature(state, patches).numpy()
    np.testing.assert_allclose(feature, expected, atol=1e-4 * np.abs(expected).max())
    cut = preprocessing_of(network, BundleOptions("imported"))
    assert (cut.input, cut.patches, cut.smallest_side) == ("patch-set", "tiles", 64)
    logits = held["module.fc.weight"].double().numpy() @ expected + held["module.fc.bias"].double().numpy()
    (channel,) = network.evidence
    assert channel.surprise(feature[None])[0] == pytest.approx(logits[1] - logits[0], rel=1e-3)


def test_what_does_not_fit_is_one_line(tmp_path):
    path, _, _ = sdaie_file(tmp_path, binary=True)
    with pytest.raises(RecipeError, match='holds a binary classifier: give a recipe with kind = "binary"'):
        export_checkpoint(path, Recipe.read(made(SDAIE, tmp_path)))
    aigfd = tmp_path / "aigfd.pth"
    torch.save(FILES["aigfd"](), aigfd)
    with pytest.raises(RecipeError, match="does not fit the recipe's network"):
        export_checkpoint(aigfd, Recipe.read(made(SDAIE, tmp_path)))
    with pytest.raises(RecipeError, match="not the classifier of the recipe's network"):
        export_binary_checkpoint(aigfd, BinaryRecipe.read(made(BINARY, tmp_path)))


def test_a_published_checkpoint_becomes_a_detector_without_training(tmp_path, photographs):
    """Export, fit, calibrate, score, as the README of such a detector would say."""
    recipe, path = resnet_recipe(tmp_path), written(tmp_path, FILES["aigfd"]())

    def run(*args):
        ran = CliRunner().invoke(app, list(map(str, args)))
        assert ran.exit_code == 0, ran.stderr
        return ran.stderr

    network, fitted = tmp_path / "network", tmp_path / "detector"
    said = run("export", path, "--recipe", recipe, "-o", network)
    assert f"now 'cameraborn fit PHOTOS --bundle {network} -o BUNDLE'" in said
    few = ("--copies", 1, "--jobs", 1)
    paths = {name: [photo.path for photo in held] for name, held in photographs.items()}
    run("fit", *paths["fit"], "--bundle", network, "-o", fitted, "--components", 1, "--dimensions", 3, *few)
    run("calibrate", *paths["calibration"][:20], "--bundle", fitted, *few)
    verdicts = load(fitted).score(paths["fit"][0])
    assert verdicts
    assert all(0 < verdict.p_value <= 1 for verdict in verdicts if verdict.p_value is not None)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("{file}",), "does not say how faces are cut: give its --recipe"),
        (("{file}", "--recipe", "{recipe}", "--layout", "bmp"), "no layout is called 'bmp'"),
        (("{file}", "--recipe", "{recipe}", "--second-encoder", "{folder}"), "a checkpoint stands alone"),
        (("{folder}", "--recipe", "{recipe}"), "is a run, which has its own: leave it out"),
        (("{folder}/none.pth", "--recipe", "{recipe}"), "no such file"),
    ],
)
def test_what_cannot_be_exported_is_one_line(tmp_path, args, says):
    places = {
        "file": written(tmp_path, FILES["aigfd"]()),
        "recipe": resnet_recipe(tmp_path),
        "folder": tmp_path,
    }
    command = [arg.format(**places) for arg in args]
    ran = CliRunner().invoke(app, ["export", *command, "-o", str(tmp_path / "bundle")])
    assert ran.exit_code == 2
    assert says in ran.stderr


def test_weights_of_a_run_keep_what_they_have_seen(tmp_path):
    from cameraborn.train.run_folder import DataRecord

    imported = import_checkpoint(written(tmp_path, FILES["aigfd"]()))
    torch.save(imported.tensors, tmp_path / "network.pth")
    record = DataRecord(manifest_sha256="a" * 64, seen=("b" * 64,))
    (tmp_path / "data.json").write_text(record.model_dump_json())
    network = export_checkpoint(tmp_path / "network.pth", Recipe.read(resnet_recipe(tmp_path)))
    assert (network.manifest_sha256, network.seen) == ("a" * 64, ("b" * 64,))
