"""A finished binary run becomes a bundle's network and evidence: the trained encoder as ONNX, its last layer beside it.

The frozen copy, which only training needed, stays behind.
"""

from __future__ import annotations

import json
from pathlib import Path

from cameraborn.binary.export_generators import export_generators
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.binary.regularised import RegularisedClassifier
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.errors import RecipeError
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.train.encoders import describe
from cameraborn.train.export import ExportedNetwork, as_safetensors, read_finished, record_beside
from cameraborn.train.run_folder import DataRecord
from cameraborn.train.weights import import_checkpoint


def is_binary(folder: Path) -> bool:
    """Whether a run's folder is that of a classifier."""
    return _kind_of(folder) in ("binary", "generators")


def refuse_rival(folder: Path) -> None:
    """See that a run's folder is not that of a rival, which a benchmark opens as it is.

    Raises:
        RecipeError: it is.
    """
    if _kind_of(folder) == "rival":
        raise RecipeError(
            f"{folder}: holds a rival, which is no bundle: name its network.safetensors as weights in a benchmark"
        )


def _kind_of(folder: Path) -> object:
    try:
        held = json.loads((folder / "recipe.json").read_bytes())
    except (OSError, ValueError):
        return None  # whoever reads the run says what is wrong with it
    return held.get("kind") if isinstance(held, dict) else None


def export_binary(folder: Path) -> ExportedNetwork:
    """Export the averaged classifier of a finished run, its last layer as evidence.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    if _kind_of(folder) == "generators":
        return export_generators(folder)
    run = read_finished(folder, BinaryRecipe, _classifier)
    return _exported(run.recipe, run.network, run.data)


def export_binary_checkpoint(file: Path, recipe: BinaryRecipe, layout: str = "auto") -> ExportedNetwork:
    """Export a classifier of SDAIE's authors, or of a run, without a training step.

    Args:
        file: of layout `sdaie-binary`, or what `import-checkpoint` made of one.
        recipe: with the section `network` of these weights.
        layout: `sdaie-binary`, or `auto`.

    Raises:
        RecipeError: the file cannot be read, or is no such classifier.
    """
    tensors, network = import_checkpoint(file, layout).tensors, _classifier(recipe)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[1:2]).strip()
        raise RecipeError(
            f"{file}: not the classifier of the recipe's network ({reason}): give a file of layout sdaie-binary"
        ) from error
    return _exported(recipe, network, record_beside(file))


def _exported(recipe: BinaryRecipe, network: RegularisedClassifier, record: DataRecord) -> ExportedNetwork:
    section, encoder, head = recipe.network, network.encoder, network.head
    layers = {f"0.{name}": value.numpy() for name, value in head.state_dict().items()}
    return ExportedNetwork(
        encoder=encoder,
        weights=(as_safetensors(network.state_dict()),),
        description=f"{describe(encoder, section)}, binary",
        features=encoder.features,
        tasks=("generated",),
        manifest_sha256=record.manifest_sha256,
        seen=record.seen,
        input_kind=section.input_kind,
        side=PATCH_SIZE,
        tiles=section.tiles,
        evidence=(BinaryClassifier.from_tensors(GENERATORS, ((0, encoder.features),), layers),),
    )


def _classifier(recipe: BinaryRecipe) -> RegularisedClassifier:
    return RegularisedClassifier(recipe.network.encoder(), recipe.network.encoder())
