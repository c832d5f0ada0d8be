"""A finished run becomes a bundle: what is read of its folder, and the rules of how a bundle of a network looks.

The hashes of the manifest and of what was seen are those of when training began; the data need not be there any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import safetensors
from pydantic import BaseModel, ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.channel import Columns, Evidence, repeated
from cameraborn.detect.evidence.density import Density
from cameraborn.detect.evidence.kinds import PHOTOGRAPHS
from cameraborn.detect.schema import (
    COMPRESSED,
    BundleInfo,
    Channel,
    Network,
    Preprocessing,
    software_versions,
)
from cameraborn.detect.store import write_bundle
from cameraborn.errors import CamerabornError, RecipeError, first_line
from cameraborn.networks.section import InputKind
from cameraborn.photo.crops import CropRule
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.train.onnx import to_onnx, with_four_bit_weights, with_half_weights
from cameraborn.train.run_folder import RECORD, DataRecord, read_record

R = TypeVar("R", bound=BaseModel)
CROP_SCALE = 1.5  # side of a crop that patches are taken from, over the longer side of the face's box
_SIDES, _SMALLEST_SIDE = (256, 128), 160  # of networks that see patches, pixels
_SMALLEST_FACE = 64
_AS_IT_IS = 2**16  # a side that no picture has: nothing is shrunk


@dataclass(frozen=True)
class ExportedNetwork:
    """What a bundle holds of a run.

    Attributes:
        encoder: the trained network, from its input to features.
        weights: safetensors to train on from, with the heads; two where a second network's features follow.
        description: the encoder's class and size, for people.
        features: width of the feature.
        tasks: names of what was learnt.
        manifest_sha256: hash of the training manifest, as training began.
        seen: SHA-256 of every picture that was learnt from.
        input_kind: what the graph takes.
        side: side of that input, pixels.
        smallest_side: smaller crops are too small to score, pixels; None: what is usual for the input.
        tiles: patches do not overlap and crops are not shrunk, as SDAIE's authors have it.
        crop_scale: side of the crop over the longer side of the face's box.
        crop_rule: how the picture's edge cuts the crop.
        antialias: how the crop is shrunk.
        unit_length: features are divided by their length.
        evidence: channels that the network brings, of columns of the finest side.
        density_columns: columns of one side that are left to a density of photographs; none for a binary detector.
        weight_bits: that the graph keeps of each large weight; four: of linear layers, the rest in 16.
    """

    encoder: nn.Module
    weights: tuple[bytes, ...]
    description: str
    features: int
    tasks: tuple[str, ...]
    manifest_sha256: str
    seen: tuple[str, ...]
    input_kind: InputKind
    side: int
    smallest_side: int | None = None
    tiles: bool = False
    crop_scale: float = CROP_SCALE
    crop_rule: CropRule = "square"
    antialias: bool = True
    unit_length: bool = False
    evidence: tuple[Evidence, ...] = ()
    density_columns: Columns = ()
    weight_bits: Literal[4, 16, 32] = 32

    @cached_property
    def onnx(self) -> bytes:
        """The encoder's graph, see `train.onnx`: made when first asked for, because that takes seconds."""
        if self.weight_bits == 4:
            return with_four_bit_weights(self.encoder, self.input_kind, self.side)
        graph = to_onnx(self.encoder, self.input_kind, self.side)
        return with_half_weights(graph) if self.weight_bits == 16 else graph

    @property
    def small(self) -> Self:
        """The same for scoring alone: in half precision, unless it is smaller already, and no weights to train on."""
        return replace(self, weights=(), weight_bits=min(16, self.weight_bits))

    @property
    def is_binary(self) -> bool:
        """Whether it has seen generated pictures: its evidence alone then makes the score."""
        return any(channel.has_seen_fakes for channel in self.evidence)


@dataclass(frozen=True)
class BundleOptions:
    """What a user may decide of a bundle; None or empty: what is usual for the network.

    Attributes:
        name: name of the bundle.
        crop_scale: side of the crop over the longer side of the face.
        sides: sizes that crops are shrunk to, pixels.
        smallest_side: smaller crops are too small to score, pixels.
        unit_length: divide features by their length, or do not.
        licences: of `weights` and `data`.
    """

    name: str
    crop_scale: float | None = None
    sides: tuple[int, ...] = ()
    smallest_side: int | None = None
    unit_length: bool | None = None
    licences: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Finished(Generic[R]):
    """A finished run, read."""

    recipe: R
    network: Any  # the averaged one, of the recipe's type
    data: DataRecord


def read_finished(folder: Path, kind: type[R], build: Callable[[R], Any]) -> Finished[R]:
    """The recipe, the averaged network and the data record of a finished run.

    Args:
        folder: the run's.
        kind: of its recipe.
        build: makes the network of such a recipe, which the run's weights then fill.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    weights, recipe_file = folder / "network.safetensors", folder / "recipe.json"
    if not (weights.is_file() and recipe_file.is_file()):
        raise RecipeError(f"{folder}: holds no finished run: let 'cameraborn train' finish there first")
    try:
        recipe = kind.model_validate_json(recipe_file.read_bytes())
        network = build(recipe)
        network.load_state_dict(load_file(weights))
    except (ValidationError, safetensors.SafetensorError, RuntimeError) as error:
        raise RecipeError(f"{folder}: the run is damaged ({first_line(error)}): train it again") from error
    return Finished(recipe, network, read_record(folder))


def record_beside(file: Path) -> DataRecord:
    """What the weights in a file have seen: the record of a run in its folder; of others' weights nothing is known."""
    if (file.parent / RECORD).is_file():
        return read_record(file.parent)
    return DataRecord(manifest_sha256="", seen=())


def as_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors of a network, of whatever memory format, as the bytes of a safetensors file."""
    return save({name: value.contiguous() for name, value in tensors.items()})


def write_exported(network: ExportedNetwork, options: BundleOptions, folder: Path) -> None:
    """Write the bundle of an exported network, which is fitted or calibrated next.

    Raises:
        CamerabornError: the options do not go with the network, or the folder cannot be written.
    """
    # Weights of 16 bits are a tenth smaller then, those of four by a quarter.
    file = "network.onnx" + COMPRESSED * (network.weight_bits < 32)
    info = BundleInfo(
        name=options.name,
        networks=(
            Network(
                file=file,
                weights=tuple(
                    f"{name}.safetensors" for name in ("weights", "beside")[: len(network.weights)]
                ),
                description=network.description,
                features=network.features,
                preprocessing=preprocessing_of(network, options),
                tasks=network.tasks,
                manifest_sha256=network.manifest_sha256,
            ),
        ),
        licences={"code": "Apache-2.0", **(options.licences or {})},
        versions=software_versions(),
    )
    bundle = Bundle.of_network(info, network.onnx, network.weights).with_seen(network.seen)
    if network.density_columns:
        columns = repeated(network.density_columns, network.features, len(info.preprocessing.sides))
        bundle = bundle.with_channel(Channel(name=PHOTOGRAPHS, kind=Density.kind, columns=columns))
    for channel in network.evidence:
        bundle = bundle.with_evidence(channel)
    if network.is_binary:
        bundle = bundle.with_combination({channel.name: None for channel in network.evidence})
    write_bundle(bundle, folder)


def preprocessing_of(network: ExportedNetwork, options: BundleOptions) -> Preprocessing:
    """How the bundle cuts and shrinks faces.

    Raises:
        CamerabornError: the options do not go with the network.
    """
    faces, sides = network.input_kind == "crop", set(options.sides)
    if options.crop_scale is not None and not 0 < options.crop_scale < math.inf:
        raise CamerabornError(
            f"--crop-scale {options.crop_scale:g}: not above 0: give one such as {CROP_SCALE}"
        )
    if network.is_binary and len(sides) > 1:
        raise CamerabornError(
            f"--side {options.sides[1]}: a head was trained on features of one size: give one --side"
        )
    if faces and sides - {network.side}:
        raise CamerabornError(
            f"--side {options.sides[0]}: the network was trained on crops of {network.side} pixels: leave it out"
        )
    usual = (network.side,) if faces else _SIDES[:1] if network.is_binary else _SIDES
    smallest = _SMALLEST_FACE if faces else _SMALLEST_SIDE
    if network.tiles:
        usual, smallest = (_AS_IT_IS,), PATCH_SIZE
    patch = PATCH_SIZE if faces else network.side
    for name, sizes in (("side", options.sides), ("smallest-side", (options.smallest_side or patch,))):
        if not faces and min(sizes, default=patch) < patch:
            raise CamerabornError(
                f"--{name} {min(sizes)}: the network sees patches of {patch} pixels: give {patch} or more"
            )
    return Preprocessing(
        input=network.input_kind,
        patch=patch,
        patches="tiles" if network.tiles else "cover",
        crop_scale=options.crop_scale or network.crop_scale,
        crop_rule=network.crop_rule,
        sides=tuple(sorted(sides or usual, reverse=True)),
        smallest_side=options.smallest_side or network.smallest_side or smallest,
        antialias=network.antialias,
        unit_length=network.unit_length if options.unit_length is None else options.unit_length,
    )
