"""What a benchmark measures: one validated TOML file.

    output = "runs/bench"
    detectors = ["models/default", "sharpness"]
    degradations = ["none", "jpeg:75"]
    [[sets]]
    name = "dev"
    manifest = "runs/dev.jsonl"

Paths are relative to the working directory, as in a training recipe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cameraborn.bench.kinds import KINDS
from cameraborn.bench.scorers import DetectorSection
from cameraborn.data.invalid import first_problem
from cameraborn.degrade.named import STANDARD, UNDEGRADED, parse
from cameraborn.detect.evidence.em import Covariance
from cameraborn.errors import BenchError, DegradationError, no_file
from cameraborn.registry import unknown_name
from cameraborn.toml import read_toml

FEATURES = "features.sqlite"  # in the folder of a run


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _spelt_out(given: Any) -> Any:  # noqa: ANN401 (raw TOML)
    """A detector by `kind` and `which`, of a plain name (of no known kind: a bundle's folder) or `{KIND = NAME}`."""
    if isinstance(given, str):
        return {"kind": next((k for k in KINDS if given in KINDS[k].choices), "bundle"), "which": given}
    if not isinstance(given, dict) or "kind" in given:
        return given
    named = [name for name in given if name in KINDS and given[name]]
    if len(named) == 1:
        options = {name: value for name, value in given.items() if name not in KINDS}
        return {"kind": named[0], "which": given[named[0]], **options}
    strange = next((name for name in given if name not in {*KINDS, *DetectorSection.model_fields}), None)
    if strange is not None and not named:
        raise ValueError(KINDS.unknown(strange))
    raise ValueError(f"a detector is one of {', '.join(KINDS)}: give exactly one")


def _one_of_the_choices(section: DetectorSection) -> DetectorSection:
    choices = KINDS[section.kind].choices
    if choices and section.which not in choices:
        raise ValueError(unknown_name(section.kind, section.which, choices))
    if section.weights and not KINDS[section.kind].takes_weights:
        raise ValueError(f"weights are for rivals and encoders, not for the {section.kind} '{section.which}'")
    if section.evidence and section.kind != "bundle":
        raise ValueError(
            f"evidence is a channel of a bundle, which the {section.kind} '{section.which}' has not"
        )
    return section


Detector = Annotated[DetectorSection, BeforeValidator(_spelt_out), AfterValidator(_one_of_the_choices)]


class PhotographSection(_Section):
    """Photographs of manifests and folders, to fit to or to set a threshold with."""

    manifests: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    split: str = ""  # only the manifests' rows of this split
    kinds: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.manifests and not self.folders:
            raise ValueError("give manifests or folders")
        return self


class SetSection(_Section):
    """One test set: a manifest, or folders of photographs (by source) and of generated pictures (by generator).

    Each generator is compared with the photographs of its own track: with `tracks = "kind"` those of the same kind,
    else all of the set. A set without generated pictures gives false-alarm rates alone.
    """

    name: str = Field(min_length=1)
    manifest: Path | None = None
    split: str = ""
    kinds: tuple[str, ...] = ()
    tracks: Literal["", "kind"] = ""
    photographs: dict[str, Path] = Field(default_factory=dict)  # source -> folder
    generated: dict[str, Path] = Field(default_factory=dict)  # generator -> folder
    limit: int | None = Field(default=None, ge=1)  # pictures of a generator, or photograph source, and kind
    of_paper: str = ""  # the paper whose own test pictures these are: what makes figures comparable

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.manifest is None) == (not self.photographs and not self.generated):
            raise ValueError("give either a manifest, or folders as photographs and generated")
        if self.manifest is None and (self.split or self.kinds or self.tracks):
            raise ValueError("split, kinds and tracks are for manifests")
        return self


class ProtocolSection(_Section):
    """The papers' protocol: a mixture on photographs, the threshold a percentile of those same photographs."""

    fit: PhotographSection
    held_out: PhotographSection  # for the threshold as it ought to be set, and for figure 4
    limit: int = Field(default=25_000, ge=1)  # number of photographs to fit to: the first ones
    components: int = Field(default=8, ge=1)
    dimensions: int | None = Field(default=None, ge=1)  # principal components; None: every one of the feature
    covariance: Covariance = Covariance.full  # of the Gaussians; `tied`: one for all; `diag`: variances alone
    quantile: float = Field(default=0.05, gt=0, lt=1)  # quantile of the fitting photographs' likelihoods
    equal_numbers: int = Field(default=5000, ge=1)  # generated pictures at most, and as many photographs
    seed: int = 2024
    sweep: tuple[int, ...] = (1, 2, 4, 8, 12, 16)  # components of figure 4
    tsne_pictures: int = Field(default=300, ge=10)  # pictures of each class and generator in figure 5


class BenchConfig(_Section):
    """Everything that decides a benchmark."""

    output: Path  # folder of scores.csv, tables, figures and the report
    detectors: tuple[Detector, ...] = Field(min_length=1)
    degradations: tuple[str, ...] = (UNDEGRADED,)  # `standard`: the whole suite
    sets: tuple[SetSection, ...] = Field(min_length=1)
    false_alarm_rate: float = Field(default=0.05, gt=0, lt=1)  # the nominal one, at which detectors flag
    draws: int = Field(default=1000, ge=100)  # number of draws of each bootstrap
    seed: int = Field(default=0, ge=0)  # random seed of the bootstrap and of limits
    cache: Path | None = None  # file of features; None: features.sqlite in the output folder
    calibration: PhotographSection | None = (
        None  # held out, for rivals' p-values; None: those of the protocol
    )
    protocol: ProtocolSection | None = None

    @property
    def features(self) -> Path:
        """The file of features."""
        return self.cache or self.output / FEATURES

    @field_validator("degradations", mode="before")
    @classmethod
    def _suite(cls, degradations: Any) -> Any:  # noqa: ANN401 (raw TOML)
        """`standard` is the suite of `degrade/named.py`."""
        if not isinstance(degradations, list | tuple):
            return degradations
        return [name for item in degradations for name in (STANDARD if item == "standard" else (item,))]

    @field_validator("degradations")
    @classmethod
    def _known(cls, degradations: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for name in degradations:
                _ = name == UNDEGRADED or parse(name)
        except DegradationError as error:
            raise ValueError(str(error)) from error
        return degradations

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        for word, names in (
            ("set", [test_set.name for test_set in self.sets]),
            ("degradation", list(self.degradations)),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"the {word} '{twice[0]}' is given twice")
        if UNDEGRADED not in self.degradations:
            raise ValueError(f"degradations must hold '{UNDEGRADED}': the others are compared with it")
        return self


def read_config(path: Path) -> BenchConfig:
    """Read and validate a TOML configuration.

    Raises:
        BenchError: the file is missing, not TOML, or a field is wrong; the message names the field.
    """
    if not path.is_file():
        raise BenchError(no_file(path, "configuration", "see configs/ for those that ship"))
    try:
        return BenchConfig.model_validate(read_toml(path, BenchError))
    except ValidationError as error:
        raise BenchError(f"{path}: {first_problem(error, BenchConfig, 'configuration')}") from error


def without_missing(config: BenchConfig) -> tuple[BenchConfig, list[tuple[DetectorSection, str]]]:
    """The configuration without the detectors whose weights are missing, and these, each with what it lacks in a line.

    Raises:
        BenchError: none is left but trivial cues.
        RecipeError: a rival or encoder is not known, or weights that are there do not fit it.
    """
    lines = [(section, KINDS[section.kind].lacks(section)) for section in config.detectors]
    missing = [(section, line) for section, line in lines if line]
    kept = tuple(section for section, line in lines if not line)
    if missing and all(section.kind == "cue" for section in kept):
        raise BenchError(f"no detector has its weights: {missing[0][1]}")
    return config.model_copy(update={"detectors": kept}), missing


def refuse_unmeasured(config: BenchConfig) -> None:
    """See that every detector has a score of its own, where the papers' protocol is not measured.

    Raises:
        BenchError: one has none: the run would leave it out, and look whole.
    """
    names = [one.name or one.which for one in config.detectors if not KINDS[one.kind].scores]
    if names:
        raise BenchError(
            f"{', '.join(dict.fromkeys(names))}: encoders have no score of their own, and would not be measured: add "
            "--protocol aigfd, or measure with 'bench table2'"
        )


def with_detector(config: BenchConfig, kind: str, name: str, weights: Sequence[Path]) -> BenchConfig:
    """The configuration with one detector more."""
    section = DetectorSection(kind=kind, which=name, weights=tuple(weights))
    return config.model_copy(update={"detectors": (*config.detectors, section)})
