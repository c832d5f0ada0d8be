"""Encoders that recipes may name: the section of each, and how it is built.

Shapes: N pictures or patches, D features.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from cameraborn.networks.patchnet import PatchNet
from cameraborn.networks.resnet import ResNet
from cameraborn.networks.sdaie import FEATURES, SdaieNet
from cameraborn.train.recipe import Section

_Count = Annotated[int, Field(ge=1)]


class _NetworkSection(Section):
    sees_faces: ClassVar[bool]
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type"})

    def encoder_sizes(self) -> dict[str, Any]:
        """The arguments of the encoder, without its type and what the heads are given."""
        return self.model_dump(exclude=set(self.not_of_the_encoder))


class PatchNetworkSection(_NetworkSection):
    """Size of the patch network."""

    sees_faces: ClassVar[bool] = False
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type", "colour"})

    type: Literal["patch"] = "patch"
    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: int = Field(default=1, ge=1)
    features: int = Field(default=256, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)  # before the last layer
    pool: Literal["last", "all"] = "last"  # stages whose maps the feature is made of
    spectrum: bool = False  # whether the feature is also made of the strengths of frequencies
    colour: bool = False  # whether the heads, not the feature, are told how light the picture is


class ResNetSection(_NetworkSection):
    """Size of the ResNet; the defaults are AIGFD-EXIF's."""

    sees_faces: ClassVar[bool] = True

    type: Literal["resnet50"]
    layers: tuple[_Count, _Count, _Count, _Count] = (3, 4, 6, 3)  # blocks of each stage
    width: int = Field(default=64, ge=1)
    features: int = Field(default=768, ge=1)
    normalise: Literal["clip", "imagenet"] = "clip"


class SdaieSection(_NetworkSection):
    """SDAIE's network, whose sizes are fixed."""

    sees_faces: ClassVar[bool] = False

    type: Literal["sdaie"]
    # How the patches' tokens become one feature; `first` is the authors', and depends on the patches' order.
    pool: Literal["mean", "first"] = "mean"

    @property
    def features(self) -> int:
        """Width of the feature."""
        return FEATURES


NetworkSection = Annotated[PatchNetworkSection | ResNetSection | SdaieSection, Field(discriminator="type")]

# A new encoder: its section and its entry here, and its heads in `pretext.architectures`.
ENCODERS: dict[str, type[nn.Module]] = {"patch": PatchNet, "sdaie": SdaieNet, "resnet50": ResNet}


def build_encoder(section: NetworkSection) -> Any:  # noqa: ANN401 (a module of the section's type)
    """The encoder of a section, freshly initialised."""
    return ENCODERS[section.type](**section.encoder_sizes())


def describe(encoder: nn.Module, section: NetworkSection) -> str:
    """The encoder's class, sizes and number of parameters, for a bundle's card."""
    parameters = sum(p.numel() for p in encoder.parameters())
    return f"{type(encoder).__name__} {json.dumps(section.encoder_sizes())} ({parameters:,} parameters)"
