"""A rival from its recipe to a row of a benchmark, as users do it."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.rivals import NETWORKS
from tests.command import run_here as run

RECIPE = """
kind = "rival"
rival = "tiny-ladeda"
[data]
manifest = "data.jsonl"
[optimise]
learning_rate = 1e-3
steps = 2
batch_size = 4
threads = 1
workers = 0
"""
BENCH = """
output = "out"
detectors = ["brightness"]
draws = 100
false_alarm_rate = 0.1
[[sets]]
name = "test"
manifest = "data.jsonl"
split = "test"
[calibration]
manifests = ["data.jsonl"]
split = "held-out"
"""


@pytest.fixture
def folder(tmp_path):
    """Pictures in four splits, half of them generated but among those held out."""
    rows = []
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        split = ("train", "val", "test")[number // 6 % 3] if number < 18 else "held-out"
        label = "generated" if number % 2 and number < 18 else "photo"
        rows.append(Row(path=str(path), sha256=sha256_of(path), split=split, label=label, group=path.name))
    write_manifest(rows, tmp_path / "data.jsonl")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "bench.toml").write_text(BENCH, encoding="utf-8")
    return tmp_path


def test_a_rival_is_trained_and_measured(folder):
    code, out, error = run("train", "recipe.toml", "-o", "run", cwd=folder)
    assert code == 0, error
    assert "auc: " in out
    assert error.endswith('run: trained; now name it in a benchmark: weights = ["run/network.safetensors"]\n')
    code, _, error = run("export", "run", "-o", "bundle", cwd=folder)
    assert (code, error) == (
        2,
        "cameraborn: run: holds a rival, which is no bundle: name its network.safetensors as weights in a benchmark\n",
    )
    arguments = ("--rival", "tiny-ladeda", "--weights", "run/network.safetensors")
    (folder / "whole.toml").write_text(
        BENCH.replace(
            '"brightness"',
            '{rival = "tiny-ladeda", whole_image = true, weights = ["run/network.safetensors"]}',
        )
    )
    code, _, error = run("bench", "whole.toml", cwd=folder)
    assert code == 0, error
    with (folder / "out" / "scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["detector"] for row in rows} == {"tiny-ladeda", "tiny-ladeda (own threshold)"}
    assert all(row["scope"] == "ok" for row in rows)
    code, _, error = run("bench", "run", "bench.toml", *arguments, cwd=folder)
    assert code == 2
    assert "none of the held-out photographs shows a usable face" in error
    code, _, error = run("bench", "bench.toml", "--rival", "npr", cwd=folder)
    assert (code, error.count("\n")) == (2, 1)
    assert "npr: no weights of the network npr were given: NPR.pth, published at" in error
    code, _, error = run("bench", "bench.toml", "--weights", "run/network.safetensors", cwd=folder)
    assert (code, error) == (
        2,
        "cameraborn: --weights means nothing without --encoder or --rival, whose they are: leave it out\n",
    )


@pytest.mark.parametrize("listed", [False, True])
def test_an_encoder_that_would_not_be_measured_is_refused(folder, listed):
    torch.manual_seed(0)
    metadata = {"network": "efficientnet-lite0", "layout": "efficientnet-lite0", "sha256": "ab" * 32}
    save_file(NETWORKS["efficientnet-lite0"]().state_dict(), folder / "lite0.safetensors", metadata)
    arguments = ("--encoder", "efficientnet-lite0", "--weights", "lite0.safetensors")
    if listed:
        encoder = '{encoder = "efficientnet-lite0", weights = ["lite0.safetensors"]}'
        (folder / "bench.toml").write_text(BENCH.replace('"brightness"', f'"brightness", {encoder}'))
        arguments = ()
    for verb in ((), ("run",)):
        code, out, error = run("bench", *verb, "bench.toml", *arguments, cwd=folder)
        assert (code, out, error) == (
            2,
            "",
            "cameraborn: efficientnet-lite0: encoders have no score of their own, and would not be measured: add "
            "--protocol aigfd, or measure with 'bench table2'\n",
        )
    assert not (folder / "out").exists()
    code, _, error = run("bench", "bench.toml", *arguments, "--protocol", "aigfd", cwd=folder)
    assert (code, "the configuration has no [protocol]" in error) == (2, True)
