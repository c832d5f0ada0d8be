"""The recipe of a binary detector: one validated TOML file with `kind = "binary"`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from cameraborn.train.encoders import NetworkSection
from cameraborn.train.recipe import Qualities, Section, TrainingRecipe


class PostprocessingSection(Section):
    """What a training picture may have been through; the defaults are SDAIE's."""

    resize_probability: float = Field(default=0.3, ge=0, le=1)  # of stretching to a square
    resize_side: tuple[int, int] = (64, 128)  # smallest and largest side of the square, pixels
    blur_probability: float = Field(default=0.1, ge=0, le=1)
    blur_sigma: float = Field(default=1.0, ge=0)  # largest, pixels; the smallest is 0
    jpeg_probability: float = Field(default=0.25, ge=0, le=1)
    jpeg_quality: Qualities = (90, 99)

    @model_validator(mode="after")
    def _ranges(self) -> PostprocessingSection:
        if not 64 <= self.resize_side[0] <= self.resize_side[1]:
            raise ValueError(f"resize_side {self.resize_side}: give [lowest, highest], at least 64")
        return self


class BinaryRecipe(TrainingRecipe):
    """Everything that decides the training of a classifier."""

    kind: Literal["binary"]
    network: NetworkSection  # as in the recipe that made `weights`
    weights: Path  # safetensors with `encoder.*`: a pretext run's network, or an imported checkpoint
    start: Literal["random", "weights"] = "random"  # of the trained copy; the authors' is random
    alpha: float = Field(default=0.05, ge=0)  # weight of the distance to the frozen copy
    augment: PostprocessingSection = PostprocessingSection()

    @model_validator(mode="after")
    def _of_patches(self) -> BinaryRecipe:
        if self.network.sees_faces:
            raise ValueError(
                f"network.type {self.network.type!r} does not see patches: choose patch or sdaie"
            )
        return self
