"""`cameraborn import-checkpoint --layout` of a rival, as users meet it."""

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cameraborn.rivals import NETWORKS
from cameraborn.rivals.ladeda import TinyLadedaNetwork
from cameraborn.rivals.scoring import open_rival
from tests.command import run, run_here


@pytest.fixture
def published(tmp_path):
    torch.save(TinyLadedaNetwork().state_dict(), tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


def test_a_rivals_checkpoint_becomes_weights_that_score(published, tmp_path):
    arguments = ("import-checkpoint", "theirs.pth", "--layout", "tiny-ladeda", "-o", "new/ours.safetensors")
    code, _, error = run(*arguments, cwd=tmp_path)
    assert code == 0, error
    sha256 = hashlib.sha256(published.read_bytes()).hexdigest()
    assert error == (
        f"new/ours.safetensors: tiny-ladeda, from a file of sha256 {sha256}; now name it in a benchmark or a recipe: "
        'weights = ["new/ours.safetensors"]\n'
    )
    with safe_open(tmp_path / "new" / "ours.safetensors", framework="pt") as file:
        assert file.metadata() == {"network": "tiny-ladeda", "layout": "tiny-ladeda", "sha256": sha256}
    rival = open_rival("tiny-ladeda", [tmp_path / "new" / "ours.safetensors"])
    assert rival.loaded == {"network": sha256}


def test_another_file_than_the_published_one_is_imported_and_told(tmp_path):
    save_file(NETWORKS["taesd-decoder"]().state_dict(), tmp_path / "mine.safetensors")
    command = ("import-checkpoint", "mine.safetensors", "--layout", "taesd-decoder", "-o", "ours.safetensors")
    code, _, error = run_here(*command, cwd=tmp_path)
    assert (code, error.count("\n")) == (0, 2), error
    assert (
        "mine.safetensors: its sha256 is not that of the published file taesd_decoder.safetensors (" in error
    )
    assert (tmp_path / "ours.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--layout", "tiny-ladedo"), "no layout is called 'tiny-ladedo': did you mean 'tiny-ladeda'?"),
        (("--layout", "torchvison"), "no layout is called 'torchvison': did you mean 'torchvision'?"),
        (("--layout", "npr"), "does not fit layout npr: missing: "),
        (("--layout", "tiny-ladeda", "--new-fc"), "--new-fc: not for layout tiny-ladeda"),
        (("--layout", "tiny-ladeda", "--sentences", "s.csv"), "--sentences: not for layout tiny-ladeda"),
    ],
)
def test_a_wrong_layout_is_answered_and_writes_nothing(published, tmp_path, options, said):
    command = ("import-checkpoint", "theirs.pth", *options, "-o", "ours.safetensors")
    code, _, error = run_here(*command, cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert said in error
    assert not (tmp_path / "ours.safetensors").exists()


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        (("npr",), "its keys are those of layout npr: give --layout npr\n"),
        (("gramnet",), "its keys are those of layout gramnet: give --layout gramnet\n"),
        (
            ("taesd-encoder", "taesdxl-encoder"),
            "its keys are those of layouts taesd-encoder, taesdxl-encoder: give the one that it was published in as "
            "--layout\n",
        ),
        (
            ("resnet50",),
            "the last layer of layout torchvision gives classes, and no feature: ask for a new one with --new-fc; or, "
            "for a rival: its keys are those of layout resnet50: give --layout resnet50\n",
        ),
    ],
)
def test_without_a_layout_that_of_the_same_keys_is_named(tmp_path, networks, said):
    torch.save(NETWORKS[networks[0]]().state_dict(), tmp_path / "theirs.pth")
    code, _, error = run_here("import-checkpoint", "theirs.pth", "-o", "ours.safetensors", cwd=tmp_path)
    assert (code, error) == (2, f"cameraborn: theirs.pth: {said}")
    assert not (tmp_path / "ours.safetensors").exists()
    for network in networks:
        command = ("import-checkpoint", "theirs.pth", "--layout", network, "-o", f"{network}.safetensors")
        assert run_here(*command, cwd=tmp_path)[0] == 0


def test_a_file_of_one_key_more_is_of_no_rivals_layout(published, tmp_path):
    state = TinyLadedaNetwork().state_dict()
    torch.save(state | {"more": torch.zeros(1)}, published)
    code, _, error = run_here("import-checkpoint", "theirs.pth", "-o", "ours.safetensors", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert "its keys are those of" not in error
    (tmp_path / "page.pth").write_text("<html>")
    code, _, error = run_here("import-checkpoint", "page.pth", "-o", "ours.safetensors", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert "torch knows no such file" in error


@pytest.mark.parametrize("layout", [("--layout", "tiny-ladeda"), ()])
@pytest.mark.parametrize("name", ["out.pth", "out", "out.safetensors.gz", "out.SAFETENSORS"])
def test_weights_are_written_under_their_own_ending_alone(published, tmp_path, name, layout):
    code, _, error = run_here("import-checkpoint", "theirs.pth", *layout, "-o", name, cwd=tmp_path)
    assert (code, error) == (
        2,
        f"cameraborn: {name}: weights are written as safetensors, and read by their ending: end it in .safetensors\n",
    )
    assert not (tmp_path / name).exists()


def test_sentences_are_not_written_over(published, tmp_path):
    table = tmp_path / "s.safetensors"  # the ending that the output must have
    table.write_text("task,answer,sentence\n")
    command = ("import-checkpoint", "theirs.pth", "--sentences", table, "-o", table, "--overwrite")
    code, _, error = run_here(*command, cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert "s.safetensors: this command reads it and would write to it" in error
    assert table.read_text() == "task,answer,sentence\n"


def test_weights_of_a_run_stay_beside_the_record_of_what_they_have_seen(tmp_path):
    save_file({"encoder.conv1.weight": torch.zeros(1)}, tmp_path / "network.safetensors")
    code, _, error = run_here(
        "import-checkpoint", "network.safetensors", "-o", "ours.safetensors", cwd=tmp_path
    )
    assert (code, error.count("\n")) == (2, 1)
    assert "weights of a run" in error
    assert not (tmp_path / "ours.safetensors").exists()
