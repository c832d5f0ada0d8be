"""Training a detector of known generators on toys made by formula: weights, resuming, validation, the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from cameraborn.binary.face_rows import face_rows
from cameraborn.binary.faces import region_of
from cameraborn.binary.generators import PATCH, FaceValidator, begun, detector_patches, smoothed_cross_entropy
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.binary.overlap import RECORD, OverlapWeights
from cameraborn.cli import app
from cameraborn.data.manifest import read_manifest
from cameraborn.detect.store import read_bundle
from cameraborn.errors import RecipeError
from cameraborn.networks.efficientnet_lite import EfficientNetLite
from cameraborn.train.loop import train
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.recipe import kind_of

from .made_faces import CONFIGS, ROOT, objective_of, recipe_of, trained


def lite_weights(folder, seed=0):
    torch.manual_seed(seed)
    state = EfficientNetLite().state_dict()
    published = state | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    torch.save(published, folder / "lite.pth")
    return folder / "lite.pth", state


def test_published_weights_begin_a_network_with_a_silent_residual(toys, tmp_path):
    path, state = lite_weights(tmp_path)
    for residual in (False, True):
        section = {"type": "efficientnet-lite0", "residual": residual}
        network = begun(recipe_of(toys, network=section, init=str(path)))
        own = network.encoder.state_dict()
        stem = own.pop("_conv_stem.weight")
        assert torch.equal(stem[:, :3], state["_conv_stem.weight"])
        assert not residual or not stem[:, 3:].any()
        assert all(torch.equal(value, state[name]) for name, value in own.items())
    with pytest.raises(RecipeError, match=r"lite\.pth"):
        begun(recipe_of(toys, init=str(path)))


def test_smoothed_labels_against_the_formula():
    logits, labels = torch.tensor([1.5, -0.3, 0.2]), torch.tensor([1.0, 0.0, 1.0])
    target = labels * 0.9 + 0.05
    p = torch.sigmoid(logits)
    literal = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert smoothed_cross_entropy(logits, labels, 0.1) == pytest.approx(float(literal))


def test_a_run_writes_what_it_says_and_resumes_to_the_bit(toys, tmp_path):
    path, _ = lite_weights(tmp_path)
    small = {"side": 24, "covariates": 4}
    sections = {"network": {"type": "efficientnet-lite0"}, "init": str(path), "overlap": small}
    sections["patches"] = [{"side": 64}]
    recipe = recipe_of(toys, optimise={"steps": 3, "batch_size": 4}, **sections)
    figures = trained(recipe, tmp_path / "whole")
    assert set(figures) == {"auc", "accuracy", "gan/auc", "diffusion/auc", "reconstructed/above"}
    stored = OverlapWeights.read(tmp_path / "whole" / RECORD)
    assert len(stored.weights) == len(stored.sha256) == 12 + 12
    record = json.loads((tmp_path / "whole" / "data.json").read_text())
    assert len(record["manifest_sha256"].split()) == 2
    rows = [row for name in ("faces", "pairs") for row in read_manifest(toys / f"{name}.jsonl")]
    assert set(record["seen"]) == {
        digest for row in rows if row.split == "train" for digest in (row.sha256, row.original) if digest
    }

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(
            lambda recipe, processes: objective_of(recipe, tmp_path / "part", processes),
            recipe,
            tmp_path / "part",
            kill,
        )
    before = (tmp_path / "part" / RECORD).read_bytes()
    trained(recipe, tmp_path / "part")
    assert (tmp_path / "part" / RECORD).read_bytes() == before
    one, other = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "part"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_rate_stays_and_then_declines(toys, tmp_path):
    recipe = recipe_of(
        toys, optimise={"schedule": "constant", "learning_rate": 1.0, "steps": 100}, decline=0.3
    )
    objective = objective_of(recipe, tmp_path)
    rates = [
        objective.learning_rate(step, recipe.optimise, steps=100, steps_an_epoch=5) for step in range(100)
    ]
    assert rates[:71] == [1.0] * 71
    assert rates[70:] == pytest.approx([(100 - step) / 30 for step in range(70, 100)])


def test_validation_looks_as_the_detector_does(toys):
    pixels = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    patches = detector_patches(region_of(pixels, (100.0, 100.0, 500.0, 500.0)))
    assert patches.shape == (4, 3, PATCH, PATCH)
    assert detector_patches(region_of(pixels[:60, :60], (10.0, 10.0, 50.0, 50.0))).shape == (
        1,
        3,
        PATCH,
        PATCH,
    )
    _, val_rows = face_rows(recipe_of(toys))
    validator = FaceValidator(val_rows, MemoryBudget(0), torch.device("cpu"), None)
    assert len(validator.rows) == 12  # those without a face say nothing of the detector


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_recipe_that_ships_trains_for_some_steps(path, toys, tmp_path):
    assert kind_of(path) == "generators"
    shipped = GeneratorsRecipe.read(path)
    assert not shipped.data.manifest.is_absolute()
    assert f"cameraborn train {path.relative_to(ROOT)}" in path.read_text()
    _, state = lite_weights(tmp_path)
    save_file({f"encoder.{name}": value for name, value in state.items()}, tmp_path / "lite.safetensors")
    changes = {"steps": 2, "batch_size": shipped.batch.unit, "workers": 0, "threads": 1, "compile": False}
    recipe = shipped.model_copy(
        update={
            "data": recipe_of(toys).data,
            "init": tmp_path / "lite.safetensors",
            "optimise": shipped.optimise.model_copy(update=changes),
            "overlap": shipped.overlap and shipped.overlap.model_copy(update={"covariates": 4}),
            "patches": (shipped.patches[0],),
        }
    )
    figures = trained(recipe, tmp_path / "run")
    assert {"auc", "reconstructed/above"} <= set(figures)
    assert (tmp_path / "run" / "network.safetensors").stat().st_size <= 16 * 2**20


TOML = """
kind = "generators"
[data]
manifest = "{folder}/faces.jsonl"
more_manifests = ["{folder}/pairs.jsonl"]
[network]
type = "patch"
widths = [6, 8]
features = 8
[[patches]]
side = 64
[optimise]
steps = 2
batch_size = 4
precision = "float32"
threads = 1
workers = 0
"""


def test_the_command_line_trains_and_exports(toys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TOML.format(folder=toys))
    trained = CliRunner().invoke(app, ["train", "r.toml"])
    assert trained.exit_code == 0, trained.output
    assert "reconstructed/above:" in trained.output
    exported = CliRunner().invoke(app, ["export", "runs/r", "-o", "bundle"])
    assert exported.exit_code == 0, exported.output
    assert "now 'cameraborn calibrate PHOTOS --bundle bundle'" in exported.output
    assert read_bundle(Path("bundle")).info.preprocessing.patch == PATCH
    alone = CliRunner().invoke(app, ["export", "runs/r", "--second-encoder", "runs/r", "-o", "both"])
    assert alone.exit_code == 2
    file = CliRunner().invoke(
        app, ["export", "runs/r/network.safetensors", "--recipe", "r.toml", "-o", "other"]
    )
    assert file.exit_code == 2
    assert "exported from its run: give the folder" in file.output


def test_init_on_the_command_line_replaces_the_recipes(toys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TOML.format(folder=toys))
    done = CliRunner().invoke(app, ["train", "r.toml", "--init", "missing.safetensors"])
    assert done.exit_code == 2
    assert "missing.safetensors: no such file" in done.output
