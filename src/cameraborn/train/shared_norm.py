"""Batch normalisation by the statistics of the whole batch, where several processes have a part of it each.

Torch's own works on CUDA alone; this one exchanges sums over whatever the processes talk by, gloo included. Gradients
flow through the exchanged sums too, so that a step is the one that a single process would make (to float32's rounding).
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of maps [N C H W] whose other N are in other processes, as many in each.

    It has the names and, outside training, the arithmetic of torch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N C H W] to the same shape."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.autocast(x.device.type, enabled=False):
            values = x.float()
            count = values.numel() // values.shape[1] * distributed.get_world_size()
            mean = _sum(values.sum(dim=(0, 2, 3))) / count
            centred = values - mean[:, None, None]
            # In a second pass: of large means the difference of two sums would keep few digits.
            variance = _sum(centred.square().sum(dim=(0, 2, 3))) / count
            scaled = centred * ((variance + self.eps).rsqrt() * self.weight)[:, None, None]
            out = scaled + self.bias[:, None, None]
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum or 0.0)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum or 0.0)
        return out.to(x.dtype)


def share_batch_norm(network: nn.Module) -> None:
    """Make every batch normalisation of a network a shared one, in place; its state stays as it is."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d


def _sum(value: Tensor) -> Tensor:
    """The sum over all processes, with a gradient."""
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(value, op=distributed.ReduceOp.SUM)  # type: ignore[no-untyped-call]
    return total
