"""What every training recipe has: validated sections of one TOML file, and how the file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    model_validator,
)

from cameraborn.data.invalid import first_problem
from cameraborn.data.select import Selection
from cameraborn.errors import RecipeError, no_file
from cameraborn.registry import unknown_name
from cameraborn.toml import read_toml

KINDS = ("binary", "generators", "autoencoders", "rival")  # a recipe of pretext tasks names none
# Keys of earlier releases by their section (the empty one: whole sections): the old name, and today's.
RENAMED = {
    "": {"delivery": "history", "painters": "autoencoders"},
    "faces": {"delivery_probability": "postprocess_probability"},
    "pretext.tasks": {"redrawn": "reconstructed"},
    "autoencoders": {"critic": "discriminator"},
    "optimise": {
        "pictures": "batch_size",
        "accumulate": "grad_accum_steps",
        "epsilon": "eps",
        "clip_norm": "grad_clip",
        "rate_by_epoch": "lr_per_epoch",
        "lowest_rate": "min_lr",
    },
}


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes it once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(Section):
    """Which rows of the manifest are learnt from."""

    manifest: Path
    train_split: str = "train"
    val_split: str = "val"
    kinds: tuple[str, ...] = ()  # empty: every kind
    allow_research_only: bool = False  # True makes weights that must not be given away
    cache_mb: int = Field(default=4096, ge=0)  # memory of one process for decoded pictures
    val_limit: int | None = Field(default=None, ge=2)  # number of photographs to validate on, evenly chosen

    @property
    def manifests(self) -> tuple[Path, ...]:
        """All manifests that are read."""
        return (self.manifest,)

    def train_selection(self, **fields: Any) -> Selection:  # noqa: ANN401 (fields of Selection)
        """The rows to learn from; `fields` narrow the selection further."""
        return Selection(self.train_split, self.kinds, research_only=self.allow_research_only, **fields)

    def val_selection(self, **fields: Any) -> Selection:  # noqa: ANN401 (fields of Selection)
        """The rows to validate on: those for research only may be measured on."""
        return Selection(self.val_split, self.kinds, **fields)


def _ordered(quality: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= quality[0] <= quality[1] <= 100:
        raise ValueError(f"{quality} is not a range of qualities: give [lowest, highest] of 1..100")
    return quality


Qualities = Annotated[tuple[int, int], AfterValidator(_ordered)]  # lowest and highest
ZERO_IS_NONE = BeforeValidator(lambda value: None if value == 0 else value)  # TOML has no null


class AugmentSection(Section):
    """What a training picture may have been through before its patches are cut."""

    scale_probability: float = Field(default=0.5, ge=0, le=1)
    scale_min: float = Field(default=0.3, gt=0, le=1)  # smallest factor of shrinking
    jpeg_probability: float = Field(default=0.0, ge=0, le=1)
    jpeg_quality: Qualities = (60, 98)
    webp_probability: float = Field(default=0.0, ge=0, le=1)  # instead of JPEG
    webp_quality: Qualities = (40, 98)
    gain: float = Field(default=1.0, ge=1)  # each channel is multiplied by a factor of 1/gain to gain
    grey_probability: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one_encoding(self) -> AugmentSection:
        if self.jpeg_probability + self.webp_probability > 1:
            raise ValueError("jpeg_probability and webp_probability are more than 1 together: lower one")
        return self


class OptimiseSection(Section):
    """The optimiser and its schedule: linear warm-up, then decay; averaged weights beside the trained ones."""

    steps: int | None = Field(default=None, ge=1)  # steps of the optimiser; or
    epochs: int | None = Field(default=None, ge=1)  # passes over the training rows
    batch_size: int = Field(default=128, ge=2)  # pictures of a batch, over all processes
    grad_accum_steps: int = Field(default=1, ge=1)  # batches of a step; pairs are made within each
    patches: int = Field(default=1, ge=1)  # patches of each picture
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"  # adam, sgd: weight decay is part of the gradient
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.98)  # the first is the momentum of sgd
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    decay_all: bool = False  # biases and norms decay too
    grad_clip: Annotated[PositiveFloat | None, ZERO_IS_NONE] = (
        5.0  # largest norm of the gradient; 0: no limit
    )
    warmup: int = Field(default=100, ge=0)  # steps
    schedule: Literal["cosine", "root", "constant"] = (
        "cosine"  # root: the square root of the share that is left
    )
    cosine_epochs: int | None = Field(default=None, ge=1)  # default: the whole run; after it the rate rises
    lr_per_epoch: bool = False  # the rate changes between epochs only
    min_lr: float = Field(default=0.0, ge=0)  # rate at the end of the schedule
    ema: float = Field(default=0.995, ge=0, lt=1)  # 0: no averaging
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    compile: bool = False  # by torch.compile; worth its minutes on long runs
    deterministic: bool = True  # the same bits each time; False is faster on CUDA
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    workers: int = Field(default=1, ge=0)  # processes that prepare batches, for each training process

    @model_validator(mode="after")
    def _one_length(self) -> OptimiseSection:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either optimise.steps or optimise.epochs")
        return self

    @property
    def pictures_a_step(self) -> int:
        """Pictures of all batches of one step."""
        return self.batch_size * self.grad_accum_steps

    def steps_for(self, rows: int) -> int:
        """Steps of the whole run on so many training rows."""
        return self.steps or (self.epochs or 0) * self.steps_an_epoch(rows)

    def steps_an_epoch(self, rows: int) -> int:
        """Steps of one pass; what does not fill a step is left to the next epoch's shuffle."""
        return max(1, rows // self.pictures_a_step)


class LogSection(Section):
    """How often, in steps."""

    log_every: int = Field(default=20, ge=1)
    validate_every: int = Field(default=500, ge=0)  # 0: every epoch
    checkpoint_every: int = Field(default=100, ge=1)


class WholeRecipe(Section):
    """A whole file."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a TOML file; paths in it are relative to the working directory.

        Raises:
            RecipeError: the file is missing, not TOML, or a field is wrong; the message names the field.
        """
        fields = _read_toml(path)
        _refuse_old_names(path, fields)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise RecipeError(f"{path}: {first_problem(error, cls)}") from error


class TrainingRecipe(WholeRecipe):
    """What decides a training run, whatever is trained."""

    data: DataSection
    optimise: OptimiseSection
    log: LogSection = LogSection()


def kind_of(path: Path) -> str:
    """What kind a recipe is of: one of `KINDS`, or `pretext` where it says nothing.

    Raises:
        RecipeError: the file is missing or not TOML, or there is no such kind.
    """
    fields = _read_toml(path)
    if (kind := fields.get("kind", "pretext")) not in (*KINDS, "pretext"):
        _refuse_old_names(path, fields)
        raise RecipeError(f"{path}: {unknown_name('kind of recipe', str(kind), KINDS)}")
    return str(kind)


def _refuse_old_names(path: Path, fields: dict[str, Any]) -> None:
    for section, names in RENAMED.items():
        held: Any = fields
        for key in section.split(".") if section else ():
            held = held.get(key, {}) if isinstance(held, dict) else {}
        tables = held if isinstance(held, list) else [held]
        prefix = f"{section}." if section else ""
        for old, new in names.items():
            if any(isinstance(table, dict) and old in table for table in tables):
                raise RecipeError(f"{path}: {prefix}{old} is now called {prefix}{new}: rename it")


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(no_file(path, "recipe", "see configs/ for those that ship"))
    return read_toml(path, RecipeError)
