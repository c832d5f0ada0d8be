"""Bundles: one folder (or zip) with everything that scoring needs, no pickle anywhere.

`bundle.json` says what the parts are and holds their SHA-256; `network.onnx` and `mixture.safetensors` are the model
(`head.safetensors`, the last layers of a detector that has seen generated pictures too, goes before the mixture;
`redrawn.safetensors`, the layer that tells reconstructed photographs, adds to it, see `hybrid`);
`recogniser.safetensors` tells what a face has been through; `calibration.csv` is a line a held-out photograph and class
of condition; `golden.json` are scores of pictures made by formula, which tell whether this machine computes what the
maker's did. A bundle grows in three steps: export (the network), fit (the mixture), calibrate (the held-out scores).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError

from cameraborn.degrade.residual_statistics import ResidualStatistics, noise_of
from cameraborn.detect.conformal import Calibration, Cell, Condition, Grid, NoiseEdges, Tail, describe_class
from cameraborn.detect.evidence.density import Mixture
from cameraborn.detect.evidence.known_generators import Head
from cameraborn.detect.evidence.pseudo_fake import Boundary
from cameraborn.detect.operations import OperationClassifier
from cameraborn.errors import BundleError

T = TypeVar("T")
SCHEMA_VERSION = 2  # 1 had other classes of condition


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Preprocessing(_Part):
    """How a picture becomes a feature.

    The network takes single patches [N 3 64 64] and their features are averaged (`patches`), all patches of one picture
    [P 3 64 64] to one feature (`patch-set`), or the whole crop [1 3 side side] (`crop`).
    """

    input: Literal["patches", "patch-set", "crop"] = "patches"
    crop_scale: float = Field(gt=0)  # side of the square crop / longer side of the face box
    # Crops are looked at shrunk to each of these, falling; those that are smaller already, as they are
    # (a network of whole crops has them enlarged).
    sides: tuple[Annotated[int, Field(ge=16)], ...] = Field(min_length=1)
    smallest_side: int = Field(ge=16)  # crops under this are too small to judge
    antialias: bool = True  # False: plain bilinear sampling, which the authors' weights were trained with
    unit_length: bool = False  # features are divided by their Euclidean length, as BLADES does

    @field_validator("sides")
    @classmethod
    def _falling(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if list(sides) != sorted(set(sides), reverse=True):
            raise ValueError(f"sides {sides} must fall: each is shrunk from the one before")
        return sides


class Coverage(_Part):
    """What the calibration photographs had been through; outside it the detector abstains."""

    jpeg_quality: tuple[int, int]  # lowest and highest estimated quality, of JPEG files
    colour: bool = True  # False if pictures without colour are covered too
    whole_image: bool = False  # True: whole pictures were calibrated, not faces
    tail: Tail = "upper"  # `both`: a likelihood that is too high is suspicious too
    size_edges: tuple[int, ...] = ()  # pixels, rising: what parts the sizes of faces
    noise_edges: NoiseEdges = ()  # log of grey levels, what parts noise
    operations: tuple[
        str, ...
    ] = ()  # what a face may look as if it had been through, see `operation_classifier`
    classes: tuple[tuple[Cell, ...], ...] = ()  # cells of each class of condition, see `conformal`

    @property
    def grid(self) -> Grid:
        """What parts conditions into cells."""
        return Grid(self.size_edges, self.noise_edges, self.operations)


class BundleInfo(_Part):
    """The contents of `bundle.json`."""

    schema_version: Literal[2] = 2
    name: str = Field(min_length=1)
    network: str  # its family and size, for people
    features: int = Field(ge=1)  # of the network, for one side
    preprocessing: Preprocessing
    tasks: tuple[str, ...] = ()
    manifest_sha256: str = ""  # of the training manifest
    licences: dict[str, str] = Field(default_factory=dict)  # of code, weights and data
    versions: dict[str, str] = Field(default_factory=dict)  # of the software that made it
    coverage: Coverage | None = None  # written by calibrate
    files: dict[str, str] = Field(default_factory=dict)  # name -> SHA-256


@dataclass(frozen=True)
class CalibrationRow:
    """One held-out photograph."""

    score: float
    source: str
    photograph: str  # the beginning of its SHA-256
    face_size: int  # longer side of the face box, in pixels of the picture
    jpeg_quality: int | None
    noise: float = 0.0
    operation: int = 0

    @property
    def condition(self) -> Condition:
        """What the photograph has been through."""
        return Condition(self.face_size, self.jpeg_quality, self.noise, self.operation)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle read into memory and found whole."""

    info: BundleInfo
    files: Mapping[str, bytes]
    origin: str

    @property
    def network(self) -> bytes:
        """The ONNX file."""
        return self._file("network.onnx", "export it again")

    @cached_property
    def mixture(self) -> Mixture:
        """The fitted mixture.

        Raises:
            BundleError: there is none, or it is damaged.
        """
        self._file("mixture.safetensors", "run 'cameraborn fit' first")
        mixture = self._tensors("mixture.safetensors", Mixture.from_tensors)
        whole = np.empty((0, self._features))
        left = whole if self.boundary is None else self.boundary.unread(whole)
        self._must_take(len(mixture.mean), left.shape[1], "mixture")
        return mixture

    @cached_property
    def head(self) -> Head | None:
        """The classifier's last layers, if this bundle is of a detector that has also seen generated pictures.

        Raises:
            BundleError: it is damaged.
        """
        if "head.safetensors" not in self.files:
            return None
        head = self._tensors("head.safetensors", Head.from_tensors)
        self._must_take(head.features, self._features, "head")
        return head

    @cached_property
    def boundary(self) -> Boundary | None:
        """The layer that tells reconstructed photographs, if the network learnt to.

        Raises:
            BundleError: it is damaged.
        """
        if "redrawn.safetensors" not in self.files:
            return None
        boundary = self._tensors("redrawn.safetensors", Boundary.from_tensors)
        if len(boundary.weight) != self.info.features:
            raise BundleError(
                f"{self.origin}: redrawn.safetensors is of {len(boundary.weight)} features and the network gives "
                f"{self.info.features}: export it again"
            )
        return boundary

    @cached_property
    def operation_classifier(self) -> OperationClassifier | None:
        """What tells what a face has been through; None if it was never learnt.

        Raises:
            BundleError: it is damaged.
        """
        if "recogniser.safetensors" not in self.files:
            return None
        return self._tensors("recogniser.safetensors", OperationClassifier.from_tensors)

    def condition(self, size: float, jpeg_quality: int | None, traces: ResidualStatistics) -> Condition:
        """What a face of this size, in a file of this quality, has been through."""
        operation = 0 if self.operation_classifier is None else self.operation_classifier.operation_of(traces)
        return Condition(size, jpeg_quality, noise_of(traces), operation)

    def scores(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """The score of each feature [N D]: the classifier's log odds if there is one, else minus the log-likelihood.

        To that the log odds of having been reconstructed are added, if the network can tell (`hybrid`).

        Raises:
            BundleError: there is neither, or it is damaged.
        """
        if self.head is not None:
            return self.head.scores(features)
        if self.boundary is None:
            return -self.mixture.log_likelihood(features)
        return self.boundary.scores(features, self.mixture.log_likelihood(self.boundary.unread(features)))

    @property
    def _features(self) -> int:
        """Of all sides."""
        return self.info.features * len(self.info.preprocessing.sides)

    def _must_take(self, features: int, expected: int, what: str) -> None:
        if features != expected:
            raise BundleError(
                f"{self.origin}: the {what} is of {features} features and the network gives "
                f"{expected}: fit it again"
            )

    @cached_property
    def calibration_rows(self) -> tuple[CalibrationRow, ...]:
        """The held-out photographs, each once in a class of condition.

        Raises:
            BundleError: there are none, or the table is damaged.
        """
        text = self._file("calibration.csv", "run 'cameraborn calibrate' first").decode("utf-8")
        operations = self.coverage.operations
        try:
            rows = tuple(
                CalibrationRow(
                    float(row["score"]),
                    row["source"],
                    row["photograph"],
                    int(row["face_size"]),
                    int(row["jpeg_quality"]) if row["jpeg_quality"] else None,
                    float(row["noise"]),
                    operations.index(row["operation"]) if operations else 0,
                )
                for row in csv.DictReader(io.StringIO(text))
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BundleError(
                f"{self.origin}: calibration.csv is damaged ({error}): calibrate again"
            ) from error
        if not rows or not np.isfinite([row.score for row in rows]).all():
            raise BundleError(f"{self.origin}: calibration.csv holds no finite scores: calibrate again")
        return rows

    @cached_property
    def calibration(self) -> Calibration:
        """The held-out scores, apart for each class of condition.

        Raises:
            BundleError: there are none, or they and the recorded classes do not fit together.
        """
        coverage = self.coverage
        grid, classes = coverage.grid, coverage.classes
        scores: list[list[float]] = [[] for _ in classes]
        number = {cell: place for place, cells in enumerate(classes) for cell in cells}
        try:
            for row in self.calibration_rows:
                scores[number[grid.cell_of(row.condition)]].append(row.score)
        except KeyError as error:
            raise BundleError(
                f"{self.origin}: bundle.json lacks the class of a condition {error}: calibrate again"
            ) from error
        told = 0 if self.operation_classifier is None else self.operation_classifier.operations
        if len(coverage.operations) != told:
            raise BundleError(
                f"{self.origin}: the classifier tells {told} operations, the calibration {len(coverage.operations)}: "
                "fit and calibrate again"
            )
        if sorted(number) != grid.cells or not all(scores):
            raise BundleError(
                f"{self.origin}: bundle.json's classes of condition are incomplete: calibrate again"
            )
        return Calibration(grid, classes, tuple(np.sort(part) for part in scores), coverage.tail)

    @property
    def coverage(self) -> Coverage:
        """What the calibration covers.

        Raises:
            BundleError: the bundle is not calibrated.
        """
        if self.info.coverage is None:
            raise BundleError(
                f"{self.origin}: the bundle is not calibrated: run 'cameraborn calibrate' first"
            )
        return self.info.coverage

    @property
    def golden(self) -> dict[str, float]:
        """Name of a picture made by formula -> its score."""
        golden: dict[str, float] = json.loads(self._file("golden.json", "run 'cameraborn calibrate' first"))
        return golden

    def _tensors(self, name: str, read: Callable[[dict[str, NDArray[Any]]], T]) -> T:
        """What a file of tensors holds; errors name the bundle."""
        try:
            return read(safetensors.numpy.load(self.files[name]))
        except SafetensorError as error:
            raise BundleError(f"{self.origin}: {name} is damaged ({error}): get the bundle again") from error
        except BundleError as error:
            raise BundleError(f"{self.origin}: {error}") from error

    def _file(self, name: str, remedy: str) -> bytes:
        if name not in self.files:
            raise BundleError(f"{self.origin}: the bundle has no {name}: {remedy}")
        return self.files[name]


def read_bundle(path: Path) -> Bundle:
    """Read a bundle from a folder or zip; every file's SHA-256 must be the recorded one.

    Raises:
        BundleError: it is missing, foreign, of another schema, incomplete, or damaged.
    """
    files = _read_files(path)
    if "bundle.json" not in files:
        raise BundleError(
            f"{path}: not a bundle (no bundle.json in it): give the folder that export or fit wrote"
        )
    try:
        fields = json.loads(files["bundle.json"])
        version = fields.get("schema_version") if isinstance(fields, dict) else None
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{path}: bundle.json has schema version {version!r} and this release reads {SCHEMA_VERSION}: "
                "install the release that made it, or export it again"
            )
        info = BundleInfo.model_validate(fields)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: bundle.json is damaged ({reason}): get the bundle again") from error
    for name, digest in info.files.items():
        if name not in files:
            raise BundleError(f"{path}: {name} is missing from the bundle: get the bundle again")
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BundleError(
                f"{path}: {name} is not the file that was recorded (SHA-256 differs): get the bundle again"
            )
    return Bundle(info, {name: files[name] for name in info.files}, str(path))


def _read_files(path: Path) -> dict[str, bytes]:
    try:
        if path.is_dir():
            return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return {
                    name.rpartition("/")[2]: archive.read(name)
                    for name in archive.namelist()
                    if name[-1] != "/"
                }
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
    ) as error:
        raise BundleError(f"{path}: cannot be read ({error}): get the bundle again") from error
    if path.exists():
        raise BundleError(f"{path}: neither a folder nor a zip: give a bundle")
    raise BundleError(f"{path}: no such bundle: check the path")


def write_bundle(info: BundleInfo, files: Mapping[str, bytes], folder: Path) -> None:
    """Write a bundle into a new folder, or in place of an older bundle there.

    Everything is written beside and renamed at the end, so that no half-written bundle is ever seen.

    Raises:
        BundleError: the folder exists and is something else than a bundle.
    """
    taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if taken and not (folder / "bundle.json").is_file():
        raise BundleError(f"{folder}: exists and is not a bundle: give another folder")
    recorded = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    info = info.model_copy(update={"files": recorded})
    part, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for name, data in files.items():
            (part / name).write_bytes(data)
        (part / "bundle.json").write_text(info.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (part / "CARD.md").write_text(card_text(info), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def card_text(info: BundleInfo) -> str:
    """`CARD.md`, for people: what the bundle is, where it comes from, under which licences.

    It is not hashed, so that its owner may add what was measured.
    """
    licences = "\n".join(f"- {what}: {licence}" for what, licence in info.licences.items())
    covered = "not calibrated yet"
    if info.coverage is not None:
        low, high = info.coverage.jpeg_quality
        colour = "colour pictures only" if info.coverage.colour else "colour and colourless pictures"
        what = "whole pictures" if info.coverage.whole_image else "faces"
        covered = f"{what}, JPEG quality {low} to {high} and other formats, {colour}"
        covered += "".join(
            f"\n  - {describe_class(cells, info.coverage.grid)}" for cells in info.coverage.classes
        )
    kind = (
        "A classifier for cameraborn: it has seen photographs and generated pictures; what it takes for generated more "
        "than photographs are is flagged."
        if "head.safetensors" in info.files
        else "A one-class detector for cameraborn: it knows what photographs look like, and flags what is too unlikely."
    )
    if "redrawn.safetensors" in info.files:
        kind += (
            " It also knows what photographs look like that autoencoders of our own reconstructed, and adds the odds; "
            "it has seen no generated picture."
        )
    crop = info.preprocessing
    sides = " and to ".join(map(str, crop.sides))
    return f"""# {info.name}

{kind}

- Network: {info.network}, trained to tell {", ".join(info.tasks) or "nothing"} from photographs
- Looks at: a square of {crop.crop_scale:g} times the face, shrunk to {sides} px; it abstains under \
{crop.smallest_side} px
- Covered by the calibration, each line a class of condition with photographs of its own: {covered}

## Licences and origin

{licences}

SHA-256 of the training photographs' manifest, of each network: `{info.manifest_sha256}`. `seen.txt` holds the
beginnings of the SHA-256 of every photograph that was learnt from: none of them may calibrate.

## What it does not tell

A small p-value says that the picture is surprising for a photograph. It does not say who made it, or how, and a
retouched, printed, screenshotted or heavily filtered photograph can be surprising too. A large one does not prove a
camera.
"""


def calibration_csv(rows: list[CalibrationRow], operations: tuple[str, ...]) -> bytes:
    """The held-out photographs as CSV, most surprising first; operations by their names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["score", "source", "photograph", "face_size", "jpeg_quality", "noise", "operation"])
    for row in sorted(rows, key=lambda row: -row.score):
        quality = "" if row.jpeg_quality is None else row.jpeg_quality
        seen = [quality, row.noise, operations[row.operation] if operations else ""]
        writer.writerow([f"{row.score:.4f}", row.source, row.photograph, row.face_size, *seen])
    return out.getvalue().encode("utf-8")
