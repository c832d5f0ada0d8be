"""A training recipe: one validated TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cameraborn.errors import RecipeError
from cameraborn.pretext.losses import LINK_SCALES
from cameraborn.pretext.tasks import TASKS


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(_Section):
    """Which rows of the manifest are learnt from."""

    manifest: Path
    train_split: str = "train"
    val_split: str = "val"
    kinds: tuple[str, ...] = ()  # empty: every kind
    allow_research_only: bool = False  # True makes weights that must not be given away
    cache_mb: int = Field(default=4096, ge=0)  # decoded pictures kept in memory


class NetworkSection(_Section):
    """Size of the patch network."""

    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: int = Field(default=1, ge=1)
    features: int = Field(default=256, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)  # before the last layer


class PretextSection(_Section):
    """What is learnt: task -> weight of its loss."""

    tasks: dict[str, float]
    link: Literal["paper", "aigfd-code", "sdaie-code"] = "paper"
    tie: float = Field(default=0.5, ge=0, le=1)

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(tasks) - set(TASKS))
        if unknown or not tasks:
            raise ValueError(f"unknown task(s) {unknown}: choose from {sorted(TASKS)}")
        return tasks

    @property
    def link_scale(self) -> float:
        """The factor k of Thurstone's link, Phi(k d)."""
        return LINK_SCALES[self.link]


class AugmentSection(_Section):
    """What a training picture may have been through before its patches are cut."""

    scale_probability: float = Field(default=0.5, ge=0, le=1)
    scale_min: float = Field(default=0.3, gt=0, le=1)  # smallest factor of shrinking
    jpeg_probability: float = Field(default=0.0, ge=0, le=1)
    jpeg_quality: tuple[int, int] = (60, 98)
    gain: float = Field(default=1.0, ge=1)  # each channel times a factor of 1/gain to gain
    grey_probability: float = Field(default=0.0, ge=0, le=1)

    @field_validator("jpeg_quality")
    @classmethod
    def _ordered(cls, quality: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= quality[0] <= quality[1] <= 100:
            raise ValueError(f"{quality} is not a range of JPEG qualities: give [lowest, highest] of 1..100")
        return quality


class OptimiseSection(_Section):
    """The optimiser and its schedule: AdamW, linear warm-up, cosine to zero, averaged weights."""

    steps: int = Field(ge=1)
    pictures: int = Field(default=128, ge=2)  # a batch
    patches: int = Field(default=1, ge=1)  # a picture
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: int = Field(default=100, ge=0)
    ema: float = Field(default=0.995, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    workers: int = Field(default=1, ge=0)


class LogSection(_Section):
    """How often, in steps."""

    log_every: int = Field(default=20, ge=1)
    validate_every: int = Field(default=500, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)


class Recipe(_Section):
    """Everything that decides a training run."""

    data: DataSection
    network: NetworkSection = NetworkSection()
    pretext: PretextSection
    augment: AugmentSection = AugmentSection()
    optimise: OptimiseSection
    log: LogSection = LogSection()


def read_recipe(path: Path) -> Recipe:
    """Read and validate a TOML recipe; the manifest's path is relative to the working directory.

    Raises:
        RecipeError: the file is missing, not TOML, or a field is wrong; the message names the field.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe: see configs/ for those that ship")
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: {field}: {first['msg']}") from error
