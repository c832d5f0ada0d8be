"""A training recipe: one validated TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cameraborn.errors import RecipeError
from cameraborn.networks.sdaie import FEATURES
from cameraborn.pretext.losses import LINK_SCALES
from cameraborn.pretext.tasks import TASKS
from cameraborn.pseudo.manipulate import PAPER_KINDS, Kind
from cameraborn.pseudo.names import RECONSTRUCTED

_Count = Annotated[int, Field(ge=1)]


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
    val_limit: int | None = Field(default=None, ge=2)  # validate on so many photographs, evenly chosen


class _NetworkSection(_Section):
    sees_faces: ClassVar[bool]
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type"})

    def encoder_sizes(self) -> dict[str, Any]:
        """The arguments of the encoder, without what tells its type and what the heads are given."""
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
    pool: Literal["mean", "first"] = (
        "mean"  # of the patches' tokens; `first` is the authors', and knows an order
    )

    @property
    def features(self) -> int:
        """Width of the feature."""
        return FEATURES


# A new type of network: its section here, and its entry in `pretext.architectures`.
NetworkSection = Annotated[PatchNetworkSection | ResNetSection | SdaieSection, Field(discriminator="type")]


class FaceSection(_Section):
    """How a network that sees faces is given them."""

    size: int = Field(default=224, ge=32)  # side of the network's input
    crop: Literal["square", "authors"] = "square"  # how the picture's edge cuts it, see `photo.crops`
    crop_scale: float = Field(default=1.3, gt=0)  # side of the crop over the longer side of the face's box
    antialias: bool = True  # False as in the authors' environment
    flip: bool = False  # left-right, one in two
    # Of half the faces, if a task asks for it; see `pretext.manipulate.ManipulationOptions` for these four.
    manipulations: tuple[Kind, ...] = Field(default=PAPER_KINDS, min_length=1)
    manipulation_side: int | None = Field(default=224, ge=0)  # in TOML 0: each crop at its own size
    match_resampling: bool = True
    eyes: Literal["right", "both"] = "right"
    upside_down: Literal["both-axes", "vertical"] = "both-axes"
    postprocess_probability: float = Field(default=0.0, ge=0, le=1)  # of shrinking and recompression

    @field_validator("manipulations")
    @classmethod
    def _of_something(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if "" in kinds or len(set(kinds)) < len(kinds):
            raise ValueError(f"{list(kinds)}: name each manipulation once; half the faces stay as they are")
        return kinds

    @field_validator("manipulation_side", mode="before")
    @classmethod
    def _own_size(cls, side: object) -> object:
        return None if side == 0 else side  # TOML has no null


class PretextSection(_Section):
    """What is learnt: task -> weight of its loss."""

    tasks: dict[str, float]
    link: Literal["paper", "aigfd-code", "sdaie-code"] = "paper"
    rank_loss: Literal["fidelity", "cross-entropy"] = "fidelity"  # of pairs; SDAIE's is cross-entropy
    tie: float = Field(default=0.5, ge=0, le=1)

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: dict[str, float]) -> dict[str, float]:
        if not tasks:
            raise ValueError(f"name at least one task: choose from {', '.join(TASKS)}")
        for name in tasks:
            if name not in TASKS:
                raise ValueError(TASKS.unknown(name))
        return tasks

    @property
    def link_scale(self) -> float:
        """The factor k of Thurstone's link, Phi(k d)."""
        return LINK_SCALES[self.link]


class PromptSection(_Section):
    """Heads by text prompts, as BLADES has them, in place of plain ones; the sizes are those of CLIP RN50's tower."""

    vocabulary: Path | None = None  # CLIP's bpe_simple_vocab_16e6.txt.gz; without it every byte is a token
    weights: Path | None = None  # a checkpoint of BLADES, whose text tower is gone on with; else a random one
    width: int = Field(default=512, ge=1)
    layers: int = Field(default=12, ge=1)
    heads: int = Field(default=8, ge=1)
    embedding: int = Field(default=1024, ge=1)

    @model_validator(mode="after")
    def _fitting(self) -> PromptSection:
        if self.width % self.heads:
            raise ValueError(
                f"a width of {self.width} cannot be divided between {self.heads} heads: change either"
            )
        return self


class BilevelSection(_Section):
    """Weights of the tasks that are learnt, from those in `pretext.tasks` on; see `pretext.weighting`."""

    primary: str  # the task that the others are to help
    learning_rate: float = Field(default=3e-4, gt=0)  # of the weights
    upper_share: float = Field(default=0.1, gt=0, lt=1)  # of the training photographs, not trained on
    constraint: Literal["none", "clamp", "normalise"] = "none"


class AugmentSection(_Section):
    """What a training picture may have been through before its patches are cut."""

    scale_probability: float = Field(default=0.5, ge=0, le=1)
    scale_min: float = Field(default=0.3, gt=0, le=1)  # smallest factor of shrinking
    jpeg_probability: float = Field(default=0.0, ge=0, le=1)
    jpeg_quality: tuple[int, int] = (60, 98)
    webp_probability: float = Field(default=0.0, ge=0, le=1)  # instead of JPEG
    webp_quality: tuple[int, int] = (40, 98)
    gain: float = Field(default=1.0, ge=1)  # each channel times a factor of 1/gain to gain
    grey_probability: float = Field(default=0.0, ge=0, le=1)

    @field_validator("jpeg_quality", "webp_quality")
    @classmethod
    def _ordered(cls, quality: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= quality[0] <= quality[1] <= 100:
            raise ValueError(f"{quality} is not a range of qualities: give [lowest, highest] of 1..100")
        return quality

    @model_validator(mode="after")
    def _one_encoding(self) -> AugmentSection:
        if self.jpeg_probability + self.webp_probability > 1:
            raise ValueError("jpeg_probability and webp_probability are more than 1 together: lower one")
        return self


class OptimiseSection(_Section):
    """The optimiser and its schedule: linear warm-up, then a cosine; averaged weights beside the trained ones."""

    steps: int | None = Field(default=None, ge=1)  # of the optimiser; or
    epochs: int | None = Field(default=None, ge=1)  # passes over the training photographs
    pictures: int = Field(default=128, ge=2)  # a batch, over all processes
    accumulate: int = Field(default=1, ge=1)  # batches a step; pairs are made within each
    patches: int = Field(default=1, ge=1)  # a picture
    optimiser: Literal["adamw", "adam"] = "adamw"  # adam: weight decay is part of the gradient
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    decay_all: bool = False  # biases and norms too
    clip_norm: float | None = Field(default=5.0, gt=0)  # of the gradient; in TOML 0 means none
    warmup: int = Field(default=100, ge=0)  # steps
    cosine_epochs: int | None = Field(
        default=None, ge=1
    )  # length of the cosine, else the run; then it rises again
    rate_by_epoch: bool = False  # the rate changes between epochs only
    lowest_rate: float = Field(default=0.0, ge=0)  # at the cosine's foot
    ema: float = Field(default=0.995, ge=0, lt=1)  # 0: no averaging
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    compile: bool = False  # by torch.compile; worth its minutes on long runs
    deterministic: bool = True  # the same bits each time; False is faster on CUDA
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    workers: int = Field(default=1, ge=0)  # a process

    @field_validator("clip_norm", mode="before")
    @classmethod
    def _none(cls, norm: object) -> object:
        return None if norm == 0 else norm  # TOML has no null

    @model_validator(mode="after")
    def _one_length(self) -> OptimiseSection:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either optimise.steps or optimise.epochs")
        return self

    def steps_for(self, photographs: int) -> int:
        """Steps of the whole run on so many training photographs."""
        return self.steps or (self.epochs or 0) * self.steps_an_epoch(photographs)

    def steps_an_epoch(self, photographs: int) -> int:
        """Steps of one pass; what does not fill a step is left to the next epoch's shuffle."""
        return max(1, photographs // self.pictures // self.accumulate)


class LogSection(_Section):
    """How often, in steps."""

    log_every: int = Field(default=20, ge=1)
    validate_every: int = Field(default=500, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)


class Recipe(_Section):
    """Everything that decides a training run."""

    data: DataSection
    network: NetworkSection = PatchNetworkSection()
    pretext: PretextSection
    prompts: PromptSection | None = None
    bilevel: BilevelSection | None = None
    augment: AugmentSection = AugmentSection()  # of patches
    faces: FaceSection = FaceSection()
    optimise: OptimiseSection
    log: LogSection = LogSection()
    init: Path | None = None  # weights to start from, see `pretext.importing`

    @field_validator("network", mode="before")
    @classmethod
    def _patches_by_default(cls, network: Any) -> Any:  # noqa: ANN401 (whatever the file says)
        return {"type": "patch", **network} if isinstance(network, dict) else network

    @model_validator(mode="after")
    def _faces_where_needed(self) -> Recipe:
        needing = [name for name in self.pretext.tasks if TASKS[name].of_faces]
        if needing and not self.network.sees_faces:
            raise ValueError(f"pretext.tasks: {needing[0]} needs a network that sees faces: set network.type")
        if RECONSTRUCTED in self.pretext.tasks and self.network.sees_faces:
            raise ValueError(
                f"pretext.tasks: {RECONSTRUCTED} needs a network that sees patches: set network.type"
            )
        if RECONSTRUCTED in self.pretext.tasks and self.network.type == "patch" and self.network.colour:
            raise ValueError(
                f"network.colour: a bundle's {RECONSTRUCTED} head has the feature alone: set it to false"
            )
        return self

    @model_validator(mode="after")
    def _prompts_where_known(self) -> Recipe:
        if self.prompts is None:
            return self
        without = [name for name in self.pretext.tasks if not TASKS[name].prompt]
        if without:
            known = ", ".join(name for name, task in TASKS.items() if task.prompt)
            raise ValueError(f"prompts: task {without[0]} has none: choose from {known}")
        if self.network.type != "resnet50":
            raise ValueError("prompts: only network.type = 'resnet50' can have them")
        return self

    @model_validator(mode="after")
    def _levels_can_be_trained(self) -> Recipe:
        if self.bilevel is None:
            return self
        if self.bilevel.primary not in self.pretext.tasks:
            raise ValueError(f"bilevel.primary: {self.bilevel.primary} is not in pretext.tasks")
        if self.optimise.accumulate > 1:
            raise ValueError("bilevel: a step has one batch of each level: set optimise.accumulate = 1")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read and validate a TOML recipe; the manifest's path is relative to the working directory.

    Raises:
        RecipeError: the file is missing, not TOML, or a field is wrong; the message names the field.
    """
    return read_as(path, Recipe)


def kind_of(path: Path) -> str:
    """What kind of recipe a file is: `binary`, `autoencoders`, or `pretext` where it says nothing.

    Raises:
        RecipeError: the file is missing or not TOML.
    """
    return str(_read_toml(path).get("kind", "pretext"))


AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)


def read_as(path: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """Read and validate a TOML recipe of some kind.

    Raises:
        RecipeError: the file is missing, not TOML, or a field is wrong; the message names the field.
    """
    try:
        return kind.model_validate(_read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"{path}: {_place(first['loc'])}{first['msg']}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe: see configs/ for those that ship")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the file, without the network's type that pydantic puts between."""
    parts = [str(part) for place, part in enumerate(loc) if not (place == 1 and loc[0] == "network")]
    return ".".join(parts) + ": " if parts else ""
