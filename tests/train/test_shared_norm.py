"""Batch normalisation over two processes is that of one: outputs, gradients, running statistics."""

import torch
from safetensors.torch import load_file
from torch import nn

from cameraborn.train.shared_norm import SharedBatchNorm2d, share_batch_norm

from .test_processes import batch, total, two_processes

SCRIPT = """
import sys
from safetensors.torch import save_file
from cameraborn.train.processes import process_group
from tests.train.test_shared_norm import after_a_step
with process_group() as processes:
    save_file(after_a_step(processes), sys.argv[1] + str(processes.rank))
"""


def after_a_step(processes):
    """The outputs, gradients and buffers of a network in training, from this process's part of the batch."""
    network, pixels, targets = batch()
    network.train()
    if processes.world > 1:
        share_batch_norm(network)
    share = len(pixels) // processes.world
    own = slice(processes.rank * share, (processes.rank + 1) * share)
    model = nn.parallel.DistributedDataParallel(network) if processes.world > 1 else network
    outputs = {name: processes.gather(output) for name, output in model(pixels[own]).items()}
    (total(outputs, processes.gather(targets[own])) * processes.world).backward()
    found = {f"output {name}": value.detach() for name, value in outputs.items()}
    found |= {f"gradient {name}": p.grad.clone() for name, p in network.named_parameters()}
    return found | {f"buffer {name}": value.clone() for name, value in network.named_buffers()}


def test_two_processes_take_the_step_of_one(tmp_path):
    from cameraborn.train.processes import Processes

    (tmp_path / "step.py").write_text(SCRIPT)
    done = two_processes("step.py", "of", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = after_a_step(Processes(torch.device("cpu")))
    for rank in (0, 1):
        shared = load_file(tmp_path / f"of{rank}")
        assert set(shared) == set(alone)
        for name, value in alone.items():
            torch.testing.assert_close(
                shared[name], value, atol=1e-5, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}"
            )


def test_names_and_evaluation_stay_torchs():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    plain(torch.rand(5, 3, 8, 8))
    state, pixels = (
        {name: value.clone() for name, value in plain.state_dict().items()},
        torch.rand(2, 3, 8, 8),
    )
    expected = plain.eval()(pixels)
    share_batch_norm(plain)
    assert type(plain[1]) is SharedBatchNorm2d
    assert list(plain.state_dict()) == list(state)
    assert torch.equal(plain(pixels), expected)
