"""Bundles: one folder (or zip) with everything that scoring needs, no pickle anywhere.

`bundle.json` says what the parts are and holds their SHA-256; `network.onnx` and `mixture.safetensors` are the model;
`calibration.csv` is a line a held-out photograph; `golden.json` are scores of pictures made by formula, which tell
whether this machine computes what the maker's did. A bundle grows in three steps: export (the network), fit (the
mixture), calibrate (the held-out scores).
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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError

from cameraborn.detect.mixture import Mixture
from cameraborn.errors import BundleError

SCHEMA_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Preprocessing(_Part):
    """How a picture becomes the network's input."""

    crop_scale: float = Field(gt=0)  # side of the square crop / longer side of the face box
    # Crops are looked at shrunk to each of these, falling; those that are smaller already, as they are.
    sides: tuple[Annotated[int, Field(ge=64)], ...] = Field(min_length=1)
    smallest_side: int = Field(ge=64)  # crops under this are too small to judge

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


class BundleInfo(_Part):
    """The contents of `bundle.json`."""

    schema_version: Literal[1] = 1
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
    face_size: int  # longer side of the face box, in pixels of the picture
    jpeg_quality: int | None


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
        data = self._file("mixture.safetensors", "run 'cameraborn fit' first")
        try:
            mixture = Mixture.from_tensors(safetensors.numpy.load(data))
        except SafetensorError as error:
            raise BundleError(
                f"{self.origin}: mixture.safetensors is damaged ({error}): get the bundle again"
            ) from error
        except BundleError as error:
            raise BundleError(f"{self.origin}: {error}") from error
        expected = self.info.features * len(self.info.preprocessing.sides)
        if len(mixture.mean) != expected:
            raise BundleError(
                f"{self.origin}: the mixture is of {len(mixture.mean)} features and the network gives "
                f"{expected}: fit it again"
            )
        return mixture

    @cached_property
    def calibration(self) -> tuple[CalibrationRow, ...]:
        """The held-out photographs.

        Raises:
            BundleError: there are none, or the table is damaged.
        """
        text = self._file("calibration.csv", "run 'cameraborn calibrate' first").decode("utf-8")
        try:
            rows = tuple(
                CalibrationRow(
                    float(row["score"]),
                    row["source"],
                    int(row["face_size"]),
                    int(row["jpeg_quality"]) if row["jpeg_quality"] else None,
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
    def calibration_scores(self) -> NDArray[np.float64]:
        """Scores of the held-out photographs [n]."""
        return np.array([row.score for row in self.calibration])

    @property
    def golden(self) -> dict[str, float]:
        """Name of a picture made by formula -> its score."""
        golden: dict[str, float] = json.loads(self._file("golden.json", "run 'cameraborn calibrate' first"))
        return golden

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
        covered = f"JPEG quality {low} to {high} and other formats, {colour}"
    crop = info.preprocessing
    sides = " and to ".join(map(str, crop.sides))
    return f"""# {info.name}

A one-class detector for cameraborn: what photographs' features look like; what is too unlikely is flagged.

- Network: {info.network}, trained to tell {", ".join(info.tasks) or "nothing"} from a photograph's patches
- Looks at: a square of {crop.crop_scale:g} times the face, shrunk to {sides} px; it abstains under \
{crop.smallest_side} px
- Covered by the calibration: {covered}

## Licences and origin

{licences}

The training photographs' manifest has SHA-256 `{info.manifest_sha256}`. `seen.txt` holds the beginnings of the
SHA-256 of every photograph that was learnt from: none of them may calibrate.

## What it does not tell

A small p-value says that the picture is surprising for a photograph. It does not say who made it, or how, and a
retouched, printed, screenshotted or heavily filtered photograph can be surprising too. A large one does not prove a
camera.
"""


def calibration_csv(rows: list[CalibrationRow]) -> bytes:
    """The held-out photographs as CSV, most surprising first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["score", "source", "face_size", "jpeg_quality"])
    for row in sorted(rows, key=lambda row: -row.score):
        quality = "" if row.jpeg_quality is None else row.jpeg_quality
        writer.writerow([f"{row.score:.4f}", row.source, row.face_size, quality])
    return out.getvalue().encode("utf-8")
