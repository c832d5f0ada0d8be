"""A trained detector as a bundle: its score is the network's logit."""

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from cameraborn.binary.export import export_binary, is_binary
from cameraborn.binary.generators import PATCH, GeneratorsNetwork
from cameraborn.detect.store import read_bundle
from cameraborn.train.export import BundleOptions, write_exported

from .made_faces import recipe_of, trained


def test_a_toy_is_learnt_and_exported(toys, tmp_path):
    light = {"strength": 0.0, "native": 1.0, "light": 1.0, "shuffle": 0.0}
    optimise = {"steps": 60, "batch_size": 16, "learning_rate": 5e-3, "ema": 0.0}
    patches = [{"side": 64}]
    recipe = recipe_of(toys, history=light, optimise=optimise, patches=patches, dropout=0.0)
    figures = trained(recipe, tmp_path / "run")
    assert figures["auc"] > 0.95
    assert is_binary(tmp_path / "run")
    exported = export_binary(tmp_path / "run")
    write_exported(exported, BundleOptions("toy"), tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    shown = bundle.info.preprocessing
    assert (shown.patch, shown.sides, shown.crop_scale, shown.smallest_side) == (PATCH, (256,), 1.5, 128)
    assert bundle.info.combined == ("generators",)
    assert {"network.onnx.gz", "generators.safetensors", "seen.txt"} <= set(bundle.files)

    # The bundle's score is the network's logit.
    network = GeneratorsNetwork(recipe)
    network.load_state_dict(load_file(tmp_path / "run" / "network.safetensors"))
    x = torch.randint(0, 256, (3, 3, PATCH, PATCH), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        logit = network.eval()(x.float()).mean()
    score = exported.evidence[0].surprise(features.mean(axis=0, keepdims=True))[0]
    assert score == pytest.approx(float(logit), abs=0.02)
