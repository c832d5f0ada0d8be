"""The recipe of a rival: one validated TOML file with `kind = "rival"`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, field_validator, model_validator

from cameraborn.files import as_several
from cameraborn.registry import unknown_name
from cameraborn.rivals.published import ENCODERS, RIVALS
from cameraborn.train.recipe import (
    ZERO_IS_NONE,
    LogSection,
    OptimiseSection,
    Qualities,
    Section,
    TrainingRecipe,
)

_Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentSection(Section):
    """What happens to a training picture; nothing by default.

    `shrink`, blur, JPEG, `crop_picture` and `flip_picture` come before the rival's `preprocess`, `crop` and `flip`
    behind its `prepare`, in this order.
    """

    shrink: tuple[int, int] | None = None  # to a square of a side drawn between these, pixels
    blur_probability: _Probability = 0.0
    blur_sigma: tuple[float, float] = (0.0, 3.0)  # least and greatest, pixels
    jpeg_probability: _Probability = 0.0
    jpeg_quality: Qualities = (30, 100)  # least and greatest
    crop_picture: int | None = Field(default=None, ge=1)  # most of both sides of a random crop, pixels
    flip_picture: _Probability = 0.0
    crop: int | None = Field(default=None, ge=1)  # side of a random crop of what the network sees, pixels
    flip: _Probability = 0.0

    @property
    def changes_pictures(self) -> bool:
        """Whether chance changes the picture that the rival is given."""
        chances = (self.blur_probability, self.jpeg_probability, self.flip_picture)
        return self.shrink is not None or self.crop_picture is not None or any(chances)

    @model_validator(mode="after")
    def _ranges(self) -> AugmentSection:
        for name, least in (("shrink", 1), ("blur_sigma", 0)):
            limits = getattr(self, name)
            if limits is not None and not least <= limits[0] <= limits[1]:
                raise ValueError(f"{name} {list(limits)}: give [lowest, highest], at least {least}")
        return self


class RivalOptimiseSection(OptimiseSection):
    """How the loss is lowered: a constant learning rate, or one that falls by steps; the defaults are torch's."""

    learning_rate: float = Field(gt=0)
    batch_size: int = Field(ge=2)
    optimiser: Literal["adamw", "adam", "sgd"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    decay_all: bool = True
    grad_clip: Annotated[PositiveFloat | None, ZERO_IS_NONE] = None
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "root", "constant"] = "constant"
    ema: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    decay_every: int | None = Field(default=None, ge=1)  # epochs, or steps where steps are given
    decay_factor: float = Field(default=0.1, gt=0, lt=1)  # of the learning rate
    # Validations without a better one before it decays instead.
    patience: int | None = Field(default=None, ge=1)
    min_lr: float = Field(default=0.0, ge=0)  # with patience, training ends when the rate would fall below

    @model_validator(mode="after")
    def _one_decay(self) -> RivalOptimiseSection:
        if self.decay_every is not None and self.patience is not None:
            raise ValueError("give either decay_every or patience")
        if self.patience is not None and self.min_lr > self.learning_rate:
            raise ValueError(
                f"min_lr {self.min_lr} is above learning_rate: nothing would be trained: lower it"
            )
        return self


class RivalRecipe(TrainingRecipe):
    """Everything that decides the training of a rival.

    Attributes:
        objective: `binary`: genuine against generated pictures; `self-blended`: photographs against copies made of
            them; `photographs`: photographs alone; `distilled`: the scores of a teacher, on pictures of both kinds.
        teacher: weights of the rival that teaches, of objective `distilled`.
        weights: files to start from, each of a part (see `cameraborn.rivals.weights`).
        start: ImageNet's weights for the part that is trained (see `cameraborn.rivals.start`).
    """

    kind: Literal["rival"]
    rival: str
    objective: Literal["binary", "self-blended", "photographs", "distilled"] = "binary"
    teacher: Path | None = None
    weights: Annotated[tuple[Path, ...], BeforeValidator(as_several)] = ()
    start: Path | None = None
    augment: AugmentSection = AugmentSection()
    optimise: RivalOptimiseSection
    log: LogSection = LogSection(validate_every=0)

    @field_validator("rival")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in RIVALS and name not in ENCODERS:
            raise ValueError(unknown_name("rival", name, (*RIVALS, *ENCODERS)))
        return name

    @model_validator(mode="after")
    def _learns_from_its_kind(self) -> RivalRecipe:
        if (self.rival in ENCODERS) != (self.objective == "photographs"):
            raise ValueError(
                f"objective {self.objective!r} is not for {self.rival!r}: encoders learn from 'photographs', rivals "
                "from 'binary', 'self-blended' or 'distilled'"
            )
        return self

    @model_validator(mode="after")
    def _taught(self) -> RivalRecipe:
        distilled = self.objective == "distilled"
        if distilled and not (taught_by := RIVALS[self.rival]().teacher):
            raise ValueError(f"objective 'distilled': none teaches {self.rival!r}: choose another objective")
        if distilled and self.teacher is None:
            raise ValueError(f"objective 'distilled': give weights of {taught_by!r} as teacher")
        if self.teacher is not None and not distilled:
            raise ValueError("teacher: means nothing without objective = 'distilled': leave it out")
        return self
