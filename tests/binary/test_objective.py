"""Training a binary detector on toys: smooth "generated" pictures against grainy ones; resumed and exported."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cameraborn.binary.objective import BinaryObjective, build_classifier
from cameraborn.binary.regularised import stages_of
from cameraborn.detect.store import read_bundle
from cameraborn.errors import RecipeError
from cameraborn.train.loop import train
from tests.command import run_here

from .made_labelled import NETWORKS, recipe_of


@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_writes_what_it_says(labelled, tmp_path, network):
    seen = []
    recipe = recipe_of(labelled, network, optimise={"steps": 2, "batch_size": 4})
    figures = train(BinaryObjective, recipe, tmp_path, seen.append)
    assert set(figures) == {"auc", "accuracy", "gan/auc", "diffusion/auc"}
    assert [progress.step for progress in seen] == [1, 2]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"loss", "loss/cross_entropy", "loss/distance", "lr"} <= set(lines[0])
    tensors = load_file(tmp_path / "network.safetensors")
    held = load_file(recipe.weights)
    assert all(torch.equal(tensors[f"frozen.{name.removeprefix('encoder.')}"], held[name]) for name in held)


def test_a_toy_is_learnt(labelled, tmp_path):
    recipe = recipe_of(labelled, optimise={"steps": 60, "learning_rate": 5e-3, "ema": 0.0})
    figures = train(BinaryObjective, recipe, tmp_path)
    assert figures["auc"] > 0.95


def test_regularisation_holds_the_stages_near_the_frozen_ones(labelled, tmp_path):
    patches = torch.randint(0, 256, (1, 4, 3, 64, 64)).float()
    far = {}
    for alpha in (0.0, 10.0):
        recipe = recipe_of(
            labelled, alpha=alpha, start="weights", optimise={"steps": 30, "learning_rate": 1e-2}
        )
        train(BinaryObjective, recipe, tmp_path / str(alpha))
        classifier = build_classifier(recipe).eval()
        classifier.load_state_dict(load_file(tmp_path / str(alpha) / "network.safetensors"))
        with torch.no_grad():
            far[alpha] = float(classifier(patches)[1])
    assert far[10.0] < 0.5 * far[0.0]


@pytest.mark.parametrize("start", ["random", "weights"])
def test_the_trained_copy_starts_where_the_recipe_says(labelled, start):
    classifier = build_classifier(recipe_of(labelled, start=start)).eval()
    patches = torch.randint(0, 256, (1, 2, 3, 64, 64)).float()
    pairs = zip(stages_of(classifier.encoder, patches), stages_of(classifier.frozen, patches), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs) == (start == "weights")


def test_weights_of_another_network_are_refused(labelled, tmp_path):
    recipe = recipe_of(labelled)
    other = recipe.model_copy(update={"weights": recipe_of(labelled, "sdaie").weights})
    with pytest.raises(RecipeError, match=r"sdaie\.safetensors"):
        train(BinaryObjective, other, tmp_path)


def test_the_command_line_trains_and_exports(labelled, tmp_path):
    recipe_of(labelled)  # writes the weights
    (tmp_path / "r.toml").write_text(
        f"""
kind = "binary"
weights = "{labelled.with_name("patch.safetensors")}"
[data]
manifest = "{labelled}"
[network]
type = "patch"
widths = [6, 8, 8, 8]
features = 8
[optimise]
epochs = 1
batch_size = 8
threads = 1
workers = 0
"""
    )
    for words, said in (
        (("train", "r.toml"), "step 3/3"),
        (
            ("export", "runs/r", "-o", "bundle", "--side", "64"),
            "now 'cameraborn calibrate PHOTOS --bundle bundle'",
        ),
    ):
        code, _, error = run_here(*words, cwd=tmp_path)
        assert code == 0, error
        assert said in error
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.info.preprocessing.input == "patches"
    assert {"network.onnx", "generators.safetensors", "seen.txt"} <= set(bundle.files)
