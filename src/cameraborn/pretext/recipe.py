"""The recipe of pretext training: what it adds to the sections of every recipe."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import Tensor

from cameraborn.networks.patchnet import PatchNetworkSection
from cameraborn.pretext.losses import LINK_SCALES, RANK_LOSSES
from cameraborn.pretext.tasks import TASKS, Task, chosen
from cameraborn.pretext.upper import UPPER, column_of_made
from cameraborn.pseudo.manipulate import PAPER_KINDS, Kind
from cameraborn.pseudo.names import RECONSTRUCTED
from cameraborn.train.encoders import NetworkSection
from cameraborn.train.recipe import ZERO_IS_NONE, AugmentSection, Section, TrainingRecipe


class FaceSection(Section):
    """How a network that sees faces is given them."""

    size: int = Field(default=224, ge=32)  # side of the network's input
    crop: Literal["square", "authors"] = "square"  # how the picture's edge cuts it, see `photo.crops`
    crop_scale: float = Field(default=1.3, gt=0)  # side of the crop over the longer side of the face's box
    crop_jitter: float = Field(
        default=0.0, ge=0, le=0.3
    )  # of training crops: see `pretext.face_dataset.moved`
    antialias: bool = True  # False as in the authors' environment
    flip: bool = False  # left-right, one in two
    # Of half the faces, if a task asks for it; see `pseudo.manipulate.ManipulationOptions` for these four.
    manipulations: tuple[Kind, ...] = Field(default=PAPER_KINDS, min_length=1)
    manipulation_side: Annotated[PositiveInt | None, ZERO_IS_NONE] = 224  # 0: each crop at its own size
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


class PretextSection(Section):
    """What is learnt: task -> weight of its loss."""

    tasks: dict[str, float]
    link: Literal["paper", "aigfd-code", "sdaie-code"] = "paper"
    rank_loss: Literal["fidelity", "cross-entropy"] = "fidelity"  # of pairs; SDAIE's is cross-entropy
    tie: float = Field(default=0.5, ge=0, le=1)
    levels: Literal[3, 5] = 3  # of BLADES' ranked tags

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
    def chosen(self) -> list[Task]:
        """The tasks, in their order."""
        return chosen(self.tasks, self.levels)

    @property
    def pair_loss(self) -> partial[Tensor]:
        """How scores [B] are taught to rank tags [B]."""
        return partial(RANK_LOSSES[self.rank_loss], link_scale=LINK_SCALES[self.link], tie=self.tie)


class PromptSection(Section):
    """Heads by text prompts, as BLADES has them, in place of plain ones; the sizes are those of CLIP RN50's tower."""

    vocabulary: Path | None = None  # CLIP's bpe_simple_vocab_16e6.txt.gz; without it every byte is a token
    sentences: Path | None = None  # a table of the fifty sentences, see `pretext.prompts`; else our own
    weights: Path | None = None  # a checkpoint of BLADES, whose text tower is gone on with; else a random one
    freeze: bool = False  # the text tower stays as it is; the scale of the cosines is learnt all the same
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


class BilevelSection(Section):
    """Weights of the tasks that are learnt, from those in `pretext.tasks` on; see `pretext.weighting`."""

    primary: str  # the task that the others are to help, or `detection`: see `pretext.upper`
    learning_rate: float = Field(default=3e-4, gt=0)  # of the weights
    upper_share: float = Field(default=0.1, gt=0, lt=1)  # of the training photographs, not trained on
    constraint: Literal["none", "clamp", "normalise"] = "none"


class Recipe(TrainingRecipe):
    """Everything that decides a pretext training run."""

    kind: Literal["pretext"] = "pretext"
    network: NetworkSection = PatchNetworkSection()
    pretext: PretextSection
    prompts: PromptSection | None = None
    bilevel: BilevelSection | None = None
    augment: AugmentSection = AugmentSection()  # of patches
    faces: FaceSection = FaceSection()
    init: Path | None = None  # weights to start from, see `train.weights`

    @model_validator(mode="after")
    def _faces_where_needed(self) -> Recipe:
        needing = [name for name in self.pretext.tasks if TASKS[name].of_faces]
        if needing and not self.network.sees_faces:
            raise ValueError(f"pretext.tasks: {needing[0]} needs a network that sees faces: set network.type")
        reconstructed = RECONSTRUCTED in self.pretext.tasks
        if reconstructed and self.network.sees_faces:
            raise ValueError(
                f"pretext.tasks: {RECONSTRUCTED} needs a network that sees patches: set network.type"
            )
        if reconstructed and isinstance(self.network, PatchNetworkSection) and self.network.colour:
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
            raise ValueError(f"prompts: task {without[0]} has no prompts: choose from {known}")
        if self.network.type != "resnet50":
            raise ValueError("prompts: only network.type = 'resnet50' can have them")
        return self

    @model_validator(mode="after")
    def _levels_can_be_trained(self) -> Recipe:
        if self.bilevel is None:
            return self
        primary = self.bilevel.primary
        if primary not in self.pretext.tasks and primary not in UPPER:
            others = ", ".join(UPPER)
            raise ValueError(
                f"bilevel.primary: {primary} is not in pretext.tasks: name one of them, or {others}"
            )
        if primary in UPPER and column_of_made(self.pretext.chosen) is None:
            raise ValueError(
                f"bilevel.primary: {primary} needs pictures that were made: "
                f"add face, blades_coarse or {RECONSTRUCTED} to pretext.tasks"
            )
        if self.optimise.grad_accum_steps > 1:
            raise ValueError("bilevel: a step has one batch of each level: set optimise.grad_accum_steps = 1")
        return self
