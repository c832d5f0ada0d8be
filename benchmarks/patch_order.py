"""How much SDAIE's image feature depends on the order of the patches: python benchmarks/patch_order.py PICTURES...

The authors take the first patch's token as the picture's feature; ours is the mean of the tokens. For each picture its
patches are shuffled and the feature is compared with that of the order in which they lie in the picture; the change
is divided by the mean distance between the features of different pictures, so 1 means that shuffling one picture's
patches moves its feature as far as taking another picture does. Expected: 0 for the mean, up to rounding.

    python benchmarks/patch_order.py examples/*.jpg --weights runs/bundles/sdaie_cpu-network/weights.safetensors \
      runs/bundles/sdaie_random-network/weights.safetensors

Without weights the network is at random. A few seconds a picture and network on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import write_table
from torch import Tensor, nn

from cameraborn import open_picture
from cameraborn.networks.sdaie import Pool, SdaieNet
from cameraborn.photo.patches import grid_patches
from cameraborn.train.weights import load_init

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "patch_order.csv"
POOLS: tuple[Pool, ...] = ("first", "mean")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, nargs="+", help="at least two")
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[None],
        help="safetensors of runs or bundles, or imported checkpoints",
    )
    parser.add_argument("--patches", type=int, default=16, help="of a picture at most")
    parser.add_argument("--shuffles", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    stacks = [
        torch.from_numpy(grid_patches(open_picture(path).pixels, limit=options.patches)).float()
        for path in options.pictures
    ]
    rows = [
        row(weights, f"change by shuffling, pool {pool}", value, len(stacks))
        for weights in options.weights
        for pool, value in changes(network(weights), stacks, options.shuffles).items()
    ]
    write_table(rows, options.output)


def network(weights: Path | None) -> SdaieNet:
    torch.manual_seed(0)
    encoder = SdaieNet()
    if weights is not None:
        load_init(nn.ModuleDict({"encoder": encoder}), weights)
    return encoder.eval()


@torch.no_grad()
def changes(encoder: SdaieNet, stacks: list[Tensor], shuffles: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    result = {}
    for pool in POOLS:
        encoder.pool = pool
        features = torch.cat([encoder(stack[None]) for stack in stacks])
        apart = torch.pdist(features).mean()
        moved = [
            (encoder(stack[rng.permutation(len(stack))][None])[0] - feature).norm()
            for stack, feature in zip(stacks, features, strict=True)
            for _ in range(shuffles)
        ]
        result[pool] = float(torch.stack(moved).mean() / apart)
    return result


def row(weights: Path | None, measure: str, value: float, pictures: int) -> dict[str, str]:
    name = str(weights or "random")
    print(f"{name}: {measure:<35} {value:.3g} of the distance between pictures")
    return {
        "weights": name,
        "measure": measure,
        "value": f"{value:.3g}",
        "unit": "ratio",
        "pictures": str(pictures),
    }


if __name__ == "__main__":
    main()
