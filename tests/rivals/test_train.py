"""Rivals trained by their recipes on toys: through the one loop, resumed to the bit, and opened again."""

import dataclasses
import json
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.photo.decode import open_picture
from cameraborn.rivals.backbones.clip import VisionTransformer
from cameraborn.rivals.dataset import RivalPictures, cut, postprocessed
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.objective import Plateau, Prepared, RivalObjective
from cameraborn.rivals.published import NETWORKS, RIVALS, TRAINED, make, without_memory
from cameraborn.rivals.recipe import AugmentSection, RivalRecipe
from cameraborn.rivals.scoring import compute, open_encoder, open_rival
from cameraborn.rivals.train import train_rival
from cameraborn.rivals.weights import save_trained
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.processes import Processes
from cameraborn.train.run_folder import read_record
from tests.rivals.formula import formula_

RECIPES = Path(__file__).resolve().parents[2] / "configs" / "rivals"
FACE = [(30 + 20 * np.cos(a), 32 + 24 * np.sin(a)) for a in np.linspace(0, 6.2, 68)]
QUICK = {"threads": 1, "workers": 0}


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """12 pictures to train on and 8 to validate on: grainy photographs with landmarks, smooth generated ones."""
    folder = tmp_path_factory.mktemp("toys")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(20):
        generated = number % 2 == 1
        y, x = np.mgrid[:64, :64]
        scene = 120 + 40 * np.sin(x / rng.uniform(5, 20)) + y / 4
        grain = rng.normal(0, 0.2 if generated else 12.0, (64, 64, 3))
        path = folder / f"{number:02}.png"
        Image.fromarray((scene[:, :, None] + grain).clip(0, 255).astype(np.uint8)).save(path)
        rows.append(
            Row(
                path=str(path),
                sha256=sha256_of(path),
                split="train" if number < 12 else "val",
                label="generated" if generated else "photo",
                generator="gan" if generated else "",
                landmarks=None if generated else FACE,
                group=f"group-{number}",
            )
        )
    write_manifest(rows, folder / "manifest.jsonl")
    return folder / "manifest.jsonl"


def recipe_of(toys, rival="tiny-ladeda", **changes):
    fields = {
        "kind": "rival",
        "rival": rival,
        "data": {"manifest": str(toys)},
        "optimise": {
            "learning_rate": 1e-2,
            "steps": 4,
            "batch_size": 4,
            **QUICK,
            **changes.pop("optimise", {}),
        },
        "log": {"log_every": 1, "validate_every": 2, "checkpoint_every": 2},
    }
    return RivalRecipe.model_validate(fields | changes)


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


def test_the_rate_falls_by_epochs_steps_or_patience(toys):
    def rates(steps_an_epoch, falls=(0,) * 8, **optimise):
        objective = RivalObjective(recipe_of(toys, optimise=optimise), Processes(torch.device("cpu")))
        found = []
        for step, fallen in enumerate(falls):
            objective.plateau.falls = fallen
            found.append(
                objective.learning_rate(
                    step, objective.recipe.optimise, steps=8, steps_an_epoch=steps_an_epoch
                )
            )
        return found

    assert rates(2, steps=None, epochs=4, decay_every=2, decay_factor=0.5) == [0.01] * 4 + [0.005] * 4
    assert rates(2, decay_every=3, decay_factor=0.5) == [0.01] * 3 + [0.005] * 3 + [0.0025] * 2
    held = rates(2, (0, 1, 2), patience=1, decay_factor=0.1, min_lr=1e-3)
    assert held[:2] == pytest.approx([0.01, 0.001])
    assert held[2] is None


def test_training_ends_when_patience_has_run_out(toys, tmp_path):
    optimise = {"steps": None, "epochs": 50, "patience": 1, "min_lr": 0.005, "learning_rate": 1e-9}
    recipe = recipe_of(toys, optimise=optimise | {"min_lr": 5e-10}, log={"validate_every": 0})
    seen = []
    train_rival(recipe, tmp_path, seen.append)
    assert seen[-1].step == 6  # an epoch has 3 steps: nothing is better after the second


def test_patience_counts_validations_and_travels():
    plateau = Plateau(2)
    for figure in (0.5, 0.6, 0.6, 0.55, 0.7, 0.1, 0.1):
        plateau.add(figure)
    assert plateau.falls == 2
    other = Plateau(2)
    other.load_state_dict(plateau.state_dict())
    assert vars(other) == vars(plateau)


def test_a_sample_is_the_same_whenever_it_is_drawn(toys):
    recipe = recipe_of(
        toys,
        augment={
            "shrink": [20, 60],
            "blur_probability": 0.5,
            "jpeg_probability": 0.5,
            "crop": 200,
            "flip": 0.5,
        },
    )
    rows = RivalObjective(recipe, Processes(torch.device("cpu"))).rows
    first, again = (RivalPictures(rows, recipe, MemoryBudget(1)) for _ in range(2))
    assert first[3, 5][0].shape == (1, 3, 200, 200)
    assert torch.equal(first[3, 5][0], again[3, 5][0])
    assert not torch.equal(first[3, 5][0], again[4, 5][0])


def test_self_blended_samples_are_a_photograph_and_its_fake(toys):
    recipe = recipe_of(toys, "self-blended", objective="self-blended")
    objective = RivalObjective(recipe, Processes(torch.device("cpu")))
    assert {row.label for row in objective.rows} == {"photo"}
    pictures, labels, key = RivalPictures(objective.rows, recipe, MemoryBudget(1))[0, 1]
    assert pictures.shape == (2, 3, 380, 380)
    assert (labels.tolist(), key.tolist()) == ([0, 1], [0, 1])
    assert not torch.equal(pictures[0], pictures[1])


def test_a_recipe_starts_from_a_file(toys, tmp_path):
    theirs = formula_(NETWORKS["tiny-ladeda"]()).state_dict()
    torch.save(
        theirs | {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}, tmp_path / "net.pth"
    )
    objective = RivalObjective(recipe_of(toys, start=tmp_path / "net.pth"), Processes(torch.device("cpu")))
    started = objective.published.network.state_dict()
    assert all(torch.equal(started[name], value) for name, value in theirs.items() if "fc." not in name)


def test_a_picture_is_cut_and_mirrored_before_the_rival_sees_it():
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    rng = np.random.default_rng(0)
    cuts = {int(postprocessed(pixels, AugmentSection(crop_picture=3), rng)[0, 0, 0]) for _ in range(60)}
    assert cuts == {int(pixels[y, x, 0]) for y in range(2) for x in range(3)}
    assert np.array_equal(postprocessed(pixels, AugmentSection(crop_picture=9), rng), pixels)
    assert np.array_equal(postprocessed(pixels, AugmentSection(flip_picture=1), rng), pixels[:, ::-1])
    assert [
        AugmentSection(**{name: 1}).changes_pictures for name in ("crop_picture", "flip_picture", "flip")
    ] == [
        True,
        True,
        False,
    ]


def test_crops_lie_everywhere_and_mirror():
    seen = torch.arange(16.0).view(1, 4, 4)
    rng = np.random.default_rng(0)
    corners = {float(cut(seen, AugmentSection(crop=3), rng, "x")[0, 0, 0]) for _ in range(50)}
    assert corners == {0.0, 1.0, 4.0, 5.0}
    assert torch.equal(cut(seen, AugmentSection(flip=1), rng, "x"), seen.flip(-1))


def test_what_was_prepared_is_not_computed_again():
    asked = []

    def function(pictures):
        asked.append(len(pictures))
        return pictures.square().sum(dim=(1, 2, 3))

    with torch.device("meta"):  # its classifier takes no part
        rival = LGrad(function)
    prepared, pictures = Prepared(MemoryBudget(1)), torch.rand(4, 3, 8, 8)
    literal = rival.prepare(pictures)
    asked.clear()
    assert torch.equal(prepared(rival, pictures[:2], [0, 1]), literal[:2])
    assert torch.equal(prepared(rival, pictures, [0, 1, 2, 3]), literal)
    assert torch.equal(prepared(rival, pictures, [0, 1, 2, 3]), literal)
    assert asked == [2, 2]
    forgetful = Prepared(MemoryBudget(0))
    for _ in range(2):
        assert torch.equal(forgetful(rival, pictures, [0, 1, 2, 3]), literal)
    assert asked == [2, 2, 4, 4]


def test_what_preprocesses_needs_no_weights():
    assert all(parameter.is_meta for parameter in without_memory("tiny-ladeda").parameters())
    assert dataclasses.is_dataclass(without_memory("tiny-ladeda").publication)


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


def make_trained(name):
    rival = make(name)
    rival.start_training()
    rival.count_as_trained()
    return rival


@pytest.mark.parametrize(
    ("rival", "changes", "said"),
    [
        ("npr", {"objective": "distilled", "teacher": "t.safetensors"}, "none teaches 'npr'"),
        ("tiny-ladeda", {"objective": "distilled"}, "give weights of 'ladeda' as teacher"),
        ("tiny-ladeda", {"teacher": "t.safetensors"}, "means nothing without objective = 'distilled'"),
    ],
)
def test_a_teacher_is_given_where_there_is_one_to_learn_from(toys, rival, changes, said):
    with pytest.raises(ValueError, match=said):
        recipe_of(toys, rival, **changes)
