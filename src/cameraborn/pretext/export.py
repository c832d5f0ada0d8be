"""A finished run becomes a bundle's network: ONNX for scoring, safetensors for training on.

The ONNX graph takes patches as they come, uint8 [N 3 64 64], and gives features [N D].
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cameraborn.errors import RecipeError
from cameraborn.networks.patchnet import PatchNet
from cameraborn.photo.manifest import sha256_of
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.train import build_network, select_rows


@dataclass(frozen=True)
class ExportedNetwork:
    """What a bundle holds of a run."""

    onnx: bytes
    weights: bytes  # safetensors, with the heads
    description: str
    features: int
    tasks: tuple[str, ...]
    manifest_sha256: str
    seen: tuple[str, ...]  # SHA-256 of every photograph that was trained on


def export_run(folder: Path) -> ExportedNetwork:
    """Export the averaged network of a finished run.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    weights, recipe_file = folder / "network.safetensors", folder / "recipe.json"
    if not (weights.is_file() and recipe_file.is_file()):
        raise RecipeError(f"{folder}: holds no finished run: let 'cameraborn train' finish there first")
    try:
        recipe = Recipe.model_validate_json(recipe_file.read_bytes())
        network = build_network(recipe)
        network.load_state_dict(load_file(weights))
    except (ValidationError, safetensors.SafetensorError, RuntimeError) as error:
        raise RecipeError(
            f"{folder}: the run is damaged ({str(error).splitlines()[0]}): train it again"
        ) from error
    train_rows, _ = select_rows(recipe)
    parameters = sum(p.numel() for p in network.encoder.parameters())
    return ExportedNetwork(
        onnx=to_onnx(network.encoder),
        weights=save({name: value.contiguous() for name, value in network.state_dict().items()}),
        description=f"PatchNet {json.dumps(recipe.network.model_dump())} ({parameters:,} parameters)",
        features=recipe.network.features,
        tasks=tuple(recipe.pretext.tasks),
        manifest_sha256=sha256_of(recipe.data.manifest),
        seen=tuple(sorted({row.sha256 for row in train_rows})),
    )


def to_onnx(encoder: PatchNet) -> bytes:
    """The encoder as an ONNX file with a free batch size."""
    graph = _FromBytes(encoder).eval()
    example = torch.zeros(2, 3, PATCH_SIZE, PATCH_SIZE, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, which no user can act on
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=["patches"],
            output_names=["features"],
            dynamic_shapes={"patches": {0: torch.export.Dim("N", min=1)}},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RecipeError(
            "torch could not export the network: install the tested versions from constraints.txt"
        )
    graph_file: bytes = program.model_proto.SerializeToString()
    return graph_file


class _FromBytes(nn.Module):
    """The encoder behind the cast from uint8, its stem folded into one convolution."""

    def __init__(self, encoder: PatchNet) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, patches: Tensor) -> Tensor:
        features: Tensor = self.encoder(patches.float())
        return features
