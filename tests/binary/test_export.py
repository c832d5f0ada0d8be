"""A binary run as a bundle, which says what was seen when training began."""

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from cameraborn.binary.export import export_binary
from cameraborn.binary.objective import BinaryObjective
from cameraborn.binary.regularised import RegularisedClassifier
from cameraborn.data.manifest import read_manifest
from cameraborn.train.loop import train

from .made_labelled import changed, recipe_of


def test_a_run_is_exported_as_a_network_and_a_head(labelled, tmp_path):
    recipe = recipe_of(labelled)
    train(BinaryObjective, recipe, tmp_path)
    tensors = load_file(tmp_path / "network.safetensors")
    network = export_binary(tmp_path)
    assert set(network.seen) == {row.sha256 for row in read_manifest(labelled) if row.split == "train"}
    classifier = RegularisedClassifier(recipe.network.encoder(), recipe.network.encoder())
    classifier.load_state_dict(tensors)
    patches = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(network.onnx, providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {session.get_inputs()[0].name: patches.numpy()})
    assert features.shape[1] == network.features
    (evidence,) = network.evidence
    score = evidence.surprise(features.mean(axis=0, keepdims=True))
    with torch.no_grad():
        expected = classifier.eval().score(patches[None].float())
    assert score[0] == pytest.approx(float(expected), abs=1e-3)


def test_an_export_says_what_was_seen_when_training_began(labelled, tmp_path):
    original = "e" * 64
    manifest = changed(labelled, tmp_path / "m.jsonl", lambda row: {"original": original})
    train(BinaryObjective, recipe_of(manifest, weights=str(recipe_of(labelled).weights)), tmp_path / "run")
    manifest.unlink()
    seen = {row.sha256 for row in read_manifest(labelled) if row.split == "train"}
    assert set(export_binary(tmp_path / "run").seen) == seen | {original}
