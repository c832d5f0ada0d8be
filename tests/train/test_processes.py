"""Two processes over gloo learn what one does: the same pairs, the same gradients, one set of files."""

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel

from cameraborn.networks.resnet import ResNet, ResNetRanker
from cameraborn.pretext.objective import PretextObjective, task_losses
from cameraborn.pretext.recipe import PretextSection, Recipe
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.loop import train

from ..pretext.test_objective import face_recipe

NAMES = {"iso": 1.0, "make": 0.5, "face": 1.0}
TASK_LIST = [TASKS[name] for name in NAMES]


def batch():
    """A network in evaluation, so that no statistics depend on who has which pictures, and a batch of 8."""
    torch.manual_seed(0)
    sizes = {task.name: task.outputs for task in TASK_LIST}
    network = ResNetRanker(ResNet(layers=(1, 1, 1, 1), width=4, features=6), sizes).eval()
    nan = math.nan
    targets = torch.tensor(
        [
            [100, 1, 0],
            [200, 2, 1],
            [nan, nan, 1],
            [100, 0, nan],
            [400, 3, 0],
            [50, 1, 1],
            [nan, 2, 0],
            [800, nan, nan],
        ],
        dtype=torch.float64,
    )
    return network, torch.rand(8, 3, 64, 64) * 255, targets


def total(outputs, targets):
    losses = task_losses(outputs, targets, TASK_LIST, PretextSection(tasks=NAMES))
    return sum(NAMES[name] * loss for name, loss in losses.items())


def size_of(outputs):
    """A loss that is a mean over pictures, and needs no gathering."""
    return outputs["iso"].square().mean()


SCRIPT = """
import sys
from safetensors.torch import save_file
from cameraborn.train.processes import process_group
from tests.train.test_processes import gradients
with process_group() as processes:
    save_file(gradients(processes), sys.argv[1] + str(processes.rank))
"""


def gradients(processes):
    """The whole batch's, by every parameter, from the part of it that this process has."""
    network, pixels, targets = batch()
    own = slice(processes.rank * 4, processes.rank * 4 + 4)
    model = DistributedDataParallel(network)  # it must live until the backward pass
    own_outputs = model(pixels[own])
    outputs = {name: processes.gather(output) for name, output in own_outputs.items()}
    loss = total(outputs, processes.gather(targets[own])) + processes.mean(size_of(own_outputs))
    (loss * processes.world).backward()
    assert processes.all_equal(7)
    assert not processes.all_equal(processes.rank)
    return {name: parameter.grad for name, parameter in network.named_parameters()}


ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


def torchrun(*command, cwd):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command]
    return subprocess.run([sys.executable, *words], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)


def two_processes(*command, cwd):
    """As torchrun starts them, without a third process that imports torch to start them: what both have said."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=ENVIRONMENT | world | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        said = [process.communicate(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()
    code = max(abs(process.returncode) for process in started)
    return subprocess.CompletedProcess(command, code, *map("".join, zip(*said, strict=True)))


def test_gradients_of_two_processes_are_those_of_one(tmp_path):
    (tmp_path / "gradients.py").write_text(SCRIPT)
    done = two_processes("gradients.py", "of", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    network, pixels, targets = batch()
    outputs = network(pixels)
    (total(outputs, targets) + size_of(outputs)).backward()
    for rank in range(2):
        theirs = load_file(tmp_path / f"of{rank}")
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(theirs[name], parameter.grad, atol=1e-5, rtol=0)
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters() if parameter.ndim > 1)


LEAVE = """
import weakref, torch
from torch import distributed
from cameraborn.train.processes import process_group
with process_group():
    torch.optim.Adam(torch.nn.Linear(2, 2).parameters())  # the first one imports much of torch
    group = weakref.ref(distributed.group.WORLD)
    assert group() is not None
assert group() is None
"""


def test_nothing_holds_the_group_of_processes_after_they_have_parted(tmp_path):
    """What still held it at the interpreter's end would leave gloo's threads running, which may abort the process."""
    (tmp_path / "leave.py").write_text(LEAVE)
    done = two_processes("leave.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def as_toml(recipe):
    fields = recipe.model_dump(mode="json", exclude_none=True)
    plain = [
        f"{name} = {json.dumps(value)}"
        for name, value in fields.items()
        if not isinstance(value, dict | list)
    ]
    sections = [(f"[{name}]", value) for name, value in fields.items() if isinstance(value, dict)]
    sections += [
        (f"[[{name}]]", value) for name in fields if isinstance(fields[name], list) for value in fields[name]
    ]
    lines = plain
    for head, section in sections:
        lines.append(head)
        for field, value in section.items():
            inline = isinstance(value, dict)
            text = ", ".join(f"{k} = {v}" for k, v in value.items()) if inline else json.dumps(value)
            lines.append(f"{field} = {{ {text} }}" if inline else f"{field} = {text}")
    return "\n".join(lines)


def test_torchrun_trains_one_run(faces, tmp_path):
    recipe = face_recipe(faces, tasks={"iso": 1.0, "face": 1.0}, steps=3, grad_accum_steps=2)
    (tmp_path / "recipe.toml").write_text(as_toml(recipe))
    done = torchrun("-m", "cameraborn", "train", "recipe.toml", "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("portrait/iso: ") == 1  # the first process alone reports
    run = tmp_path / "run"
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint.safetensors",
        "data.json",
        "log.jsonl",
        "network.safetensors",
        "recipe.json",
        "tensorboard",
    ]
    # One process goes on with it, and finds it finished.
    assert train(PretextObjective, Recipe.model_validate_json((run / "recipe.json").read_bytes()), run)
    losses = [json.loads(line).get("loss") for line in (run / "log.jsonl").read_text().splitlines()]
    alone = face_recipe(faces, tasks={"iso": 1.0, "face": 1.0}, steps=1, grad_accum_steps=2)
    train(PretextObjective, alone, tmp_path / "alone")
    first = json.loads((tmp_path / "alone" / "log.jsonl").read_text().splitlines()[-1])["loss"]
    # Before the first step the network is the same; batch statistics are each process's own without CUDA.
    assert losses[0] == pytest.approx(first, rel=0.2)


def test_a_batch_that_cannot_be_divided_is_refused(faces, tmp_path):
    (tmp_path / "recipe.toml").write_text(as_toml(face_recipe(faces, batch_size=7)))
    done = torchrun("-m", "cameraborn", "train", "recipe.toml", "-o", "run", cwd=tmp_path)
    assert done.returncode != 0
    assert "optimise.batch_size = 7 cannot be divided between 2 processes" in done.stderr
    assert not (tmp_path / "run").exists()
