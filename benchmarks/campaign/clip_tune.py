"""The slim tower learns from the whole one, on the grid of four bits that it will be stored on.

    python benchmarks/campaign/clip_tune.py --work WORK --tower clip-vit-b16.safetensors --pruned pruned.safetensors \
        --minutes 60 -o slim.safetensors

Distillation (Hinton, Vinyals and Dean, arXiv 1503.02531) of every block's stream, and of the mean and the deviation
that are read of it, each over its own variance; weights are rounded in the forward pass and their gradients let through
(Bengio, Leonard and Courville, arXiv 1308.3432). Checkpoints go beside the output; the same command goes on from one.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clip_prune import rounded
from clip_slim import READ, SlimTower, load, save, spread, whole_tower
from drawn import batch, changed, pictures
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cameraborn.files import replacing
from cameraborn.train.onnx import GROUP

BATCH, WARMUP, LAST = 16, 30, 0.02  # steps to the full rate; the last rate over the full one
RATE = 6e-4  # of a parameter's root mean square: pruning leaves some layers thousands of times larger than others
OF_BLOCK, OF_READ = 0.2, dict(zip(READ, (1.0, 1.5), strict=True))  # weights of the blocks' losses
OF_PARTS = (1.0, 0.5)  # of mean and deviation
MEASURED, EVERY, SHOWN = 64, 100, 25  # pictures that variances come of; steps between checkpoints, and lines
Stream = Tensor  # [N L W]


def on_grid(weight: Tensor, scale: Tensor) -> Tensor:
    """A weight [O I] rounded to the grid of its groups' scales [O I/GROUP 1]."""
    return rounded(weight.unflatten(1, (-1, GROUP)), scale).flatten(1)


class _Rounded(torch.autograd.Function):
    """A weight on its grid, in the precision that it is multiplied in; gradients pass as they are."""

    @staticmethod
    def forward(_: Any, weight: Tensor, scale: Tensor) -> Tensor:  # noqa: ANN401 - torch's context, which is not used
        return on_grid(weight, scale).bfloat16()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]  # noqa: ANN401
        return gradient.float(), None


class OnGrid(nn.Module):
    """Rounds a weight [O I] to a grid of fixed scales [O I/GROUP]."""

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale[:, :, None])

    def forward(self, weight: Tensor) -> Tensor:
        """[O I] to the same shape."""
        out: Tensor = _Rounded.apply(weight, self.scale)
        return out


class Variances:
    """How far streams, and what is read of them, differ: between tokens, and between pictures."""

    def __init__(self, streams: list[Stream]) -> None:
        self.tokens = [stream.float().flatten(0, 1).var(dim=0) for stream in streams]
        self.parts = [[part.var(dim=0) for part in spread(stream.float())] for stream in streams]

    def loss(self, slim: list[Stream], whole: list[Stream]) -> Tensor:
        """What the slim streams lack, over these variances; a picture that lacks much counts by its root.

        Without that, the few whose stream goes astray would decide every step.
        """
        total = torch.zeros(len(slim[0]))
        for number, (a, b) in enumerate(zip(slim, whole, strict=True)):
            a, b = a.float(), b.float()
            lost = ((a - b)[:, 1:] ** 2 / self.tokens[number]).mean(dim=(1, 2))
            for weight, x, y, variance in zip(
                OF_PARTS, spread(a), spread(b), self.parts[number], strict=True
            ):
                lost = lost + weight * ((x - y) ** 2 / variance).mean(dim=1)
            total = total + OF_READ.get(number, OF_BLOCK) * ((1 + lost).sqrt() - 1)
        return total.mean()


def kept(slim: list[Stream], whole: list[Stream]) -> str:
    """Squared correlation between pictures of what is read of both towers, the mean of all numbers, for people."""
    told = []
    for number in READ:
        for x, y in zip(spread(slim[number]), spread(whole[number]), strict=True):
            x, y = x - x.mean(dim=0), y - y.mean(dim=0)
            told.append(float(((x * y).sum(dim=0) ** 2 / ((x**2).sum(dim=0) * (y**2).sum(dim=0))).mean()))
    return " ".join(f"{one:.3f}" for one in told)


def place_on_grid(slim: SlimTower, scales: Mapping[str, Tensor]) -> None:
    """Round every linear layer's weight from now on."""
    for number, block in enumerate(slim.blocks):
        for name, layer in block.linear().items():  # type: ignore[operator]
            # Unsafe, as torch calls it: the rounded weight has another type than the one that learns.
            grid = OnGrid(scales[f"{number}.{name}"])
            parametrize.register_parametrization(layer, "weight", grid, unsafe=True)


def take_off_grid(slim: SlimTower) -> None:
    """Leave every weight on its grid, in single precision."""
    for block in slim.blocks:
        for layer in block.linear().values():  # type: ignore[operator]
            scale = layer.parametrizations.weight[0].scale
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            layer.weight.data = on_grid(layer.weight.data, scale)


class Teaching:
    """The slim tower, its optimiser and how far they are."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.whole = whole_tower(options.tower).to(torch.bfloat16)
        self.slim, self.scales = load(options.pruned)
        place_on_grid(self.slim, self.scales)
        self.slim.conv1.requires_grad_(False)
        taught = [parameter for parameter in self.slim.parameters() if parameter.requires_grad]
        sizes = [float(parameter.detach().square().mean().sqrt()) for parameter in taught]
        self.rates = [RATE * size for size in sizes]
        self.optimiser = torch.optim.Adam(
            [{"params": [one]} for one in taught], betas=(0.9, 0.98), fused=True
        )
        self.step, self.seconds, self.seed = 0, 0.0, options.seed
        self.work, self.checkpoint = options.work, options.output.with_suffix(".checkpoint")
        if self.checkpoint.exists():
            kept = torch.load(self.checkpoint, weights_only=True)
            self.slim.load_state_dict(kept["slim"])
            self.optimiser.load_state_dict(kept["optimiser"])
            self.step, self.seconds = kept["step"], kept["seconds"]
        self.held = batch(pictures(self.work, np.random.default_rng(5)), MEASURED)
        self.wanted = self.streams_of_whole(self.held)
        self.variances = Variances(self.wanted)

    def streams_of_whole(self, pixels: Tensor) -> list[Stream]:
        """What the slim tower should give."""
        with torch.no_grad():
            return [stream.float() for stream in self.whole.streams(pixels)]

    def go(self, minutes: float) -> None:
        """Teach up to so many minutes in all."""
        rng = np.random.default_rng([self.seed, self.step])
        drawn, losses = pictures(self.work, rng), deque[float](maxlen=SHOWN)
        self.tell()
        start = time.monotonic() - self.seconds
        while (share := self.seconds / 60 / minutes) < 1:
            losses.append(self.one_step(batch((changed(picture, rng) for picture in drawn), BATCH), share))
            self.seconds = time.monotonic() - start
            if self.step % SHOWN == 0:
                print(
                    f"step {self.step}, {self.seconds / 60:.1f} min, loss {np.mean(losses):.3f}", flush=True
                )
            if self.step % EVERY == 0:
                self.keep()
                self.tell()
        self.keep()
        self.tell()

    def one_step(self, pixels: Tensor, share: float) -> float:
        """A step; `share` of the time is over, and the rate falls as a cosine."""
        whole = self.streams_of_whole(pixels)
        with torch.autocast("cpu", torch.bfloat16), parametrize.cached():
            slim = self.slim.streams(pixels)
        loss = self.variances.loss(slim, whole)
        falling = 0.5 * (1 + math.cos(math.pi * share)) * (1 - LAST) + LAST
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * falling * min(1.0, (self.step + 1) / WARMUP)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.slim.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def tell(self) -> None:
        """What is kept of pictures that are not learnt from."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            streams = [stream.float() for stream in self.slim.streams(self.held)]
        print(f"step {self.step}: of means and deviations {kept(streams, self.wanted)} kept", flush=True)

    def keep(self) -> None:
        """Write a checkpoint."""
        state = {"slim": self.slim.state_dict(), "optimiser": self.optimiser.state_dict()}
        with replacing(self.checkpoint) as part:
            torch.save(state | {"step": self.step, "seconds": self.seconds}, part)


def main() -> None:
    """Teach, and write the slim tower."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "tower", "pruned"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    teaching = Teaching(options)
    teaching.go(options.minutes)
    take_off_grid(teaching.slim)
    with replacing(options.output) as part:
        save(teaching.slim, teaching.scales, part)


if __name__ == "__main__":
    main()
