"""Files that hold code are told by their names inside, and the commands that save their weights alone do so."""

import hashlib
import pickle
import shlex
import subprocess
import sys

import pytest
import torch

from cameraborn.train.plain_state import (
    first_name,
    is_plain_pickle,
    is_torchscript,
    plain_name,
    saving_command,
)
from cameraborn.train.weights import read_weights


def run(command, folder):
    """The command as a user's shell runs it, with the Python of the tests."""
    assert "\n" not in command
    command = command.replace("python", shlex.quote(sys.executable), 1)
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_an_archive_whose_sum_is_the_published_one(tmp_path, linear):
    file = tmp_path / "its file.pt"
    torch.jit.save(torch.jit.script(linear), file)
    assert is_torchscript(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    refused = run(saving_command(file.name, archive=True, sha256="0" * 64), tmp_path)
    assert refused.returncode != 0
    assert "AssertionError" in refused.stderr
    assert not (tmp_path / "its file-state.pt").exists()
    done = run(saving_command(file.name, archive=True, sha256=sha256), tmp_path)
    assert done.returncode == 0, done.stderr
    saved = tmp_path / plain_name(file.name)
    assert not is_torchscript(saved)
    assert torch.equal(read_weights(saved)["weight"], linear.weight)


@pytest.mark.parametrize("wrapper", ["", "model", "state_dict"])
def test_of_a_pickled_module_and_of_a_checkpoint_with_more_in_it(tmp_path, linear, wrapper):
    held = {wrapper: linear.state_dict(), "by": torch.nn.ReLU()} if wrapper else linear
    torch.save(held, tmp_path / "theirs.pth")
    assert not is_torchscript(tmp_path / "theirs.pth")
    done = run(saving_command("theirs.pth", archive=False), tmp_path)
    assert done.returncode == 0, done.stderr
    assert torch.equal(read_weights(tmp_path / "theirs-state.pth")["weight"], linear.weight)


@pytest.mark.parametrize(
    ("held", "name"), [({"a": 3, "b": "text"}, ""), ([len], "builtins.len"), (torch.Size, "torch.Size")]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_a_plain_pickle_asks_for_is_listed(tmp_path, held, name, protocol):
    file = tmp_path / "plain.pth"
    file.write_bytes(pickle.dumps(held, protocol=protocol))
    assert is_plain_pickle(file)
    assert first_name(file) == (name.replace("builtins", "__builtin__") if protocol == 2 else name)


def test_what_torch_saves_is_no_plain_pickle(tmp_path, linear):
    for archive in (True, False):
        torch.save(linear.state_dict(), tmp_path / "theirs.pth", _use_new_zipfile_serialization=archive)
        assert not is_plain_pickle(tmp_path / "theirs.pth")
