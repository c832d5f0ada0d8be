"""Training on toys: pictures whose grain grows with their ISO. Killed and resumed runs end in the same bytes."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cameraborn.errors import ManifestError, RecipeError
from cameraborn.photo.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.pretext.export import export_run
from cameraborn.pretext.optimise import learning_rate
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.selection import select_rows
from cameraborn.pretext.train import train


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A manifest of 40 pictures to train on and 16 to validate on."""
    folder = tmp_path_factory.mktemp("toys")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(56):
        iso = float(rng.choice([100, 200, 400, 800, 1600, 3200]))
        y, x = np.mgrid[:96, :96]
        scene = 120 + 40 * np.sin(x / rng.uniform(5, 20) + rng.uniform(0, 6)) + y / 4
        grain = rng.normal(0, 0.4 * math.sqrt(iso / 100) + 0.3, (96, 96, 3))
        path = folder / f"{number:02}.png"
        Image.fromarray((scene[:, :, None] + grain).clip(0, 255).astype(np.uint8)).save(path)
        split = "train" if number < 40 else "val"
        exif = {"iso": iso, "make": "Canon" if iso > 500 else "Nikon"}
        rows.append(
            Row(path=str(path), sha256=sha256_of(path), split=split, group=f"{split}-{number}", exif=exif)
        )
    write_manifest(rows, folder / "manifest.jsonl")
    return folder / "manifest.jsonl"


def recipe_of(manifest, *, tasks=None, dropout=0.0, log=None, data=None, **optimise):
    fields = {"steps": 8, "pictures": 8, "warmup": 2, "precision": "float32", "threads": 1, "workers": 0}
    return Recipe.model_validate(
        {
            "data": {"manifest": str(manifest), **(data or {})},
            "network": {"widths": [6, 8], "features": 8, "dropout": dropout},
            "pretext": {"tasks": tasks or {"iso": 1.0, "make": 0.1}},
            "augment": {"scale_probability": 0.0},
            "optimise": fields | optimise,
            "log": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2, **(log or {})},
        }
    )


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def logged_steps(folder, field="loss"):
    return [line["step"] for line in log_of(folder) if field in line]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_writes_what_it_says(toys, tmp_path, workers):
    seen = []
    figures = train(recipe_of(toys, workers=workers), tmp_path, seen.append)
    assert set(figures) == {"all/iso", "all/make"}
    assert all(0 <= value <= 1 for value in figures.values())
    assert logged_steps(tmp_path) == [*range(1, 9)]
    assert logged_steps(tmp_path, "val/all/iso") == [4, 8]
    assert {"loss/iso", "loss/make", "lr", "data_wait_share"} <= set(log_of(tmp_path)[0])
    assert [progress.step for progress in seen] == [*range(1, 9)]
    assert seen[-1].seconds_left == 0
    assert any((tmp_path / "tensorboard").iterdir())
    assert {name.partition(".")[0] for name in load_file(tmp_path / "network.safetensors")} == {
        "encoder",
        "heads",
    }
    assert Recipe.model_validate_json((tmp_path / "recipe.json").read_bytes()) == recipe_of(
        toys, workers=workers
    )
    assert not list(tmp_path.glob("*.part"))


def test_workers_do_not_change_the_weights(toys, tmp_path):
    for workers in (0, 1):
        train(recipe_of(toys, workers=workers), tmp_path / str(workers))
    assert (tmp_path / "0/network.safetensors").read_bytes() == (
        tmp_path / "1/network.safetensors"
    ).read_bytes()


KILLED = """
import sys, time
from pathlib import Path
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.train import train
recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_bytes())
train(recipe, Path(sys.argv[2]), lambda progress: time.sleep(0.05))
"""


def test_a_killed_run_resumes_to_the_bit(toys, tmp_path):
    recipe = recipe_of(toys, steps=30, dropout=0.3, log={"checkpoint_every": 7, "validate_every": 10})
    train(recipe, tmp_path / "whole")
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    run = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "recipe.json", run])
    try:
        deadline = time.monotonic() + 60
        while not (run / "checkpoint.safetensors").exists() or max(logged_steps(run)) < 9:
            assert process.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "network.safetensors").exists()

    resumed = []
    train(recipe, run, resumed.append)
    assert resumed[0].step > 7
    for name in ("network.safetensors", "checkpoint.safetensors"):
        ours, theirs = load_file(run / name), load_file(tmp_path / "whole" / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    whole = tmp_path / "whole/network.safetensors"
    assert (run / "network.safetensors").read_bytes() == whole.read_bytes()
    assert logged_steps(run) == [*range(1, 31)]
    timeless = [
        [
            {name: value for name, value in line.items() if name != "data_wait_share"}
            for line in log_of(folder)
        ]
        for folder in (run, tmp_path / "whole")
    ]
    assert timeless[0] == timeless[1]


def test_a_finished_run_is_left_as_it_is(toys, tmp_path):
    figures = train(recipe_of(toys), tmp_path)
    before = (tmp_path / "network.safetensors").read_bytes(), (tmp_path / "log.jsonl").read_bytes()
    assert train(recipe_of(toys), tmp_path) == figures
    assert ((tmp_path / "network.safetensors").read_bytes(), (tmp_path / "log.jsonl").read_bytes()) == before


def test_a_folder_belongs_to_one_recipe(toys, tmp_path):
    train(recipe_of(toys, steps=1), tmp_path)
    with pytest.raises(RecipeError, match="another recipe: give another folder"):
        train(recipe_of(toys, steps=2), tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(RecipeError, match=r"recipe\.json: damaged"):
        train(recipe_of(toys, steps=1), tmp_path)


def test_a_recipe_written_before_a_field_existed_is_the_same_recipe(toys, tmp_path):
    train(recipe_of(toys, steps=1), tmp_path)
    fields = json.loads((tmp_path / "recipe.json").read_text())
    del fields["network"]["dropout"]
    (tmp_path / "recipe.json").write_text(json.dumps(fields))
    train(recipe_of(toys, steps=1), tmp_path)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "foreign", "no step"])
def test_a_damaged_checkpoint(toys, tmp_path, damage):
    train(recipe_of(toys, steps=2), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    data, tensors = path.read_bytes(), load_file(path)
    if damage == "foreign":
        save_file({"network.encoder": torch.zeros(2)}, path, metadata={"step": "1"})
    elif damage == "no step":
        save_file(tensors, path)
    else:
        path.write_bytes({"cut": data[:-100], "garbage": b"\xff" * 500, "empty": b""}[damage])
    with pytest.raises(RecipeError) as caught:
        train(recipe_of(toys, steps=2), tmp_path)
    assert str(path) in str(caught.value)
    assert "delete it" in str(caught.value)
    assert "\n" not in str(caught.value)


def changed(toys, path, change):
    rows = [row.model_copy(update=change(row)) for row in read_manifest(toys)]
    write_manifest(rows, path)
    return path


def test_a_group_in_both_splits_is_refused(toys, tmp_path):
    def one_trip(row):
        return {"group": "a trip"} if row.path.endswith(("00.png", "50.png")) else {}

    torn = changed(toys, tmp_path / "m.jsonl", one_trip)
    with pytest.raises(ManifestError, match="group 'a trip' is in both splits"):
        train(recipe_of(torn), tmp_path / "run")


def test_rows_for_research_only_are_never_trained_on(toys, tmp_path):
    def research(row):
        return {"research_only": int(row.path[-6:-4]) % 2 == 0}

    manifest = changed(toys, tmp_path / "m.jsonl", research)
    train_rows, val_rows = select_rows(recipe_of(manifest))
    assert len(train_rows) == 20
    assert not any(row.research_only for row in train_rows)
    assert sum(row.research_only for row in val_rows) == 8
    allowed, _ = select_rows(recipe_of(manifest, data={"allow_research_only": True}))
    assert len(allowed) == 40
    train(recipe_of(manifest, steps=1), tmp_path / "run")
    forbidden = {row.sha256 for row in read_manifest(manifest) if row.research_only}
    seen = export_run(tmp_path / "run").seen
    assert len(seen) == 20
    assert not forbidden & set(seen)


def test_generated_pictures_other_kinds_and_untagged_rows_are_left_out(toys, tmp_path):
    def change(row):
        number = int(row.path[-6:-4])
        return {
            0: {"label": "generated"},
            1: {"kind": "screenshot"},
            2: {"exif": {"focal_length_mm": 35.0}},
            3: {"split": "fit"},
        }.get(number, {"kind": "crop"})

    recipe = recipe_of(changed(toys, tmp_path / "m.jsonl", change), data={"kinds": ["crop", ""]})
    train_rows, val_rows = select_rows(recipe)
    assert [int(row.path[-6:-4]) for row in train_rows] == [*range(4, 40)]
    assert len(val_rows) == 16


def test_too_few_photographs(toys, tmp_path):
    with pytest.raises(ManifestError, match="40 usable photographs in split 'train', 41 are needed"):
        select_rows(recipe_of(toys, pictures=41))
    with pytest.raises(ManifestError, match="split 'test'"):
        select_rows(recipe_of(toys, data={"val_split": "test"}))


def test_a_toy_is_learnt(toys, tmp_path):
    recipe = recipe_of(
        toys,
        tasks={"iso": 1.0},
        steps=80,
        pictures=16,
        learning_rate=1e-2,
        ema=0.9,
        log={"validate_every": 80, "checkpoint_every": 80},
    )
    figures = train(recipe, tmp_path)
    losses = [line["loss"] for line in log_of(tmp_path) if "loss" in line]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    assert figures["all/iso"] > 0.8


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = recipe_of("m.jsonl", steps=100, warmup=10, learning_rate=0.5).optimise
    rates = [learning_rate(step, settings, steps=100, steps_an_epoch=5) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[10] == 0.5
    assert rates[55] == pytest.approx(0.25)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 1e-3
