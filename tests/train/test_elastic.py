"""The launch file for several machines: when a process dies, all are started anew and the run ends as if none had."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from ..command import posix, wait_until
from ..pretext.test_objective import face_recipe
from .test_processes import ENVIRONMENT, ROOT, as_toml

pytestmark = posix
STEPS = 24


@contextmanager
def launched(folder, name):
    """Two processes on this machine, started by the launch file; what they say goes into a file."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"PROCESSES": "2", "HEAD": f"localhost:{port}", "PYTHON": sys.executable, "RESTARTS": "1"}
    with (folder / f"{name}.txt").open("w") as said:
        agent = subprocess.Popen(
            [ROOT / "tools" / "train_nodes.sh", "recipe.toml", "-o", name],
            cwd=folder,
            env=ENVIRONMENT | settings,
            stdout=said,
            stderr=said,
        )
    try:
        yield agent
    finally:
        agent.terminate()  # it ends its processes
        agent.wait()


def trainers(agent):
    """The processes that train, by their ids."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    lines = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    return {int(pid) for pid, parent, words in lines if int(parent) == agent and "cameraborn train" in words}


def step_of(checkpoint):
    with safe_open(checkpoint, "pt") as file:
        return int(file.metadata()["step"])


@pytest.mark.long
def test_a_run_that_lost_a_process_ends_as_if_it_had_not(faces, tmp_path):
    log = {"checkpoint_every": 1, "log_every": 1, "validate_every": STEPS}
    recipe = face_recipe(faces, tasks={"iso": 1.0, "face": 1.0}, log=log, steps=STEPS)
    (tmp_path / "recipe.toml").write_text(as_toml(recipe))
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    with launched(tmp_path, "killed") as agent:
        wait_until(lambda: checkpoint.exists() or agent.poll() is not None, seconds=300)
        first = trainers(agent.pid)
        assert len(first) == 2, (tmp_path / "killed.txt").read_text()
        os.kill(min(first), signal.SIGKILL)
        stopped = step_of(checkpoint)
        wait_until(lambda: len(trainers(agent.pid) - first) == 2 or agent.poll() is not None, seconds=300)
        assert len(trainers(agent.pid) - first) == 2, (tmp_path / "killed.txt").read_text()
        assert agent.wait() == 0, (tmp_path / "killed.txt").read_text()
    assert 1 <= stopped < step_of(checkpoint) == STEPS
    with launched(tmp_path, "whole") as agent:
        assert agent.wait() == 0, (tmp_path / "whole.txt").read_text()
    killed, whole = (load_file(tmp_path / name / "network.safetensors") for name in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    assert all(killed[name].equal(whole[name]) for name in whole)
    assert any(value.abs().max() > 0 for value in whole.values())
