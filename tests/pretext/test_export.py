"""An exported network is the trained one: ONNX against torch, and the photographs that it has seen."""

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from cameraborn.data.manifest import read_manifest, sha256_of, write_manifest
from cameraborn.errors import RecipeError
from cameraborn.pretext.architectures import build_network
from cameraborn.pretext.export import export_run
from cameraborn.pretext.objective import PretextObjective
from cameraborn.train.loop import train

from .test_objective import face_recipe, recipe_of, toys  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def run(toys, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("run")
    train(PretextObjective, recipe_of(toys, steps=3), folder)
    return folder


def test_a_resnet_is_exported_as_it_is(faces, tmp_path):
    recipe = face_recipe(faces, steps=2)
    train(PretextObjective, recipe, tmp_path)
    exported = export_run(tmp_path)
    assert (exported.input_kind, exported.side, exported.crop_scale) == ("crop", 64, 1.3)
    assert exported.features == 16
    assert exported.tasks == ("iso", "fnumber", "exposure", "focal", "face")
    assert exported.description.startswith("ResNet {")
    network = build_network(recipe)
    network.load_state_dict(safetensors.torch.load(exported.weights[0]))
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        crops = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
        with torch.no_grad():
            expected = network.eval().encoder(crops.float()).numpy()
        (features,) = session.run(None, {"crop": crops.numpy()})
        np.testing.assert_allclose(features, expected, atol=1e-4)


def test_a_run_is_exported_whole(run, toys):  # noqa: F811
    exported = export_run(run)
    assert exported.tasks == ("iso", "make")
    assert exported.features == 8
    assert exported.manifest_sha256 == sha256_of(toys)
    assert set(exported.seen) == {row.sha256 for row in read_manifest(toys) if row.split == "train"}

    network = build_network(recipe_of(toys, steps=3))
    network.load_state_dict(safetensors.torch.load(exported.weights[0]))
    patches = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network.eval().encoder(patches.float()).numpy()
    np.testing.assert_allclose(session.run(None, {"patches": patches.numpy()})[0], expected, atol=1e-4)


def test_an_export_says_what_was_seen_when_training_began(toys, tmp_path):  # noqa: F811
    """The manifest may be split anew, or be gone, between training and export."""
    rows = list(read_manifest(toys))
    copy = "e" * 64  # a training photograph that was made from another file
    rows[0] = rows[0].model_copy(update={"original": copy})
    manifest = tmp_path / "m.jsonl"
    write_manifest(rows, manifest)
    began_with = sha256_of(manifest)
    train(PretextObjective, recipe_of(manifest, steps=1), tmp_path / "run")
    swap = {"train": "val", "val": "train"}
    write_manifest((row.model_copy(update={"split": swap[row.split]}) for row in rows), manifest)
    learnt_from = {row.sha256 for row in rows if row.split == "train"} | {copy}
    exported = export_run(tmp_path / "run")
    assert set(exported.seen) == learnt_from
    assert exported.manifest_sha256 == began_with
    manifest.unlink()
    assert export_run(tmp_path / "run").seen == exported.seen


def test_an_unfinished_run_is_refused(run, tmp_path):
    with pytest.raises(RecipeError, match="holds no finished run"):
        export_run(tmp_path)
    (tmp_path / "recipe.json").write_bytes((run / "recipe.json").read_bytes())
    with pytest.raises(RecipeError, match="holds no finished run"):
        export_run(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "of another network"])
def test_damaged_weights_are_refused(run, tmp_path, damage):
    (tmp_path / "recipe.json").write_bytes((run / "recipe.json").read_bytes())
    weights = (run / "network.safetensors").read_bytes()
    other = safetensors.torch.save({"encoder.project.bias": torch.zeros(3)})
    (tmp_path / "network.safetensors").write_bytes(weights[:-9] if damage == "cut" else other)
    with pytest.raises(RecipeError) as caught:
        export_run(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "train it again" in str(caught.value)
    assert "\n" not in str(caught.value)
