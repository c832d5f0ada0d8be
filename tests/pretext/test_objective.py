"""Training on toys: pictures whose grain grows with their ISO. Killed and resumed runs end in the same bytes."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.errors import ManifestError, PictureError, RecipeError
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.export import export_run
from cameraborn.pretext.objective import PretextObjective, task_losses
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.selection import select_rows
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.loop import train
from cameraborn.train.pictures import EpochSampler, MemoryBudget

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


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


def recipe_of(manifest, *, tasks=None, dropout=0.0, log=None, data=None, network=None, **optimise):
    fields = {"steps": 8, "batch_size": 8, "warmup": 2, "precision": "float32", "threads": 1, "workers": 0}
    return Recipe.model_validate(
        {
            "data": {"manifest": str(manifest), **(data or {})},
            "network": {"widths": [6, 8], "features": 8, "dropout": dropout, **(network or {})},
            "pretext": {"tasks": tasks or {"iso": 1.0, "make": 0.1}},
            "augment": {"scale_probability": 0.0},
            "optimise": fields | optimise,
            "log": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2, **(log or {})},
        }
    )


def face_recipe(manifest, *, tasks=None, log=None, **optimise):
    """The recipe for continuous integration, on the tests' own faces."""
    recipe = Recipe.read(CONFIGS / "tiny.toml")
    changed = recipe.model_dump()
    changed["data"]["manifest"] = manifest
    changed["pretext"]["tasks"] = tasks or changed["pretext"]["tasks"]
    changed["optimise"] |= optimise
    changed["log"] |= log or {}
    return Recipe.model_validate(changed)


def rows_of(recipe):
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    selected = select_rows(recipe.data, tasks, recipe.optimise.pictures_a_step)
    return selected.train, selected.val


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def logged_steps(folder, field="loss"):
    return [line["step"] for line in log_of(folder) if field in line]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_writes_what_it_says(toys, tmp_path, workers):
    seen = []
    figures = train(PretextObjective, recipe_of(toys, workers=workers), tmp_path, seen.append)
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
        train(PretextObjective, recipe_of(toys, workers=workers), tmp_path / str(workers))
    assert (tmp_path / "0/network.safetensors").read_bytes() == (
        tmp_path / "1/network.safetensors"
    ).read_bytes()


KILLED = """
import sys, time
from pathlib import Path
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.objective import PretextObjective
from cameraborn.train.loop import train
recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_bytes())
train(PretextObjective, recipe, Path(sys.argv[2]), lambda progress: time.sleep(0.05))
"""


@pytest.mark.parametrize("network", ["patch", "resnet50 in float16, accumulating"])
def test_a_killed_run_resumes_to_the_bit(toys, faces, tmp_path, network):
    log = {"log_every": 1, "checkpoint_every": 7, "validate_every": 10}
    if network == "patch":
        recipe = recipe_of(toys, steps=30, dropout=0.3, log=log)
    elif network == "resnet50":
        recipe = face_recipe(faces, steps=16, log=log)
    else:
        recipe = face_recipe(faces, steps=16, batch_size=4, grad_accum_steps=2, precision="float16", log=log)
    train(PretextObjective, recipe, tmp_path / "whole")
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    run = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "recipe.json", run])
    try:
        deadline = time.monotonic() + 120
        while not (run / "checkpoint.safetensors").exists() or max(logged_steps(run)) < 9:
            assert process.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "network.safetensors").exists()

    resumed = []
    train(PretextObjective, recipe, run, resumed.append)
    assert resumed[0].step > 7
    for name in ("network.safetensors", "checkpoint.safetensors"):
        ours, theirs = load_file(run / name), load_file(tmp_path / "whole" / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    whole = tmp_path / "whole/network.safetensors"
    assert (run / "network.safetensors").read_bytes() == whole.read_bytes()
    assert logged_steps(run) == [*range(1, recipe.optimise.steps + 1)]
    timeless = [
        [
            {name: value for name, value in line.items() if name != "data_wait_share"}
            for line in log_of(folder)
        ]
        for folder in (run, tmp_path / "whole")
    ]
    assert timeless[0] == timeless[1]


def test_a_finished_run_is_left_as_it_is(toys, tmp_path):
    figures = train(PretextObjective, recipe_of(toys), tmp_path)
    before = (tmp_path / "network.safetensors").read_bytes(), (tmp_path / "log.jsonl").read_bytes()
    assert train(PretextObjective, recipe_of(toys), tmp_path) == figures
    assert ((tmp_path / "network.safetensors").read_bytes(), (tmp_path / "log.jsonl").read_bytes()) == before


def test_a_folder_belongs_to_one_recipe(toys, tmp_path):
    train(PretextObjective, recipe_of(toys, steps=1), tmp_path)
    with pytest.raises(RecipeError, match="another recipe: give another folder"):
        train(PretextObjective, recipe_of(toys, steps=2), tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(RecipeError, match=r"recipe\.json: damaged"):
        train(PretextObjective, recipe_of(toys, steps=1), tmp_path)


def test_a_recipe_written_before_a_field_existed_is_the_same_recipe(toys, tmp_path):
    train(PretextObjective, recipe_of(toys, steps=1), tmp_path)
    fields = json.loads((tmp_path / "recipe.json").read_text())
    del fields["network"]["dropout"]
    (tmp_path / "recipe.json").write_text(json.dumps(fields))
    train(PretextObjective, recipe_of(toys, steps=1), tmp_path)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "foreign", "no step"])
def test_a_damaged_checkpoint(toys, tmp_path, damage):
    train(PretextObjective, recipe_of(toys, steps=2), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    data, tensors = path.read_bytes(), load_file(path)
    if damage == "foreign":
        save_file({"network.encoder": torch.zeros(2)}, path, metadata={"step": "1"})
    elif damage == "no step":
        save_file(tensors, path)
    else:
        path.write_bytes({"cut": data[:-100], "garbage": b"\xff" * 500, "empty": b""}[damage])
    with pytest.raises(RecipeError) as caught:
        train(PretextObjective, recipe_of(toys, steps=2), tmp_path)
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
        train(PretextObjective, recipe_of(torn), tmp_path / "run")


def test_rows_for_research_only_are_never_trained_on(toys, tmp_path):
    def research(row):
        return {"research_only": int(row.path[-6:-4]) % 2 == 0}

    manifest = changed(toys, tmp_path / "m.jsonl", research)
    train_rows, val_rows = rows_of(recipe_of(manifest))
    assert len(train_rows) == 20
    assert not any(row.research_only for row in train_rows)
    assert sum(row.research_only for row in val_rows) == 8
    allowed, _ = rows_of(recipe_of(manifest, data={"allow_research_only": True}))
    assert len(allowed) == 40
    train(PretextObjective, recipe_of(manifest, steps=1), tmp_path / "run")
    forbidden = {row.sha256 for row in read_manifest(manifest) if row.research_only}
    seen = export_run(tmp_path / "run").seen
    assert len(seen) == 20
    assert not forbidden & set(seen)


@pytest.mark.parametrize(
    "network", [{}, {"pool": "all", "spectrum": True, "colour": True}], ids=["as it is", "all"]
)
def test_a_toy_is_learnt(toys, tmp_path, network):
    recipe = recipe_of(
        toys,
        network=network,
        tasks={"iso": 1.0},
        steps=80,
        batch_size=16,
        learning_rate=1e-2,
        ema=0.9,
        log={"validate_every": 80, "checkpoint_every": 80},
    )
    figures = train(PretextObjective, recipe, tmp_path)
    losses = [line["loss"] for line in log_of(tmp_path) if "loss" in line]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    assert figures["all/iso"] > 0.8


def test_the_recipe_for_continuous_integration_trains(faces, tmp_path):
    figures = train(PretextObjective, face_recipe(faces), tmp_path)
    kinds = {"portrait", "eye", "mouth", "mouth-vertical", "affine"}
    assert {name for name, value in figures.items() if math.isfinite(value)} == {
        *(f"{kind}/face" for kind in kinds),
        *(f"portrait/{tag}" for tag in ("iso", "fnumber", "exposure", "focal")),
    }
    losses = {"loss/iso", "loss/fnumber", "loss/exposure", "loss/focal", "loss/face"}
    for line in log_of(tmp_path):
        if "loss" in line:
            assert line["loss"] == pytest.approx(sum(line[name] for name in losses), abs=1e-5)  # Eq. 6


@pytest.mark.parametrize("tasks", [{"iso": 1.0, "focal": 1.0}, {"face": 1.0}])
def test_ablations_are_a_list_of_tasks(faces, tmp_path, tasks):
    figures = train(PretextObjective, face_recipe(faces, tasks=tasks, steps=2), tmp_path)
    assert {name.partition("/")[2] for name in figures} == set(tasks)
    assert {"face"} & set(tasks) or set(figures) == {"portrait/iso", "portrait/focal"}


def test_manipulated_faces_are_learnt(faces, tmp_path):
    """Without matching, the originals' grain tells: the shortcut of the authors' pipeline."""
    recipe = face_recipe(faces, tasks={"face": 1.0}, steps=30, batch_size=16, ema=0.8)
    sections = recipe.model_dump()
    sections["faces"] |= {"size": 96, "manipulation_side": 224, "match_resampling": False}
    train(PretextObjective, Recipe.model_validate(sections), tmp_path)
    losses = [line["loss"] for line in log_of(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_epochs_are_passes_over_the_photographs(toys, tmp_path):
    recipe = recipe_of(toys, steps=None, epochs=3, batch_size=8, grad_accum_steps=2)
    seen = []
    train(PretextObjective, recipe, tmp_path, seen.append)
    assert [progress.step for progress in seen] == [*range(1, 7)]  # 40 photographs, 16 a step


def test_accumulated_gradients_are_the_mean_of_the_batches(toys, tmp_path):
    recipe = recipe_of(toys, steps=1, batch_size=20, grad_accum_steps=2, grad_clip=0)
    train(PretextObjective, recipe, tmp_path)
    rows, _ = rows_of(recipe)
    tasks = [TASKS[name] for name in recipe.pretext.tasks]
    dataset = ARCHITECTURES["patches"].training(rows, tasks, recipe, MemoryBudget(64))
    torch.manual_seed(recipe.optimise.seed)
    network = build_network(recipe)
    for keys in EpochSampler(len(rows), 20, batches=2, first=0, seed=recipe.optimise.seed):
        patches, targets = (
            torch.stack(column) for column in zip(*(dataset[key] for key in keys), strict=True)
        )
        losses = task_losses(network(patches.float()), targets, tasks, recipe.pretext)
        (sum(recipe.pretext.tasks[name] * loss for name, loss in losses.items()) / 2).backward()
    first_moments = load_file(tmp_path / "checkpoint.safetensors")
    for (
        name,
        parameter,
    ) in network.named_parameters():  # after one step of Adam: (1 - beta) times the gradient
        moment = first_moments[f"optimiser.{name}.exp_avg"]
        torch.testing.assert_close(moment, 0.1 * parameter.grad, atol=1e-7, rtol=1e-4)


def test_one_value_of_a_tag_is_nothing_to_rank(toys, tmp_path):
    same = changed(toys, tmp_path / "same.jsonl", lambda row: {"exif": {"iso": 100.0, "make": "Canon"}})
    with pytest.raises(ManifestError, match=r"the same iso \(100\), so task 'iso' has no pairs"):
        train(PretextObjective, recipe_of(same), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_tag_that_is_absent_is_named_and_the_others_are_learnt(toys, tmp_path):
    """As SDAIE's fourteen, of which many cameras write thirteen."""
    without = changed(toys, tmp_path / "none.jsonl", lambda row: {"exif": {"iso": row.exif["iso"]}})
    told = []
    train(PretextObjective, recipe_of(without, steps=2), tmp_path / "run", notice=told.append)
    (line,) = told
    assert "all training photographs have no make, so task 'make' has no pairs to learn from" in line
    assert (tmp_path / "run" / "network.safetensors").is_file()


def test_labels_of_the_data_set_are_learnt(toys, tmp_path):
    """As SDAIE's published fourteen: rows have them and no EXIF."""
    labelled = changed(
        toys,
        tmp_path / "labels.jsonl",
        lambda row: {
            "exif": {},
            "labels": {"fc1": row.exif["iso"], "fc2": float(row.exif["make"] == "Canon")},
        },
    )
    told = []
    recipe = recipe_of(labelled, tasks={"fc1": 1.0, "fc2": 1.0, "fc3": 1.0}, steps=4)
    figures = train(PretextObjective, recipe, tmp_path / "run", notice=told.append)
    assert {name for name, value in figures.items() if math.isfinite(value)} >= {"all/fc1", "all/fc2"}
    (line,) = told
    assert "all training photographs have no label fc3, so task 'fc3' has no pairs" in line


def test_missing_pictures_are_found_before_the_training(toys, tmp_path):
    gone = changed(
        toys,
        tmp_path / "m.jsonl",
        lambda row: {"path": str(tmp_path / "07.png")} if row.path.endswith("07.png") else {},
    )
    with pytest.raises(ManifestError, match=r"1 of 56 pictures are missing, .*07\.png first") as caught:
        train(PretextObjective, recipe_of(gone), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_one_line(toys, tmp_path, workers):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    manifest = changed(
        toys,
        tmp_path / "m.jsonl",
        lambda row: {"path": str(bad)} if row.path.endswith("07.png") else {},
    )
    with pytest.raises(PictureError) as caught:
        train(PretextObjective, recipe_of(manifest, workers=workers, data={"cache_mb": 0}), tmp_path / "run")
    assert str(caught.value).startswith(str(bad))
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_ends_the_run(toys, tmp_path):
    with pytest.raises(RecipeError, match="lower learning_rate"):
        train(PretextObjective, recipe_of(toys, learning_rate=1e30, warmup=0, grad_clip=0), tmp_path)


FULL_DISK = """
import resource, sys
from pathlib import Path
from cameraborn.errors import RecipeError
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.objective import PretextObjective
from cameraborn.train.loop import train
recipe, run = Recipe.model_validate_json(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
def fill(progress):
    if progress.step == 3:  # a checkpoint is there; from now on no file may be as large
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
try:
    train(PretextObjective, recipe, run, fill)
except RecipeError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_older_checkpoint(toys, tmp_path):
    recipe = recipe_of(toys)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    run = tmp_path / "run"
    command = [sys.executable, "-c", FULL_DISK, tmp_path / "recipe.json", run]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "checkpoint.safetensors: cannot be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert not list(run.glob("*.part"))
    resumed = []
    train(PretextObjective, recipe, run, resumed.append)
    assert resumed[0].step == 3  # from the checkpoint of step 2
