"""The recipe of a rival: one validated TOML file with `kind = "rival"`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cameraborn.rivals.published import ENCODERS, RIVALS
from cameraborn.train.recipe import DataSection, Section, WholeRecipe

_Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentSection(Section):
    """What happens to a training picture; nothing by default.

    `shrink`, blur and JPEG come before the rival's `preprocess`, crop and flip behind its `prepare`, in this order.
    """

    shrink: tuple[int, int] | None = None  # to a square of a side drawn between these, pixels
    blur_probability: _Probability = 0.0
    blur_sigma: tuple[float, float] = (0.0, 3.0)  # least and greatest, pixels
    jpeg_probability: _Probability = 0.0
    jpeg_quality: tuple[int, int] = (30, 100)  # least and greatest
    crop: int | None = Field(default=None, ge=1)  # side of a random crop of what the network sees, pixels
    flip: _Probability = 0.0

    @model_validator(mode="after")
    def _ranges(self) -> AugmentSection:
        for name in ("shrink", "blur_sigma", "jpeg_quality"):
            limits = getattr(self, name)
            if limits is not None and not 0 <= limits[0] <= limits[1]:
                raise ValueError(f"{name} {list(limits)}: give [lowest, highest]")
        return self


class OptimiseSection(Section):
    """How the loss is lowered."""

    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)  # of adam and adamw; the first is the momentum of sgd
    weight_decay: float = Field(default=0.0, ge=0)
    batch_size: int = Field(ge=2)
    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)  # in place of epochs
    decay_every: int | None = Field(default=None, ge=1)  # epochs, or steps where steps are given
    decay_factor: float = Field(default=0.1, gt=0, le=1)  # of the learning rate
    patience: int | None = Field(
        default=None, ge=1
    )  # epochs without a better validation before it decays instead
    min_lr: float = Field(default=0.0, ge=0)  # training ends when the learning rate would fall below
    seed: int = 0

    @model_validator(mode="after")
    def _length(self) -> OptimiseSection:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self


class RivalRecipe(WholeRecipe):
    """Everything that decides the training of a rival.

    Attributes:
        objective: `binary`: genuine against generated pictures; `self-blended`: photographs against copies made of
            them; `photographs`: photographs alone.
        weights: files to start from, each of a part (see `cameraborn.rivals.weights`).
    """

    kind: Literal["rival"]
    rival: str
    objective: Literal["binary", "self-blended", "photographs"] = "binary"
    weights: tuple[Path, ...] = ()
    data: DataSection
    augment: AugmentSection = AugmentSection()
    optimise: OptimiseSection

    @field_validator("rival")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in RIVALS and name not in ENCODERS:
            raise ValueError(RIVALS.unknown(name))
        return name
