"""Autoencoders are trained one after the other, and an interrupted run goes on with what is missing."""

import pytest
import torch
from safetensors.torch import load_file

from cameraborn.data.manifest import read_manifest, write_manifest
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.pseudo.autoencoders import (
    AutoencodersRecipe,
    read_autoencoders,
    train_autoencoders,
)

from ..test_docs import ROOT


def recipe_of(manifest, names=("a", "b"), **optimise):
    small = {"upsampling": "nearest", "factor": 4, "latent": 3, "width": 4}
    settings = {"steps": 6, "batch_size": 2, "precision": "float32", "threads": 1, "warmup": 1}
    return AutoencodersRecipe.model_validate(
        {
            "kind": "autoencoders",
            "data": {"manifest": str(manifest)},
            "autoencoders": [{"name": name, **small} for name in names],
            "optimise": settings | optimise,
        }
    )


def test_training_moves_every_autoencoder_and_reports(faces, tmp_path):
    steps = []
    figures = train_autoencoders(recipe_of(faces), tmp_path / "run", steps.append)
    assert set(figures) == {"a/difference", "b/difference"}
    assert [step.step for step in steps] == list(range(1, 13))
    assert all(step.steps == 12 for step in steps)
    autoencoders = read_autoencoders(tmp_path / "run")
    assert list(autoencoders) == ["a", "b"]
    assert all(torch.isfinite(value).all() for value in autoencoders["a"].state_dict().values())


def test_more_steps_reproduce_better(faces, tmp_path):
    few = train_autoencoders(recipe_of(faces, ["a"], steps=1), tmp_path / "few")
    many = train_autoencoders(recipe_of(faces, ["a"], steps=60, learning_rate=0.01), tmp_path / "many")
    assert many["a/difference"] < few["a/difference"]


def test_what_is_there_stays_and_what_is_missing_comes_out_the_same(faces, tmp_path):
    recipe = recipe_of(faces)
    train_autoencoders(recipe, tmp_path / "run")
    first = load_file(tmp_path / "run" / "b.safetensors")
    stamp = (tmp_path / "run" / "a.safetensors").stat().st_mtime_ns
    (tmp_path / "run" / "b.safetensors").unlink()
    figures = train_autoencoders(recipe, tmp_path / "run")
    again = load_file(tmp_path / "run" / "b.safetensors")
    assert set(figures) == {"b/difference"}
    assert (tmp_path / "run" / "a.safetensors").stat().st_mtime_ns == stamp
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_bad_input(faces, tmp_path):
    with pytest.raises(ValueError, match="not all different"):
        recipe_of(faces, ["a", "a"])
    train_autoencoders(recipe_of(faces, ["a"]), tmp_path / "run")
    with pytest.raises(RecipeError, match="another recipe"):
        train_autoencoders(recipe_of(faces, ["b"]), tmp_path / "run")
    (tmp_path / "run" / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(RecipeError, match="not an autoencoder, or damaged"):
        read_autoencoders(tmp_path / "run")
    with pytest.raises(RecipeError, match="no autoencoder in it"):
        read_autoencoders(tmp_path)
    elsewhere = tmp_path / "other.jsonl"
    write_manifest((row.model_copy(update={"split": "test"}) for row in read_manifest(faces)), elsewhere)
    with pytest.raises(ManifestError, match="no photograph in split 'train'"):
        train_autoencoders(recipe_of(elsewhere), tmp_path / "other")


def test_the_shipped_recipe_is_valid():
    assert AutoencodersRecipe.read(ROOT / "configs" / "autoencoders.toml").optimise.steps > 0
