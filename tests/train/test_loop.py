"""One loop for every objective: interrupted runs resume to the bit, and several processes train one run."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cameraborn.binary.objective import BinaryObjective
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.data.manifest import Row, read_manifest, write_manifest
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.recipe import Recipe
from cameraborn.pseudo.autoencoders import AutoencodersRecipe, train_autoencoders
from cameraborn.train.loop import train
from cameraborn.train.run_folder import read_record

from ..pretext.test_objective import toys  # noqa: F401 (a fixture)
from .test_processes import as_toml, two_processes

LOG = {"log_every": 1, "validate_every": 4, "checkpoint_every": 3}
ENCODER = {"type": "patch", "widths": [6, 8, 8, 8], "features": 8, "dropout": 0.2}


@dataclass
class Training:
    """What a kind of recipe needs to be trained by a test."""

    fields: dict[str, Any]
    recipe: type
    run: Any
    state: str = "."  # folder of the checkpoint and the log, inside the run's
    network: str = "network.safetensors"

    def with_(self, **optimise):
        settings = {
            "steps": 8,
            "batch_size": 8,
            "warmup": 2,
            "precision": "float32",
            "threads": 1,
            "workers": 0,
        }
        return self.recipe.model_validate(self.fields | {"log": LOG, "optimise": settings | optimise})


@pytest.fixture(params=["pretext", "binary", "autoencoders"])
def training(request, toys, tmp_path_factory):  # noqa: F811
    data = {"manifest": str(toys)}
    if request.param == "pretext":
        fields = {"data": data, "network": ENCODER, "pretext": {"tasks": {"iso": 1.0, "make": 0.1}}}
        return Training(fields, Recipe, partial(train, PretextObjective))
    if request.param == "autoencoders":
        small = {"name": "a", "upsampling": "nearest", "factor": 4, "latent": 3, "width": 4, "texture": True}
        fields = {"kind": "autoencoders", "data": data, "autoencoders": [small]}
        return Training(fields, AutoencodersRecipe, train_autoencoders, "a", "a.safetensors")
    folder = tmp_path_factory.mktemp("binary")
    write_manifest((labelled(row) for row in read_manifest(toys)), folder / "m.jsonl")
    fields = {
        "kind": "binary",
        "data": {"manifest": str(folder / "m.jsonl")},
        "network": ENCODER,
        "weights": str(folder / "weights.safetensors"),
    }
    made = Training(fields, BinaryRecipe, partial(train, BinaryObjective))
    encoder = made.with_().network.encoder().state_dict()
    save_file({f"encoder.{name}": value for name, value in encoder.items()}, fields["weights"])
    return made


def labelled(row: Row) -> Row:
    label = "generated" if int(Path(row.path).stem) % 2 else "photo"
    return row.model_copy(update={"label": label, "generator": "gan" if label == "generated" else ""})


def log_of(folder):
    """The log without what depends on the time of day."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "data_wait_share"} for line in lines]


def steps_of(folder):
    return [line["step"] for line in log_of(folder) if "loss" in line]


def losses_of(folder):
    return [line["loss"] for line in log_of(folder) if "loss" in line]


def same(one, other):
    ours, theirs = load_file(one), load_file(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "settings", [{}, {"grad_accum_steps": 2, "batch_size": 4, "precision": "bfloat16", "ema": 0.5}]
)
def test_an_interrupted_run_resumes_to_the_bit(training, tmp_path, settings):
    def stop(progress):
        if progress.step == 5:  # two steps behind the checkpoint
            raise KeyboardInterrupt

    recipe = training.with_(**settings)
    training.run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        training.run(recipe, tmp_path / "stopped", stop)
    resumed = []
    training.run(recipe, tmp_path / "stopped", resumed.append)
    assert [progress.step for progress in resumed] == [4, 5, 6, 7, 8]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert same(whole / training.network, stopped / training.network)
    assert same(
        whole / training.state / "checkpoint.safetensors", stopped / training.state / "checkpoint.safetensors"
    )
    assert log_of(whole / training.state) == log_of(stopped / training.state)


def test_gradients_are_accumulated(training, tmp_path):
    """The first moment of Adam after one step is 1 - beta of the mean gradient of the batches."""
    settings = {"steps": 1, "grad_clip": 0}
    training.run(training.with_(grad_accum_steps=2, **settings), tmp_path / "two")
    training.run(training.with_(**settings), tmp_path / "one")
    two, one = (load_file(tmp_path / n / training.state / "checkpoint.safetensors") for n in ("two", "one"))
    moments = [name for name in one if name.endswith("exp_avg")]
    assert moments
    assert any(not torch.equal(one[name], two[name]) for name in moments)
    logged = log_of(tmp_path / "two" / training.state)[-1]
    parts = {name: value for name, value in logged.items() if name.startswith("loss/")}
    assert logged["loss"] == pytest.approx(
        sum(weight(training, name) * parts[name] for name in parts), abs=1e-4
    )


def weight(training, name):
    weights = {"loss/make": 0.1, "loss/distance": 0.05, "loss/gradients": 0.5}
    return weights.get(name, 1.0)


@pytest.mark.parametrize(  # pretext: test_processes.py
    "training", ["binary", pytest.param("autoencoders", marks=pytest.mark.long)], indirect=True
)
def test_two_processes_train_one_run(training, tmp_path):
    """Losses are of the whole batch: the first step's is that of one process, but for batch statistics."""
    recipe = training.with_(steps=3, grad_accum_steps=2)
    (tmp_path / "recipe.toml").write_text(as_toml(recipe))
    done = two_processes("-m", "cameraborn", "train", "recipe.toml", "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert steps_of(tmp_path / "run" / training.state) == [1, 2, 3]
    assert done.stderr.count("trained; now") == 1
    training.run(training.with_(steps=1, grad_accum_steps=2), tmp_path / "alone")
    ours, theirs = (losses_of(tmp_path / name / training.state)[0] for name in ("run", "alone"))
    assert ours == pytest.approx(theirs, rel=0.3)


def test_a_compiled_network_trains_as_another(training, tmp_path, monkeypatch):
    """By torch's tracer alone: what it hands the code to takes a minute, and a compiler of C++."""
    traced = []

    def backend(graph, inputs):
        traced.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    training.run(training.with_(steps=3), tmp_path / "plain")
    assert not traced
    training.run(training.with_(steps=3, compile=True), tmp_path / "compiled")
    assert traced
    plain, compiled = (tmp_path / name for name in ("plain", "compiled"))
    assert losses_of(compiled / training.state) == pytest.approx(losses_of(plain / training.state), rel=1e-4)
    ours, theirs = load_file(compiled / training.network), load_file(plain / training.network)
    assert ours.keys() == theirs.keys()  # no name tells that it was compiled


@pytest.mark.long  # the same of pretext is refused each time: test_processes.py
@pytest.mark.parametrize("training", ["autoencoders"], indirect=True)
def test_a_batch_that_cannot_be_divided_is_refused(training, tmp_path):
    (tmp_path / "recipe.toml").write_text(as_toml(training.with_(batch_size=7)))
    done = two_processes("-m", "cameraborn", "train", "recipe.toml", "-o", "run", cwd=tmp_path)
    assert done.returncode != 0
    assert "optimise.batch_size = 7 cannot be divided between 2 processes" in done.stderr
    assert not (tmp_path / "run").exists()


def test_what_is_learnt_from_is_recorded_as_training_starts(training, tmp_path):
    rows = list(read_manifest(Path(training.fields["data"]["manifest"])))
    rows[0] = rows[0].model_copy(update={"original": "e" * 64})
    write_manifest(rows, tmp_path / "m.jsonl")
    training.fields["data"] = {"manifest": str(tmp_path / "m.jsonl")}

    def first(progress):
        held = {row.sha256 for row in rows if row.split == "train"} | {"e" * 64}
        assert set(read_record(tmp_path / "run").seen) == held
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(training.with_(), tmp_path / "run", first)


def test_a_run_whose_manifest_has_changed_is_refused(training, tmp_path):
    rows = list(read_manifest(Path(training.fields["data"]["manifest"])))
    write_manifest(rows, tmp_path / "m.jsonl")
    training.fields["data"] = {"manifest": str(tmp_path / "m.jsonl")}
    training.run(training.with_(steps=1), tmp_path / "run")
    write_manifest([*rows[1:], rows[0]], tmp_path / "m.jsonl")
    with pytest.raises(RecipeError, match="has changed since this run started") as caught:
        training.run(training.with_(steps=1), tmp_path / "run")
    assert "\n" not in str(caught.value)
    write_manifest(rows, tmp_path / "m.jsonl")
    training.run(training.with_(steps=1), tmp_path / "run")
    (tmp_path / "run" / "data.json").unlink()
    with pytest.raises(RecipeError, match="older release"):
        training.run(training.with_(steps=1), tmp_path / "run")


def test_missing_pictures_are_found_before_the_training(training, tmp_path):
    rows = list(read_manifest(Path(training.fields["data"]["manifest"])))
    write_manifest(
        [rows[0].model_copy(update={"path": str(tmp_path / "gone.png")}), *rows[1:]], tmp_path / "m.jsonl"
    )
    training.fields["data"] = {"manifest": str(tmp_path / "m.jsonl")}
    with pytest.raises(ManifestError, match="pictures are missing"):
        training.run(training.with_(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
