"""Rivals trained by their recipes on toys: through the one loop, resumed to the bit, and opened again."""

import json
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cameraborn.errors import ManifestError, RecipeError
from cameraborn.photo.decode import open_picture
from cameraborn.rivals.backbones.clip import VisionTransformer
from cameraborn.rivals.published import NETWORKS, RIVALS, TRAINED
from cameraborn.rivals.recipe import RivalRecipe
from cameraborn.rivals.scoring import compute, open_encoder, open_rival
from cameraborn.rivals.train import train_rival
from cameraborn.rivals.weights import save_trained
from cameraborn.train.run_folder import read_record
from tests.rivals.formula import formula_
from tests.rivals.made_toys import QUICK, make_trained, recipe_of

RECIPES = Path(__file__).resolve().parents[2] / "configs" / "rivals"


def test_a_run_learns_and_is_opened_as_it_was_trained(toys, tmp_path):
    recipe = recipe_of(toys, optimise={"steps": 60}, augment={"crop": 224, "flip": 0.5})
    figures = train_rival(recipe, tmp_path / "run")
    assert figures["auc"] == 1.0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss/tiny-ladeda"] for line in lines if "loss/tiny-ladeda" in line]
    assert np.mean(losses[-5:]) < losses[0] / 2
    rival = open_rival("tiny-ladeda", [tmp_path / "run" / "network.safetensors"])
    assert rival.loaded == {"network": TRAINED}
    scores = compute(rival, [open_picture(path) for path in sorted(toys.parent.glob("*.png"))[12:]])
    assert min(scores[1::2]) > max(scores[::2])
    assert len(read_record(tmp_path / "run").seen) == 12


def test_a_run_that_was_interrupted_ends_the_same(toys, tmp_path):
    recipe = recipe_of(toys, augment={"shrink": [32, 64], "crop": 128}, optimise={"optimiser": "sgd"})
    train_rival(recipe, tmp_path / "whole")

    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_rival(recipe, tmp_path / "parts", stop)
    train_rival(recipe, tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "parts"))
    assert set(whole) == set(parts)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_frozen_parts_stay_and_are_in_no_checkpoint(toys, tmp_path):
    probe = RIVALS["probe-efficientnet-lite0"]()
    formula_(probe.encoder)
    probe.loaded = dict.fromkeys(probe.parts, "0" * 64)
    save_trained(probe, tmp_path / "start.safetensors")
    recipe = recipe_of(
        toys, "probe-efficientnet-lite0", weights=[tmp_path / "start.safetensors"], optimise={"steps": 2}
    )
    train_rival(recipe, tmp_path / "run")
    trained = open_rival("probe-efficientnet-lite0", [tmp_path / "run" / "network.safetensors"])
    before, after = probe.state_dict(), trained.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    assert trained.loaded == {"encoder.network": "0" * 64, "head": TRAINED}
    assert (tmp_path / "run" / "checkpoint.safetensors").stat().st_size < 100_000


@pytest.mark.parametrize("name", ["gramnet", "self_blended", "self_description"])
def test_recipes_that_ship_run(toys, tmp_path, name):
    fields = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
    fields["data"]["manifest"] = str(toys)
    fields["optimise"] = {k: v for k, v in fields["optimise"].items() if k not in ("epochs", "steps")}
    fields["optimise"] |= {"steps": 1, "batch_size": 2, **QUICK}
    fields.setdefault("augment", {}).pop("crop", None)
    fields["data"]["val_limit"] = 3  # of both labels
    figures = train_rival(RivalRecipe.model_validate(fields), tmp_path)
    if name == "self_description":
        assert set(figures) == {"loss"}
        assert open_encoder("self-description", [tmp_path / "network.safetensors"])
    else:
        assert set(figures) == {"auc", "accuracy"}
        assert open_rival(fields["rival"], [tmp_path / "network.safetensors"])


def test_nearest_neighbours_are_remembered(toys, tmp_path, monkeypatch):
    small = partial(VisionTransformer, patch=112, width=64, layers=1, features=768)
    monkeypatch.setitem(NETWORKS._things, "clip-vit-l14", small)  # another size, so that it takes no memory
    tower = formula_(small()).state_dict()
    save_file(tower, tmp_path / "tower.safetensors", {"network": "clip-vit-l14", "sha256": "0" * 64})
    recipe = recipe_of(toys, "univfd-nearest", weights=[tmp_path / "tower.safetensors"])
    figures = train_rival(recipe, tmp_path / "run")
    assert set(figures) == {"auc", "accuracy"}
    rival = open_rival("univfd-nearest", [tmp_path / "run" / "network.safetensors"])
    assert (len(rival.banks.genuine), len(rival.banks.generated)) == (6, 6)
    pictures = [open_picture(path) for path in sorted(toys.parent.glob("*.png"))[:2]]
    photograph, generated = compute(rival, pictures)
    assert photograph < 0 < generated  # each is its own nearest


def test_what_cannot_be_trained_says_so(toys, tmp_path):
    with pytest.raises(RecipeError, match="rigid: nothing of it is trained"):
        train_rival(recipe_of(toys, "rigid"), tmp_path)
    with pytest.raises(RecipeError, match="no weights of the network clip-rn50 were given"):
        train_rival(recipe_of(toys, "probe-clip-rn50"), tmp_path)
    with pytest.raises(ManifestError, match="6 photographs with landmarks in split 'train', 9 are needed"):
        train_rival(recipe_of(toys, objective="self-blended", optimise={"batch_size": 9}), tmp_path)
    with pytest.raises(RecipeError, match=r"cannot be cut to augment.crop = 300"):
        train_rival(recipe_of(toys, augment={"crop": 300}), tmp_path)


def test_training_ends_when_patience_has_run_out(toys, tmp_path):
    optimise = {"steps": None, "epochs": 50, "patience": 1, "min_lr": 0.005, "learning_rate": 1e-9}
    recipe = recipe_of(toys, optimise=optimise | {"min_lr": 5e-10}, log={"validate_every": 0})
    seen = []
    train_rival(recipe, tmp_path, seen.append)
    assert seen[-1].step == 6  # an epoch has 3 steps: nothing is better after the second


def test_the_small_network_learns_its_teachers_scores(toys, tmp_path):
    save_trained(formula_(make_trained("ladeda")), tmp_path / "ladeda.safetensors")
    recipe = partial(recipe_of, toys, objective="distilled", augment={"crop": 64})
    taught = recipe(teacher=tmp_path / "ladeda.safetensors", optimise={"steps": 12})
    before = (tmp_path / "ladeda.safetensors").read_bytes()
    figures = train_rival(taught, tmp_path / "run")
    assert set(figures) >= {"auc", "accuracy"}
    losses = [
        json.loads(line)["loss"]
        for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
        if "loss" in json.loads(line)
    ]
    assert losses[-1] < losses[0] / 2
    assert (tmp_path / "ladeda.safetensors").read_bytes() == before
    open_rival("tiny-ladeda", [tmp_path / "run" / "network.safetensors"])
    with pytest.raises(RecipeError, match="holds ladeda, and"):
        open_rival("tiny-ladeda", [tmp_path / "ladeda.safetensors"])
    save_trained(make_trained("npr"), tmp_path / "npr.safetensors")
    with pytest.raises(RecipeError, match="holds npr, and ladeda needs ladeda"):
        train_rival(recipe(teacher=tmp_path / "npr.safetensors"), tmp_path / "other")
