"""Patches a second of the patch networks, as ratios in one run: python benchmarks/patch_speed.py

Half a minute on one core; OMP_NUM_THREADS decides how many cores are used. Each network encodes one picture's patches

- literally: float32, one patch at a time, each convolution an `unfold` and a matrix product, the 30 fixed kernels on
  each colour channel computed and then mixed, each norm and product as its formula says;
- as it is: batched, the fixed kernels folded into the first convolution, channels last; in float32 and in bfloat16.

Outputs are compared before anything is timed. The matrix speed is that of a large matrix product in the same precision,
measured between the networks' turns; the share is that of the products a network asks for (counted, as it is
run: folding lowers the count) in that speed. Everything is timed in turns and each gets its best turn, so that a busy
moment does not decide a ratio.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import processor, write_table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cameraborn.networks.patchnet import GREY_LEVELS_PER_UNIT, PatchNet, ResidualBlock
from cameraborn.networks.sdaie import HEADS, MEAN, STD, FoldedStem, SdaieNet

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "patch_speed.csv"
MATRIX = 2048  # side of the matrices whose product is timed
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=64, help="patches a batch")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.manual_seed(0)
    patches = torch.randint(0, 256, (options.patches, 3, 64, 64)).float()
    rows: list[Row] = []
    with torch.no_grad():
        rows += measured("PatchNet", patch_net(), literal_patchnet, patches, options.turns)
        rows += measured("SDAIE", sdaie_net(), literal_sdaie, patches[None], options.turns)
    write_table(rows, options.output, machine=machine())


def patch_net() -> PatchNet:
    """As in configs/patch_cpu.toml, with averages of batch normalisation that have seen something."""
    network = PatchNet()
    network.train()(torch.randint(0, 256, (32, 3, 64, 64)).float())
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def sdaie_net() -> SdaieNet:
    return SdaieNet().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def measured(
    name: str, network: nn.Module, literal: Callable[[nn.Module, Tensor], Tensor], patches: Tensor, turns: int
) -> list[Row]:
    few = patches[..., :8, :, :, :]  # the literal version takes its time
    same = relative_difference(network(few), literal(network, few))
    if same > 1e-3:
        sys.exit(f"{name}: the literal version gives something else (relative difference {same:.2g})")
    with FlopCounterMode(display=False) as counter:
        network(patches)
    flops = counter.get_total_flops() / patches.shape[-4]

    def in_bfloat16() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(patches)  # type: ignore[no-any-return]

    a = torch.randn(MATRIX, MATRIX)
    b = a.bfloat16()
    jobs: dict[str, Callable[[], Tensor]] = {
        "literal": lambda: literal(network, few),
        "float32": lambda: network(patches),
        "bfloat16": in_bfloat16,
        "matrix float32": lambda: a @ a,
        "matrix bfloat16": lambda: b @ b,
    }
    seconds = dict.fromkeys(jobs, float("inf"))
    for _ in range(turns):
        for job, run in jobs.items():
            started = time.perf_counter()
            run()
            seconds[job] = min(seconds[job], time.perf_counter() - started)
    speed = {job: patches.shape[-4] / seconds[job] for job in ("float32", "bfloat16")}
    speed["literal"] = few.shape[-4] / seconds["literal"]
    rows = [row(f"{name}: {job}", value, "patches/s") for job, value in speed.items()]
    rows.append(row(f"{name}: products a patch", flops / 1e6, "MFLOP"))
    for precision in ("float32", "bfloat16"):
        matrix = 2 * MATRIX**3 / seconds[f"matrix {precision}"]
        rows += [
            row(f"{name}: {precision} / literal", speed[precision] / speed["literal"], "ratio"),
            row(f"{name}: matrix speed in {precision}", matrix / 1e9, "GFLOP/s"),
            row(
                f"{name}: share of the matrix speed, {precision}", flops * speed[precision] / matrix, "ratio"
            ),
        ]
    return rows


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def convolved(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """One map [C H W] under a convolution, as the product of a matrix of windows."""
    return windows_times(
        x, convolution.weight, convolution.bias, convolution.padding[0], convolution.stride[0]
    )


def windows_times(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, stride: int = 1) -> Tensor:
    side = weight.shape[-1]
    windows = F.unfold(x[None], side, padding=padding, stride=stride)[0]  # [C*side*side places]
    y = weight.flatten(1) @ windows
    if bias is not None:
        y = y + bias[:, None]
    H = (x.shape[1] + 2 * padding - side) // stride + 1
    return y.view(len(weight), H, -1)


def literal_patchnet(network: nn.Module, patches: Tensor) -> Tensor:
    """`PatchNet` in evaluation: patches [N 3 64 64] to [N D]."""
    assert isinstance(network, PatchNet)
    return torch.stack([_patchnet_of_one(network, patch) for patch in patches])


def _patchnet_of_one(network: PatchNet, patch: Tensor) -> Tensor:
    kernels = network.stem.kernels.to(patch.dtype)[:, None]
    residuals = torch.cat([windows_times(colour[None], kernels, None, 0) for colour in patch])
    mixture = network.stem.mixture.flatten(1)[:, :, None, None]
    x = windows_times(residuals / GREY_LEVELS_PER_UNIT, mixture, None, 0).clamp(-3, 3)
    for module in network.stages:
        if isinstance(module, nn.Conv2d):
            x = convolved(x, module)
        elif isinstance(module, nn.BatchNorm2d):
            x = _normalised(x, module)
        elif isinstance(module, ResidualBlock):
            y = _normalised(convolved(x, module.conv1), module.norm1).clamp_min(0)
            x = (x + _normalised(convolved(y, module.conv2), module.norm2)).clamp_min(0)
        else:
            x = x.clamp_min(0)
    mean = x.mean(dim=(1, 2))
    spread = ((x - mean[:, None, None]) ** 2).mean(dim=(1, 2)).add(1e-4).sqrt()
    return network.project.weight @ torch.cat([mean, spread]) + network.project.bias


def _normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, spread = norm.running_mean[:, None, None], (norm.running_var + norm.eps).sqrt()[:, None, None]
    return (x - mean) / spread * norm.weight[:, None, None] + norm.bias[:, None, None]


def literal_sdaie(network: nn.Module, patches: Tensor) -> Tensor:
    """`SdaieNet`: patches [B P 3 64 64] to [B D]."""
    assert isinstance(network, SdaieNet)
    features = []
    for picture in patches:
        tokens = torch.stack([_token_of_one(network, patch) for patch in picture])
        for layer in network.layers:
            seen = _attended(tokens, layer)
            tokens = tokens + seen @ layer.out.weight.T + layer.out.bias
            hidden = _layer_norm(tokens, layer.norm2) @ layer.mlp[0].weight.T + layer.mlp[0].bias
            hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
            tokens = tokens + hidden @ layer.mlp[2].weight.T + layer.mlp[2].bias
        features.append(tokens[0] if network.pool == "first" else sum(tokens) / len(tokens))
    return torch.stack(features)


def _token_of_one(network: SdaieNet, patch: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, dtype=patch.dtype)[:, None, None] for values in (MEAN, STD))
    x = _residuals((patch / 255 - mean) / std, network.stem)
    x = _layer_norm(x, network.stem_norm).clamp(-5, 5)
    for group in network.groups:
        for module in group:
            if isinstance(module, nn.Conv2d):
                x = convolved(x, module)
            elif isinstance(module, nn.LayerNorm):
                x = _layer_norm(x, module)
            elif isinstance(module, nn.AvgPool2d):
                third = torch.full((1, 1, 3, 3), 1 / 9, dtype=x.dtype)
                x = torch.cat([windows_times(channel[None], third, None, 1, 2) for channel in x])
            else:
                x = x.clamp_min(0)
    places = x.flatten(1)
    M = places.shape[1]
    centring = torch.eye(M, dtype=x.dtype) / M - torch.ones(M, M, dtype=x.dtype) / M**2
    covariance = places @ centring @ places.T
    Y, Z, identity = covariance / covariance.trace(), torch.eye(len(x), dtype=x.dtype), torch.eye(len(x))
    for _ in range(5):
        T = (3 * identity.to(x.dtype) - Z @ Y) / 2
        Y, Z = Y @ T, T @ Z
    root = Y * covariance.trace().sqrt()
    return torch.stack([root[i, j] for i in range(len(root)) for j in range(i, len(root))])


def _residuals(x: Tensor, stem: FoldedStem) -> Tensor:
    kernels = stem.kernels[:, None]
    residuals = torch.cat([windows_times(colour[None], kernels, None, 2) for colour in x])
    return convolved(residuals, stem.mix)


def _layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    over = tuple(range(-len(norm.normalized_shape), 0))
    centred = x - x.mean(dim=over, keepdim=True)
    return centred / (centred**2).mean(dim=over, keepdim=True).add(norm.eps).sqrt() * norm.weight + norm.bias


def _attended(tokens: Tensor, layer: nn.Module) -> Tensor:
    qkv = _layer_norm(tokens, layer.norm1) @ layer.qkv.weight.T
    queries, keys, values = qkv.chunk(3, dim=1)
    heads = zip(queries.chunk(HEADS, 1), keys.chunk(HEADS, 1), values.chunk(HEADS, 1), strict=True)
    return torch.cat([(q @ k.T / k.shape[1] ** 0.5).softmax(dim=1) @ v for q, k, v in heads], dim=1)


def row(measure: str, value: float, unit: str) -> Row:
    print(f"{measure:<45} {value:>10.4g} {unit}", flush=True)
    return {"measure": measure, "value": f"{value:.4g}", "unit": unit}


def machine() -> str:
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, {processor()}, torch {torch.__version__}"


if __name__ == "__main__":
    main()
