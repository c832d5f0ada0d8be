"""One training in one or many processes: who am I, what do the others have, who writes.

`torchrun` starts the processes and tells each in the environment who it is. Each takes an equal part of every batch;
outputs are gathered, so that pairs span the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import torch
from torch import Tensor, distributed

_PATIENCE = timedelta(hours=2)  # others wait while the first validates


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that reports and writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            distributed.barrier()

    def all_equal(self, number: int) -> bool:
        """Whether all processes have the same number."""
        return bool((self.gather(torch.tensor([number], device=self.device)) == number).all())

    def gather(self, value: Tensor) -> Tensor:
        """What every process has [b ...], one after another in the order of their ranks: [world*b ...].

        Only this process's own part carries a gradient. A loss of the gathered whole is the same in all of them, and
        each has the gradient by its own part; multiplied by `world`, their mean, which is what
        DistributedDataParallel makes, is the gradient that one process would have.
        """
        if self.world == 1:
            return value
        parts = [torch.empty_like(value) for _ in range(self.world)]
        distributed.all_gather(parts, value.detach().contiguous())
        parts[self.rank] = value
        return torch.cat(parts)

    def mean(self, value: Tensor) -> Tensor:
        """The processes' mean of a scalar that each has of its own, equal part of a batch; see `gather`."""
        return value if self.world == 1 else self.gather(value[None]).mean()


def is_main() -> bool:
    """Whether this process is the one that reports, also before and after training."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def process_group() -> Iterator[Processes]:
    """Meet the other processes of this run, if torchrun started any.

    Let go of what DistributedDataParallel wraps before the end: if it is the last to hold the group, gloo's threads are
    waited for under the interpreter's lock, and a thread that waits for the lock never ends.
    """
    cuda = torch.cuda.is_available()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(torch.device("cuda" if cuda else "cpu"))
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    # Torch imports this with the first optimiser, and its functions' defaults are the group of that moment: imported
    # after the meeting, it would hold the group to the interpreter's end, where gloo's threads may abort the process.
    import_module("torch.distributed.nn.functional")
    distributed.init_process_group(
        "nccl" if cuda else "gloo", timeout=_PATIENCE, device_id=device if cuda else None
    )
    try:
        yield Processes(device, distributed.get_rank(), world)
    finally:
        distributed.destroy_process_group()
