"""The records of `bundle.json`, and the release of their layout."""

from __future__ import annotations

import itertools
import math
import platform
from importlib import metadata
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cameraborn.detect.condition import Category, NoiseEdges, Taxonomy
from cameraborn.detect.conformal import Tail
from cameraborn.detect.evidence.channel import Columns
from cameraborn.detect.evidence.combine import Standard
from cameraborn.photo.crops import CropRule

SCHEMA_VERSION = 4  # `convert` reads 2 and 3; 1 had other categories of condition
TENSORS, COMPRESSED = ".safetensors", ".gz"
RESERVED = ("weights", "beside", "operations")  # beginnings of file names that no channel may have
DECIDING_PACKAGES = ("cameraborn", "numpy", "onnxruntime", "pillow", "scikit-learn")


def software_versions() -> dict[str, str]:
    """The versions that decide the numbers of a bundle or a measurement."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in DECIDING_PACKAGES},
    }


class _Record(BaseModel):
    # Built when first used, which scoring does at once and '--help' never.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Preprocessing(_Record):
    """How a picture becomes a feature.

    The network takes single patches [N 3 p p] and their features are averaged (`patches`), all patches of one picture
    [P 3 p p] to one feature (`patch-set`), or the whole crop [1 3 side side] (`crop`).
    """

    input: Literal["patches", "patch-set", "crop"] = "patches"
    patch: int = Field(default=64, ge=16)  # p, the side of a patch
    # The fewest patches that cover the crop, overlapping; or those of its middle that do not overlap (SDAIE's authors).
    patches: Literal["cover", "tiles"] = "cover"
    crop_scale: float = Field(gt=0)  # side of the square crop / longer side of the face box
    crop_rule: CropRule = "square"  # how the picture's edge cuts the crop, see `photo.crops`
    # Crops are encoded shrunk to each of these, falling; those that are smaller already, as they are
    # (a network of whole crops has them enlarged).
    sides: tuple[Annotated[int, Field(ge=16)], ...] = Field(min_length=1)
    smallest_side: int = Field(ge=16)  # crops under this are too small to judge
    antialias: bool = True  # False: plain bilinear sampling, which the authors' weights were trained with
    unit_length: bool = False  # features are divided by their Euclidean length, as BLADES does

    @field_validator("sides")
    @classmethod
    def _falling(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if list(sides) != sorted(set(sides), reverse=True):
            raise ValueError(f"sides {sides} must fall: each is shrunk from the one before")
        return sides


class Network(_Record):
    """One network: its features follow those of the networks before it."""

    file: str  # the ONNX graph, compressed by gzip if it ends so
    weights: tuple[str, ...] = ()  # safetensors to train on from
    description: str  # its family and size, for people
    features: int = Field(ge=1)  # for one side
    preprocessing: Preprocessing
    tasks: tuple[str, ...] = ()  # what it learnt
    manifest_sha256: str = ""  # of the training manifest

    @property
    def width(self) -> int:
        """Features of all sides."""
        return self.features * len(self.preprocessing.sides)


class Channel(_Record):
    """One channel of evidence."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    kind: str  # see `evidence.kinds`
    columns: Columns  # the feature columns that it reads, ranges of first and one past the last
    file: str | None = None  # its fitted numbers; None until it is fitted
    standard: tuple[float, float] | None = None  # mean and deviation of its surprise among fitted photographs
    weight: float | None = Field(default=None, gt=0)  # in the score, see `evidence.combine`

    @model_validator(mode="after")
    def _sound(self) -> Self:
        edges = [edge for columns in self.columns for edge in columns]
        empty = any(first >= end for first, end in self.columns)
        if not edges or empty or edges[0] < 0 or edges != sorted(edges):
            raise ValueError(f"columns {self.columns} must be rising ranges of columns from 0")
        if self.name.startswith(RESERVED):
            raise ValueError(f"a channel cannot be called {self.name!r}: another file has this name")
        if self.standard is not None and not self.standard[1] > 0:
            raise ValueError(f"standard {self.standard} must have a deviation above 0")
        return self


class Coverage(_Record):
    """What the calibration photographs had been through; outside it the detector abstains."""

    jpeg_quality: tuple[int, int]  # lowest and highest estimated quality, of JPEG files
    colour: bool = True  # False if pictures without colour are covered too
    whole_image: bool = False  # True: whole pictures were calibrated, not faces
    tail: Tail = "upper"  # `both`: a likelihood that is too high is suspicious too
    size_edges: tuple[int, ...] = ()  # pixels, rising: divide the sizes of faces
    noise_edges: NoiseEdges = ()  # log of grey levels: divide noise
    operations: tuple[str, ...] = ()  # that the operation classifier tells apart
    categories: tuple[Category, ...] = ()  # the cells of each category, see `condition`

    @property
    def taxonomy(self) -> Taxonomy:
        """How conditions are divided."""
        return Taxonomy(self.size_edges, self.noise_edges, self.operations, self.categories)


class BundleInfo(_Record):
    """The contents of `bundle.json`."""

    schema_version: Literal[4] = 4
    name: str = Field(min_length=1)
    networks: tuple[Network, ...] = Field(min_length=1)
    licences: dict[str, str] = Field(default_factory=dict)  # of code, weights and data
    versions: dict[str, str] = Field(default_factory=dict)  # of the software that made it
    channels: tuple[Channel, ...] = ()  # the evidence, in order
    combined: tuple[str, ...] = Field(default=("photographs",), min_length=1)  # channels that make the score
    coverage: Coverage | None = None  # written by calibrate
    files: dict[str, str] = Field(default_factory=dict)  # name -> SHA-256

    @field_validator("channels")
    @classmethod
    def _distinct(cls, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        if len({channel.name for channel in channels}) < len(channels):
            raise ValueError("two channels have one name")
        return channels

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.weights and len(self.weights) < len(self.combined):
            raise ValueError("of the channels that make the score, some have a weight and some have none")
        return self

    @property
    def preprocessing(self) -> Preprocessing:
        """That of the first network, whose size decides the residual statistics."""
        return self.networks[0].preprocessing

    @property
    def crop_scale(self) -> float:
        """Side of the square crop / longer side of the face box; networks of a smaller one see the crop's middle."""
        return max(network.preprocessing.crop_scale for network in self.networks)

    @property
    def smallest_side(self) -> int:
        """Crops under this are too small for one of the networks."""
        return max(
            math.ceil(one.smallest_side * self.crop_scale / one.crop_scale)
            for one in (network.preprocessing for network in self.networks)
        )

    @property
    def smallest_face(self) -> int:
        """Pixels of the longer side of the box of a face that is large enough."""
        return math.ceil(self.smallest_side / self.crop_scale)

    @property
    def width(self) -> int:
        """Features of all networks."""
        return sum(network.width for network in self.networks)

    @property
    def places(self) -> tuple[slice, ...]:
        """The columns of each network's features."""
        ends = itertools.accumulate((network.width for network in self.networks), initial=0)
        return tuple(slice(first, end) for first, end in itertools.pairwise(ends))

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each channel that makes the score; empty if none were chosen."""
        known = {record.name: record.weight for record in self.channels}
        return {name: weight for name in self.combined if (weight := known.get(name)) is not None}

    def standard_of(self, channel: str) -> Standard | None:
        """A channel's surprise among fitted photographs, if it was measured."""
        (found,) = (record.standard for record in self.channels if record.name == channel)
        return None if found is None else Standard(*found)
