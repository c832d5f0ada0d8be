"""Parameters and multiply-adds of every network, as a table: python tools/network_sizes.py

Networks have the sizes that recipes give them by default. Multiply-adds are those of one forward pass: of a face at the
network's side, or of one patch, as torch counts them in convolutions and products of matrices.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from cameraborn.networks.registry import NETWORKS
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.recipe import FaceSection


def sizes(name: str) -> tuple[int, int]:
    """The parameters of a network's encoder, and its multiply-adds for one picture or patch."""
    section = NETWORKS[name]()
    shape = {
        "patches": (1, 3, PATCH_SIZE, PATCH_SIZE),
        "patch-set": (1, 1, 3, PATCH_SIZE, PATCH_SIZE),
        "crop": (1, 3, FaceSection().size, FaceSection().size),
    }[section.input_kind]
    encoder = section.encoder().eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        encoder(torch.zeros(shape))
    return sum(parameter.numel() for parameter in encoder.parameters()), counter.get_total_flops() // 2


def main() -> None:
    """Print the table."""
    print("| network | input | parameters | multiply-adds |\n|---|---|---|---|")
    for name in NETWORKS:
        parameters, operations = sizes(name)
        print(f"| {name} | {NETWORKS[name].input_kind} | {parameters:,} | {operations:,} |")


if __name__ == "__main__":
    main()
