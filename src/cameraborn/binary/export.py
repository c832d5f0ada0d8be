"""A finished binary run becomes a bundle's network and head: the trained encoder as ONNX, its last layer beside it.

The frozen copy, which only training needed, stays behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import safetensors
from pydantic import ValidationError
from safetensors.torch import load_file, save

from cameraborn.binary.dataset import labelled_rows
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.binary.regularised import RegularisedClassifier
from cameraborn.binary.train import build_encoder
from cameraborn.data.manifest import sha256_of
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.errors import RecipeError
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.export import ExportedNetwork, to_onnx
from cameraborn.pretext.recipe import FaceSection


def is_binary(folder: Path) -> bool:
    """Whether a run's folder is that of a classifier."""
    try:
        held = json.loads((folder / "recipe.json").read_bytes())
    except (OSError, ValueError):
        return False  # whoever reads the run says what is wrong with it
    return isinstance(held, dict) and held.get("kind") == "binary"


def export_binary(folder: Path) -> ExportedNetwork:
    """Export the averaged classifier of a finished run: its network, and its last layer as evidence.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    weights, recipe_file = folder / "network.safetensors", folder / "recipe.json"
    if not (weights.is_file() and recipe_file.is_file()):
        raise RecipeError(f"{folder}: holds no finished run: let 'cameraborn train' finish there first")
    try:
        recipe = BinaryRecipe.model_validate_json(recipe_file.read_bytes())
        network = RegularisedClassifier(build_encoder(recipe), build_encoder(recipe))
        network.load_state_dict(load_file(weights))
    except (ValidationError, safetensors.SafetensorError, RuntimeError) as error:
        raise RecipeError(
            f"{folder}: the run is damaged ({str(error).splitlines()[0]}): train it again"
        ) from error
    train_rows, _ = labelled_rows(recipe.data, recipe.optimise.pictures)
    kind: Literal["patches", "patch-set"] = "patch-set" if recipe.network.type == "sdaie" else "patches"
    faces = FaceSection()  # how a bundle cuts faces unless it is asked for whole pictures
    size = json.dumps(recipe.network.encoder_sizes())
    parameters = sum(p.numel() for p in network.encoder.parameters())
    layers = {f"0.{name}": value.numpy() for name, value in network.head.state_dict().items()}
    columns = ((0, network.encoder.features),)
    return ExportedNetwork(
        onnx=to_onnx(network.encoder, kind, PATCH_SIZE),
        weights=save({name: value.contiguous() for name, value in network.state_dict().items()}),
        description=f"{type(network.encoder).__name__} {size} ({parameters:,} parameters), binary",
        features=network.encoder.features,
        tasks=("generated",),
        manifest_sha256=sha256_of(recipe.data.manifest),
        seen=tuple(sorted({row.sha256 for row in train_rows})),
        input_kind=kind,
        side=PATCH_SIZE,
        crop_scale=faces.crop_scale,
        antialias=faces.antialias,
        evidence=(BinaryClassifier.from_tensors(GENERATORS, columns, layers),),
    )
