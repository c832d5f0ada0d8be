"""A finished run becomes a bundle's network: ONNX for scoring, safetensors for training on.

The ONNX graph takes pixels as they come, uint8: `patches` [N 3 64 64] to `features` [N D], a `crop` [N 3 S S] already
shrunk to the network's side to the same, or a `patch-set`, one picture's patches [P 3 64 64], to `features` [1 D].
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cameraborn.errors import RecipeError
from cameraborn.networks.sdaie import SdaieNet
from cameraborn.photo.manifest import sha256_of
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.selection import select_rows
from cameraborn.pretext.tasks import REDRAWN


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
    input_kind: Literal["patches", "patch-set", "crop"]  # and the name of the graph's input
    side: int  # of that input, pixels
    crop_scale: float  # of faces: side of the crop over the longer side of the box
    antialias: bool  # of faces: how the crop is shrunk
    redrawn: bytes | None = (
        None  # the layer that tells redrawn photographs, if it learnt to; see `detect.hybrid`
    )


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
    architecture = ARCHITECTURES[recipe.network.type]
    size = json.dumps(recipe.network.model_dump(exclude={"type"}))
    return ExportedNetwork(
        onnx=to_onnx(network.encoder, architecture.input_kind, architecture.side(recipe)),
        weights=save({name: value.contiguous() for name, value in network.state_dict().items()}),
        description=f"{type(network.encoder).__name__} {size} ({parameters:,} parameters)",
        features=recipe.network.features,
        tasks=tuple(recipe.pretext.tasks),
        manifest_sha256=sha256_of(recipe.data.manifest),
        seen=tuple(sorted({row.sha256 for row in train_rows})),
        input_kind=architecture.input_kind,
        side=architecture.side(recipe),
        crop_scale=recipe.faces.crop_scale,
        antialias=recipe.faces.antialias,
        redrawn=_boundary(network.heads[REDRAWN]) if REDRAWN in recipe.pretext.tasks else None,
    )


def _boundary(head: nn.Linear) -> bytes:
    """Two logits (photograph, redrawn) as one layer of log odds."""
    weight, bias = head.weight.detach().double(), head.bias.detach().double()
    return save({"weight": weight[1] - weight[0], "bias": bias[1:] - bias[:1]})


def to_onnx(encoder: nn.Module, input_name: str = "patches", side: int = PATCH_SIZE) -> bytes:
    """The encoder as an ONNX file with a free batch size; its input is uint8 [N 3 side side]."""
    # A copy in the layout that ONNX knows: the graph is traced along the layout that the weights have.
    encoder = copy.deepcopy(encoder).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    graph = (_SetFromBytes(encoder) if isinstance(encoder, SdaieNet) else _FromBytes(encoder)).eval()
    example = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, which no user can act on
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=[input_name],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
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
    """The encoder behind the cast from uint8."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.encoder(pixels.float())
        return features


class _SetFromBytes(nn.Module):
    """The encoder of a set of patches behind the cast from uint8, for one picture."""

    def __init__(self, encoder: SdaieNet) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, patches: Tensor) -> Tensor:
        features: Tensor = self.encoder(patches.float()[None])
        return features
