"""A checkpoint, of others or of a run, becomes a bundle's network without a training step.

The recipe says what the weights do not: how faces are cut and normalised, and which patch speaks for a picture. Of an
ImageNet ResNet the feature is what its classes are told from; of BLADES' binary classifier the two layers are evidence.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from cameraborn.detect.evidence.channel import Tensors
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.errors import RecipeError
from cameraborn.pretext.architectures import ARCHITECTURES
from cameraborn.pretext.prompts import prompt_slices
from cameraborn.pretext.recipe import Recipe
from cameraborn.train.encoders import describe
from cameraborn.train.export import CROP_SCALE, ExportedNetwork, as_safetensors, record_beside
from cameraborn.train.weights import fill, gives_classes, import_checkpoint

_LAYERS = {"classifier.fc1.": "0.", "classifier.fc2.": "2."}  # of BLADES' classifier, by our evidence's names


def export_checkpoint(
    file: Path, recipe: Recipe, layout: str = "auto", *, new_fc: bool = False
) -> ExportedNetwork:
    """Export the network of a checkpoint.

    Args:
        file: in a published layout, or of ours: `import-checkpoint` made it, or it is a run's.
        recipe: with the section `network` of these weights, and `faces`.
        layout: one of `train.weights.LAYOUTS`, or `auto`.
        new_fc: a fresh last layer takes the place of the file's.

    Raises:
        RecipeError: the file cannot be read, or is not of that layout or recipe.
    """
    imported = import_checkpoint(file, layout, new_fc=new_fc, classes=True)
    tensors, section = imported.tensors, recipe.network
    if "head.weight" in tensors:
        raise RecipeError(f'{file}: holds a binary classifier: give a recipe with kind = "binary"')
    classes = gives_classes(imported.layout) and not new_fc
    if classes and section.type == "resnet50":
        section = section.model_copy(update={"features": tensors["encoder.fc.bias"].shape[0]})
    encoder = section.encoder()
    fill(nn.ModuleDict({"encoder": encoder}), tensors, file)
    features = section.features
    if classes:
        features, encoder.fc = encoder.fc.in_features, nn.Identity()
    kind, record = section.input_kind, record_beside(file)
    classifier = _classifier(tensors)
    return ExportedNetwork(
        encoder=encoder,
        weights=(as_safetensors(tensors),),
        description=f"{describe(encoder, section)}, layout {imported.layout}",
        features=features,
        tasks=_tasks(tensors),
        manifest_sha256=record.manifest_sha256,
        seen=record.seen,
        input_kind=kind,
        side=ARCHITECTURES[kind].side(recipe),
        tiles=section.tiles,
        crop_scale=recipe.faces.crop_scale if kind == "crop" else CROP_SCALE,
        crop_rule=recipe.faces.crop if kind == "crop" else "square",
        antialias=recipe.faces.antialias,
        unit_length=imported.layout == "blades" or recipe.prompts is not None,
        evidence=()
        if classifier is None
        else (BinaryClassifier.from_tensors(GENERATORS, ((0, features),), classifier),),
        density_columns=((0, features),) if classifier is None else (),
    )


def _tasks(tensors: dict[str, Tensor]) -> tuple[str, ...]:
    heads = {name.split(".")[1] for name in tensors if name.startswith("heads.")}
    return tuple(prompt_slices()) if "text" in heads else tuple(sorted(heads))


def _classifier(tensors: dict[str, Tensor]) -> Tensors | None:
    """The layers of BLADES' classifier, if the checkpoint has one."""
    found = {
        ours + name.removeprefix(theirs): value.numpy()
        for theirs, ours in _LAYERS.items()
        for name, value in tensors.items()
        if name.startswith(theirs)
    }
    return found or None
