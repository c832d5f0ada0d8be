"""The recipe of a detector of known generators on large patches of faces: a TOML file with `kind = "generators"`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cameraborn.binary.patches import TILE
from cameraborn.degrade.history import Histories
from cameraborn.networks.efficientnet_lite import EfficientNetLiteSection
from cameraborn.networks.patchnet import PatchNetworkSection
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.train.encoders import NetworkSection
from cameraborn.train.recipe import DataSection, Section, TrainingRecipe


class FacesSection(DataSection):
    """Which rows are learnt from; each manifest may hold photographs, generated faces and reconstructed pairs."""

    more_manifests: tuple[Path, ...] = ()  # read like `manifest`

    @property
    def manifests(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.manifest, *self.more_manifests)


class BatchSection(Section):
    """What a batch holds: of so many units of these pictures `optimise.batch_size` is a multiple."""

    photographs: int = Field(default=1, ge=1)
    pairs: int = Field(default=1, ge=0)  # a photograph and its reconstruction: two pictures
    fakes: int = Field(default=1, ge=1)
    blank: int = Field(default=0, ge=0)  # photographs or fakes without detail, of which nothing can be said
    native: float = Field(default=0.15, ge=0, le=1)  # share of photographs that are rows without a face's box
    matched_pairs: float = Field(default=0.6, ge=0, le=1)  # made as sharp as their photographs

    @property
    def unit(self) -> int:
        """Pictures of one unit."""
        return self.photographs + 2 * self.pairs + self.fakes + self.blank


class HistorySection(Section):
    """How much the random processing histories do, see `degrade.history`."""

    strength: float = Field(default=0.5, ge=0)  # how often edits happen, over the table's chances
    native: float = Field(default=0.5, ge=0, le=1)  # share of the larger faces that stay large
    light: float = Field(default=0.6, ge=0, le=1)  # share without edits
    toned: float = Field(default=0.0, ge=0, le=1)  # share of all whose tone changes
    denoised: float = Field(default=0.0, ge=0, le=1)  # share of all from which noise is taken
    turned: float = Field(default=0.0, ge=0, le=1)  # share of patches turned by any number of quarters
    shuffle: float = Field(default=0.2, ge=0, le=1)  # share of patches whose tiles are shuffled
    hybrid: float = Field(default=0.0, ge=0, le=1)  # share of patches laid on another's content
    balanced: bool = False  # shrinking, noise and sharpness do not tell the classes, see `binary.plans`

    @property
    def histories(self) -> Histories:
        """What `degrade.history` is told."""
        return Histories(self.strength, self.native, self.light, self.toned, self.denoised)


class PatchesSection(Section):
    """Patches of one side: each step draws one of these."""

    side: int = Field(ge=64)  # pixels
    count: int = Field(default=1, ge=1)  # patches of each picture
    share: float = Field(default=1.0, gt=0)  # how often it is drawn, over the sum of all shares

    @model_validator(mode="after")
    def _of_whole_tiles(self) -> PatchesSection:
        if self.side % TILE:
            raise ValueError(f"side {self.side} is not divisible by {TILE}: give one that is")
        return self


class OverlapSection(Section):
    """Weights that make who is shown say nothing of the class, see `binary.overlap`."""

    side: int = Field(default=40, ge=8)  # pixels; of faces in which no trace of a generator is left
    covariates: int = Field(default=24, ge=1)  # principal components of the first network's features


class GeneratorsRecipe(TrainingRecipe):
    """Everything that decides the training of a detector of known generators."""

    kind: Literal["generators"]
    data: FacesSection
    network: NetworkSection = EfficientNetLiteSection(residual=True)
    init: Path | None = None  # weights of the encoder: published ones, or what import-checkpoint made of them
    dropout: float = Field(default=0.2, ge=0, lt=1)  # of the features
    # Share of the run, at its end, in which the rate falls to 0.
    decline: float = Field(default=0.3, ge=0, le=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    batch: BatchSection = BatchSection()
    history: HistorySection = HistorySection()
    patches: Annotated[tuple[PatchesSection, ...], Field(min_length=1)] = (
        PatchesSection(side=96, count=2, share=0.4),
        PatchesSection(side=128, share=0.4),
        PatchesSection(side=192, share=0.2),
    )
    overlap: OverlapSection | None = None  # None: a face counts whoever is shown

    @model_validator(mode="after")
    def _fits(self) -> GeneratorsRecipe:
        if self.optimise.batch_size % self.batch.unit:
            raise ValueError(
                f"optimise.batch_size {self.optimise.batch_size} is not a multiple of the {self.batch.unit} pictures "
                "of [batch] (a pair is two): change either"
            )
        if self.optimise.patches != 1:
            raise ValueError("optimise.patches: give the count of each side in [[patches]] instead")
        if self.overlap is not None and self.init is None:
            raise ValueError("overlap: is measured by the network that training starts from: give init")
        network = self.network
        if network.input_kind != "patches":
            raise ValueError(
                f"network.type {network.type!r} does not see single patches: choose efficientnet-lite0 or patch"
            )
        if isinstance(network, PatchNetworkSection) and network.spectrum:
            raise ValueError(f"network.spectrum: reads patches of {PATCH_SIZE} pixels alone: leave it out")
        return self
