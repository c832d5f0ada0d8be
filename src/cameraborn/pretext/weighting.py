"""Weights of the pretext tasks, learnt beside the network: BLADES' bi-level optimisation (arXiv 2507.22824).

The lower level trains the network on the weighted sum of all tasks' losses; the upper level asks of each weight
whether the step it causes lowers the loss of one primary task on other photographs, or another objective on them
(`upper`). With the network's parameters t,
weights w, losses l_i and the learning rate a:

    t'      = t - a (v + grad_t sum_i w_i l_i(lower; t) + decay t)       a virtual step; v: momentum, if there is any
    g       = grad_t l_primary(upper; t')
    dl/dw_i = -a g . grad_t l_i(lower; t)
           ~= -a (l_i(lower; t + e g) - l_i(lower; t - e g)) / (2 e),    e = 0.01 / |g|

and Adam moves the weights. The last line is the published finite difference: as the sum is linear in the weights, its
derivative by w_i is the loss l_i itself, so two forward passes do for all tasks. The network is put back to the last
bit, its buffers and the random numbers too; the ordinary step comes after, with the new weights. Losses must be
computed in float32: the step e g changes a parameter by less than the rounding of bfloat16 or TF32.

The weights are free by default, as published: a harmful task's may become negative, and the common factor may drift.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from cameraborn.data.manifest import Row, group_of
from cameraborn.data.splits import assign_splits
from cameraborn.errors import ManifestError, RecipeError

B = TypeVar("B")
Losses = Callable[[nn.Module, B], Mapping[str, Tensor]]
Upper = Callable[[nn.Module, B, B], Tensor]  # of the network, the lower batch and the upper one: a scalar
_STEP = 0.01  # length of the finite difference's step in the space of parameters
_SMALLEST = 1e-12  # a gradient shorter than this says nothing


class BilevelWeights:
    """The tasks' weights and what Adam remembers of them.

    Args:
        start: task, as its loss is called -> the weight it begins with; 1 in the paper.
        primary: the task whose loss the upper level lowers; None if `update` is always given an objective.
        learning_rate: of Adam on the weights.
        constraint: `clamp` keeps weights from falling under 0; `normalise` also keeps their mean at 1.
    """

    def __init__(
        self,
        start: Mapping[str, float],
        primary: str | None,
        *,
        learning_rate: float = 3e-4,
        constraint: Literal["none", "clamp", "normalise"] = "none",
    ) -> None:
        if primary is not None and primary not in start:
            raise RecipeError(f"{primary}: not a task of this recipe: choose one of {', '.join(start)}")
        self.tasks, self.primary, self.constraint = tuple(start), primary, constraint
        self._weights = torch.tensor([float(weight) for weight in start.values()], dtype=torch.float64)
        self._adam = torch.optim.Adam([self._weights], lr=learning_rate)

    def values(self) -> dict[str, Tensor]:
        """Task -> its weight, a float32 scalar without a graph."""
        return dict(zip(self.tasks, self._weights.float().unbind(), strict=True))

    def update(
        self,
        network: nn.Module,
        losses: Losses[B],
        lower: B,
        upper: B,
        *,
        alpha: float,
        weight_decay: float,
        velocity: Mapping[str, Tensor] | None = None,
        objective: Upper[B] | None = None,
    ) -> dict[str, float]:
        """Move the weights by one step of Adam; the network comes out as it went in, to the last bit.

        Args:
            network: unwrapped (not DistributedDataParallel), in the mode it is trained in.
            losses: the tasks' losses of a network on a batch; with several processes they are of the whole batch, and
                the processes' mean gradient is the whole gradient.
            lower: the batch that the network is about to be trained on.
            upper: a batch of photographs that the network is not trained on, see `split_levels`.
            alpha: the network's learning rate at this step.
            weight_decay: decay in the virtual step, on every parameter.
            velocity: momentum times momentum buffer by the parameter's name, if the network's optimiser is SGD with
                momentum.
            objective: what the upper level lowers in place of the primary task's loss; of the whole batches, as losses.

        Returns:
            The gradient of the upper level's loss by each weight, the same in all processes.
        """
        chosen = objective or self._primary_loss(losses)
        slopes = self._slopes(network, losses, chosen, lower, upper, alpha, weight_decay, velocity or {})
        self._weights.grad = -alpha * slopes
        self._adam.step()
        self._constrain()
        return dict(zip(self.tasks, self._weights.grad.tolist(), strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors by name, for a checkpoint: the weights [T] and Adam's moments."""
        moments = self._adam.state[self._weights]
        return {"weights": self._weights.clone()} | {name: value.clone() for name, value in moments.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`.

        Raises:
            RecipeError: the state is of other tasks, or incomplete.
        """
        moments = {name: value for name, value in state.items() if name != "weights"}
        expected: set[str] = {"exp_avg", "exp_avg_sq", "step"} if moments else set()
        right = (
            "weights" in state and state["weights"].shape == self._weights.shape and set(moments) == expected
        )
        if not right:
            raise RecipeError("the checkpoint's task weights are of another recipe: start the run again")
        self._weights.copy_(state["weights"])
        self._adam.state[self._weights] = {name: value.clone() for name, value in moments.items()}

    def _slopes(
        self,
        network: nn.Module,
        losses: Losses[B],
        objective: Upper[B],
        lower: B,
        upper: B,
        alpha: float,
        weight_decay: float,
        velocity: Mapping[str, Tensor],
    ) -> Tensor:
        """g . grad_t l_i(lower; t) of each task, by finite differences: [T]."""
        named = {name: p for name, p in network.named_parameters() if p.requires_grad}
        parameters = list(named.values())
        with _exact_convolutions(), _put_back(network) as rewind:
            of_task = self._in_order(losses, network, lower)
            total = torch.stack(
                [w * loss for w, loss in zip(self._weights.tolist(), of_task, strict=True)]
            ).sum()
            gradients = _gradients(total, parameters)
            with torch.no_grad():
                for (name, p), gradient in zip(named.items(), gradients, strict=True):
                    step = gradient + weight_decay * p
                    p.sub_(alpha * (step + velocity[name] if name in velocity else step))
            direction = _gradients(objective(network, lower, upper), parameters)
            rewind()
            norm = float(torch.stack([g.double().square().sum() for g in direction]).sum().sqrt())
            if not _SMALLEST <= norm < math.inf:
                return torch.zeros(len(self.tasks), dtype=torch.float64)
            e = _STEP / norm
            ahead = self._losses_at(network, losses, lower, parameters, direction, e)
            rewind()
            behind = self._losses_at(network, losses, lower, parameters, direction, -e)
        slopes = (ahead - behind) / (2 * e)
        _average_over_processes(slopes)
        return slopes.cpu()

    @torch.no_grad()
    def _losses_at(
        self,
        network: nn.Module,
        losses: Losses[B],
        batch: B,
        parameters: Sequence[Tensor],
        direction: Sequence[Tensor],
        distance: float,
    ) -> Tensor:
        """Each task's loss after a move along the direction: [T]."""
        for p, g in zip(parameters, direction, strict=True):
            p += distance * g
        return torch.stack(self._in_order(losses, network, batch)).double()

    def _primary_loss(self, losses: Losses[B]) -> Upper[B]:
        if self.primary is None:
            raise RecipeError("no task is primary: give the update an objective")
        primary = self.primary
        return lambda network, lower, upper: losses(network, upper)[primary]

    def _in_order(self, losses: Losses[B], network: nn.Module, batch: B) -> list[Tensor]:
        of_task = losses(network, batch)
        return [of_task[name] for name in self.tasks]

    @torch.no_grad()
    def _constrain(self) -> None:
        if self.constraint != "none":
            self._weights.clamp_(min=0.0)
        if self.constraint == "normalise":
            self._weights /= self._weights.mean().clamp(min=_SMALLEST)


def split_levels(rows: Sequence[Row], share: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Training rows divided by group: those of the lower level, and about `share` of them for the upper one.

    No group and no file is in both: a weight that is judged on what its own task was just trained on would be praised
    for memorising.

    Raises:
        ManifestError: there are fewer than two groups, or groups share a file.
    """
    levels = assign_splits(
        Counter(group_of(row) for row in rows), {"lower": 1 - share, "upper": share}, seed=seed
    )
    lower = [row for row in rows if levels[group_of(row)] == "lower"]
    upper = [row for row in rows if levels[group_of(row)] == "upper"]
    shared = _owners(lower) & _owners(upper)
    if shared:
        raise ManifestError(
            f"'{min(shared)}' is in both levels of the bi-level weighting: give rows that share a photograph one group"
        )
    return lower, upper


def _owners(rows: Iterable[Row]) -> set[str]:
    """What rows of the two levels must not share: groups, where rows have one, and files under whatever path."""
    return {key for row in rows for key in (row.group, row.sha256) if key}


@contextmanager
def _put_back(network: nn.Module) -> Iterator[Callable[[], None]]:
    """Gives `rewind`, which puts parameters, buffers and random numbers back; it is also called at the end.

    Rewound random numbers give all passes the same dropout: a difference of losses under two masks would be noise.
    """
    held = [(tensor, tensor.detach().clone()) for tensor in (*network.parameters(), *network.buffers())]
    devices = {tensor.device for tensor, _ in held if tensor.device.type == "cuda"}
    processor, accelerators = (
        torch.get_rng_state(),
        {device: torch.cuda.get_rng_state(device) for device in devices},
    )

    @torch.no_grad()
    def rewind() -> None:
        for tensor, value in held:
            tensor.copy_(value)
        torch.set_rng_state(processor)
        for device, state in accelerators.items():
            torch.cuda.set_rng_state(state, device)

    try:
        yield rewind
    finally:
        rewind()


@contextmanager
def _exact_convolutions() -> Iterator[None]:
    """CUDA's convolutions in float32 too; by default they round what they are given to TF32."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients by every parameter, zero where the loss does not depend on it; `.grad` stays as it is."""
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True)
    gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
    for gradient in gradients:
        _average_over_processes(gradient)
    return gradients


def _average_over_processes(tensor: Tensor) -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(tensor)
        tensor /= torch.distributed.get_world_size()
