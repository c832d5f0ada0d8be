"""CLIP's tower with fewer parts and weights of four bits, fitted block by block to what the whole tower gives.

    python benchmarks/campaign/clip_prune.py --work WORK --tower clip-vit-b16.safetensors -o pruned.safetensors

A quarter of an hour with 512 pictures. All is least squares on faces as training draws them: of the slim stream before
it, a block is to give what the whole tower's block gives of the same.

- Queries and keys keep the directions in which their products vary most, values those that matter behind the head's
  output (principal components, of the products and of the outputs);
- hidden units fall away that the others replace best (optimal brain surgeon: Hassibi and Stork, NeurIPS 1992, in
  steps), and the layer behind them is fitted anew;
- weights are rounded column by column, and what each column loses is made up for by those to come (GPTQ: Frantar et
  al., ICLR 2023). A layer has one step for all its weights, unless a group of them is too large for four bits: most
  levels are small then, and a compressed file needs three bits a weight, with less error than three bits alone allow.

That each block mends what those before it have lost looks better on these pictures, and is worse on others: what a
picture's tokens have in common is then fitted to a few hundred pictures.

Shapes: N pictures, L tokens, W = 768, I inputs and O outputs of a layer, T = N L.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from clip_slim import HEADS, WIDTH, Sizes, SlimBlock, SlimTower, save, whole_tower
from drawn import batch, pictures
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.train.onnx import GROUP, HIGHEST, LOWEST

SIZES = Sizes(keys=32, values=48, hidden=2752)
AT_ONCE = 16
STEP = 0.5  # of the grid, over the root mean square of a layer's weights
COLUMNS = 128  # rounded before the rest is corrected
RIDGE, DAMPING = 1e-3, 1e-2  # of the mean diagonal
FALLING = 0.15  # of the hidden units, at once
Scales = dict[str, Tensor]
OfStream = Callable[[Tensor], Tensor]  # [N L W] to what a layer is given, or gives


@torch.no_grad()
def pruned(tower: SlimTower, sizes: Sizes, tokens: Tensor) -> tuple[SlimTower, Scales]:
    """A slim tower, and the scales of its weights by layer; the tokens [N L W] become its last stream."""
    slim = SlimTower([sizes] * len(tower.blocks))
    slim.load_state_dict(
        {name: value for name, value in tower.state_dict().items() if not name.startswith("blocks.")},
        strict=False,
    )
    scales: Scales = {}
    start = time.monotonic()
    for number, (whole, block) in enumerate(zip(tower.blocks, slim.blocks, strict=True)):
        fitted = fit_block(whole, block, sizes, tokens)
        scales |= {f"{number}.{name}": scale for name, scale in fitted.items()}
        print(f"block {number}, {time.monotonic() - start:.0f} s", flush=True)
    return slim, scales


def fit_block(whole: SlimBlock, slim: SlimBlock, sizes: Sizes, stream: Tensor) -> Scales:
    """Fit one block, and bring the stream behind it; gives the scales of its layers."""
    for name in ("ln_1", "ln_2"):
        getattr(slim, name).load_state_dict(getattr(whole, name).state_dict())
    fit_heads(whole, slim, sizes, stream)
    inputs = products(whole.ln_1(x) for x in parts(stream))
    scales = {name: round_layer(getattr(slim, name), inputs) for name in "qkv"}
    scales["o"] = fit_output(slim.o, slim.mixed, lambda x: whole.o(whole.mixed(x)), stream)
    keep_hidden(whole, slim, sizes.hidden, stream)
    scales["up"] = round_layer(slim.up, products(whole.ln_2(x) for x in parts(stream)))
    scales["down"] = fit_output(slim.down, slim.hidden, lambda x: whole.down(whole.hidden(x)), stream)
    return scales


def parts(stream: Tensor) -> Iterator[Tensor]:
    """Views of some pictures at once."""
    yield from stream.split(AT_ONCE)


def fit_heads(whole: SlimBlock, slim: SlimBlock, sizes: Sizes, stream: Tensor) -> None:
    """Fewer directions of each head's queries, keys and values."""
    spreads = {name: torch.zeros(HEADS, WIDTH // HEADS, WIDTH // HEADS, dtype=torch.double) for name in "qkz"}
    for x in parts(stream):
        y = whole.ln_1(x)
        keys = whole.k(y)
        found = {"q": whole.q(y), "k": keys - keys.mean(dim=1, keepdim=True), "z": whole.mixed(x)}
        for name, values in found.items():
            heads = values.unflatten(2, (HEADS, -1)).flatten(0, 1).transpose(0, 1).double()
            spreads[name] += heads.transpose(1, 2) @ heads
    weights = {name: layer.weight.double() for name, layer in whole.linear().items()}
    output = weights["o"].unflatten(1, (HEADS, -1)).permute(1, 2, 0)  # [heads, values, W]
    made: dict[str, list[Tensor]] = {name: [] for name in "qkv"}
    for head in range(HEADS):
        root = {name: powers(spreads[name][head], 0.5) for name in "qkz"}
        inverse = {name: powers(spreads[name][head], -0.5) for name in "qkz"}
        left, strength, right = torch.linalg.svd(root["q"] @ root["k"])
        strength = strength[: sizes.keys].sqrt()
        made["q"].append(inverse["q"] @ left[:, : sizes.keys] * strength)
        made["k"].append(inverse["k"] @ right[: sizes.keys].T * strength)
        outputs, _, _ = torch.linalg.svd(root["z"] @ output[head], full_matrices=False)
        made["v"].append(inverse["z"] @ outputs[:, : sizes.values])
    for name, maps in made.items():
        old, new = getattr(whole, name), getattr(slim, name)
        turned = [m.T @ part for m, part in zip(maps, weights[name].chunk(HEADS), strict=True)]
        new.weight.copy_(torch.cat(turned))
        if new.bias is not None:
            biases = old.bias.double().chunk(HEADS)
            new.bias.copy_(torch.cat([m.T @ bias for m, bias in zip(maps, biases, strict=True)]))
    for values in slim.o.parameters():  # fitted to what is left of the heads
        values.zero_()


def keep_hidden(whole: SlimBlock, slim: SlimBlock, count: int, stream: Tensor) -> None:
    """The hidden units that the others replace worst, and the layer behind them without the rest."""
    inputs, outputs = against(whole.hidden, lambda x: whole.down(whole.hidden(x)), stream)
    ridge = RIDGE * inputs.diagonal()[:-1].mean()
    known = torch.cat([whole.down.weight.T, whole.down.bias[None]])
    kept, bias = torch.arange(len(inputs) - 1), torch.tensor([len(inputs) - 1])
    while True:
        chosen = torch.cat([kept, bias])
        products_of = inputs[chosen][:, chosen] + ridge * torch.eye(len(chosen))
        weights = torch.linalg.solve(products_of.double(), (outputs + ridge * known)[chosen].double()).float()
        if len(kept) == count:
            break
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(products_of))
        worth = (weights[:-1] ** 2).sum(dim=1) / inverse.diagonal()[:-1]
        falling = min(len(kept) - count, int(FALLING * len(kept)))
        kept = kept[worth.argsort()[falling:]].sort().values
    slim.up.weight.copy_(whole.up.weight[kept])
    slim.up.bias.copy_(whole.up.bias[kept])
    slim.down.weight.copy_(weights[:-1].T)
    slim.down.bias.copy_(weights[-1])


def fit_output(layer: nn.Linear, given: OfStream, wanted: OfStream, stream: Tensor) -> Tensor:
    """Fit a layer that adds to the stream, near what it is; round it, let the stream pass, and give the scales."""
    inputs, outputs = against(given, wanted, stream)
    ridge = RIDGE * inputs.diagonal()[:-1].mean()
    known = torch.cat([layer.weight.T, layer.bias[None]])
    regular = (inputs + ridge * torch.eye(len(inputs))).double()
    layer.weight.copy_(torch.linalg.solve(regular, (outputs + ridge * known).double())[:-1].T.float())
    scale = round_layer(layer, inputs[:-1, :-1])
    layer.bias.copy_((outputs[-1] - layer.weight @ inputs[:-1, -1]) / inputs[-1, -1])
    for x in parts(stream):
        x += layer(given(x))
    return scale


def against(given: OfStream, wanted: OfStream, stream: Tensor) -> tuple[Tensor, Tensor]:
    """Products of a layer's inputs, 1 behind them, with themselves [I+1 I+1] and with what it should give [I+1 W]."""
    inputs = outputs = torch.zeros(())
    for x in parts(stream):
        one = F.pad(given(x).flatten(0, 1), (0, 1), value=1.0)
        inputs, outputs = inputs + one.T @ one, outputs + one.T @ wanted(x).flatten(0, 1)
    return inputs, outputs


def products(inputs: Iterator[Tensor]) -> Tensor:
    """Products of inputs [N L I] with themselves, [I I]."""
    return torch.stack([x.flatten(0, 1).T @ x.flatten(0, 1) for x in inputs]).double().sum(dim=0)


def powers(spread_of: Tensor, power: float) -> Tensor:
    """A symmetric matrix to a power, its smallest eigenvalues lifted."""
    values, vectors = torch.linalg.eigh(spread_of)
    lifted: Tensor = vectors * values.clamp_min(1e-4 * float(values.max())) ** power @ vectors.T
    return lifted


def round_layer(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """Round a layer's weights to the grid by GPTQ; gives the scales [O I/GROUP].

    Args:
        layer: whose weights [O I] are changed.
        inputs: products of its inputs with themselves, [I I].
    """
    weights, inputs = layer.weight.clone(), inputs.double().clone()
    inputs.diagonal().add_(DAMPING * inputs.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(inputs))
    upper = torch.linalg.cholesky(inverse, upper=True).float()
    step, scales = STEP * float(weights.square().mean().sqrt()), []
    for first in range(0, weights.shape[1], COLUMNS):
        end = min(first + COLUMNS, weights.shape[1])
        errors = torch.zeros(len(weights), end - first)
        for column in range(first, end):
            if column % GROUP == 0:
                largest = weights[:, column : column + GROUP].abs().amax(dim=1)
                scales.append((largest / (HIGHEST + 0.4)).clamp_min(step).half().float())
            value = weights[:, column]
            on_grid = rounded(value, scales[-1])
            layer.weight[:, column] = on_grid
            errors[:, column - first] = (value - on_grid) / upper[column, column]
            weights[:, column + 1 : end] -= torch.outer(
                errors[:, column - first], upper[column, column + 1 : end]
            )
        weights[:, end:] -= errors @ upper[first:end, end:]
    return torch.stack(scales, dim=1)


def rounded(weights: Tensor, scale: Tensor) -> Tensor:
    """On the grid of four bits."""
    return (weights / scale).round().clamp(LOWEST, HIGHEST) * scale


def main() -> None:
    """Write the slim tower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tower", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    tower, drawn = whole_tower(options.tower), pictures(options.work, np.random.default_rng(3))
    with torch.no_grad():
        tokens = torch.cat([tower.tokens(batch(drawn, AT_ONCE)) for _ in range(options.pictures // AT_ONCE)])
    slim, scales = pruned(tower, SIZES, tokens)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save(slim, scales, options.output)


if __name__ == "__main__":
    main()
