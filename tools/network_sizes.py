"""Parameters and multiply-adds of every network, ours and others', as a table: python tools/network_sizes.py

Ours have the sizes that recipes give them by default, and see a face at the network's side, or one patch. Rivals and
encoders of others see a face of 256 pixels, laid before them as they are used to, with all passes that it takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from cameraborn.networks.registry import NETWORKS
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.recipe import FaceSection
from cameraborn.rivals import ENCODERS, RIVALS
from cameraborn.rivals.cost import Cost, cost_of, multiply_adds


def of_ours(name: str) -> Cost:
    """A network's encoder, for one picture or patch."""
    section = NETWORKS[name]()
    shape = {
        "patches": (1, 3, PATCH_SIZE, PATCH_SIZE),
        "patch-set": (1, 1, 3, PATCH_SIZE, PATCH_SIZE),
        "crop": (1, 3, FaceSection().size, FaceSection().size),
    }[section.input_kind]
    encoder = section.encoder().eval()
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return Cost(parameters, multiply_adds(encoder, torch.zeros(shape)))


def rows() -> Iterator[tuple[str, str, Cost]]:
    """Name, input and cost of each."""
    for name in NETWORKS:
        yield name, NETWORKS[name].input_kind, of_ours(name)
    for kind, names in (("rival", RIVALS), ("encoder", ENCODERS)):
        for name in names:
            yield name, f"face, {kind}", cost_of(name)


def main() -> None:
    """Print the table."""
    print("| network | input | parameters | multiply-adds |\n|---|---|---|---|")
    for name, seen, cost in rows():
        operations = "not counted" if cost.multiply_adds is None else f"{cost.multiply_adds:,}"
        print(f"| {name} | {seen} | {cost.parameters:,} | {operations} |")


if __name__ == "__main__":
    main()
