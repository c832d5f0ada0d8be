"""What a run leaves on disk, and how it is found again: nothing half-written, nothing pickled.

`recipe.json` says what was asked, `data.json` what is learnt from, `log.jsonl` has a line a logged step,
`checkpoint.safetensors` holds the network, the averaged network, the optimiser's moments by parameter name, what else
training changes, and the step. All but the log is written beside its place and renamed, so a full disk or a killed
process leaves the older file whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import safetensors
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from cameraborn.data.manifest import Row, sha256_of
from cameraborn.errors import RecipeError, first_line
from cameraborn.files import refuse_foreign, replacing
from cameraborn.photo.sniff import refuse_special

RECORD = "data.json"


class DataRecord(BaseModel):
    """What a run learns from, as it was when training began; the manifest may be another one by the time of export.

    Attributes:
        manifest_sha256: hash of the manifest; of several, with spaces between.
        seen: hashes of the files of all rows learnt from and, of copies that were manipulated or reconstructed, of
            their originals; and of what the weights that the run started from had seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest_sha256: str
    seen: tuple[str, ...]


def record_of(manifests: Sequence[Path], rows: Sequence[Row], weights: Sequence[Path] = ()) -> DataRecord:
    """The record of a run on these rows of manifests, which starts from files of weights."""
    seen = {digest for row in rows for digest in row.hashes}
    for folder in {file.parent for file in weights}:
        if (folder / RECORD).is_file():  # else they are published ones
            seen.update(read_record(folder).seen)
    return DataRecord(manifest_sha256=" ".join(map(sha256_of, manifests)), seen=tuple(sorted(seen)))


def read_record(folder: Path) -> DataRecord:
    """What the run in a folder has learnt from.

    Raises:
        RecipeError: there is no record, or it is damaged.
    """
    file = folder / RECORD
    if not file.is_file():
        raise RecipeError(
            f"{file}: missing: the run is of an older release, train it again in another folder"
        )
    try:
        return DataRecord.model_validate_json(file.read_bytes())
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"])
        raise RecipeError(f"{file}: damaged ({reason}): train again in another folder") from error


def start_or_resume(folder: Path, recipe: BaseModel, record: DataRecord) -> None:
    """Create the run folder, or see that the one there is of this very recipe and data.

    Raises:
        RecipeError: it is of another recipe, or its rows have changed since it started.
    """
    refuse_foreign(folder, (RECORD, "recipe.json"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recipe.json"
    if not file.exists():
        # First, so that a recipe never stands alone.
        write_text(folder / RECORD, record.model_dump_json(indent=1))
        write_text(file, recipe.model_dump_json(indent=1))
        return
    try:
        held = type(recipe).model_validate_json(file.read_bytes())  # a field it does not know has its default
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"])
        raise RecipeError(f"{file}: damaged or of another release ({reason}): give another folder") from error
    if held != recipe:
        raise RecipeError(f"{folder}: holds a run of another recipe: give another folder, or delete this one")
    if read_record(folder) != record:
        raise RecipeError(
            f"{folder}: the manifest, or what the first weights had seen, has changed since this run started: "
            "put it back, or give another folder"
        )


class Stateful(Protocol):
    """What has a state of plain tensors that belongs into a checkpoint."""

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        ...


@dataclass(frozen=True)
class State:
    """Everything that training changes; `more` by name, beside the network and its optimiser."""

    network: nn.Module
    averaged: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    more: Mapping[str, Stateful]

    def save(self, path: Path, step: int) -> None:
        """Write a checkpoint.

        Raises:
            RecipeError: the disk is full; the older checkpoint stays.
        """
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            moments = self.optimiser.state[parameter]
            tensors |= {f"optimiser.{name}.{moment}": value for moment, value in moments.items()}
        for part, stateful in self.more.items():
            tensors |= {f"{part}.{name}": value for name, value in stateful.state_dict().items()}
        write_tensors(tensors, path, {"step": str(step), "scaler": json.dumps(self.scaler.state_dict())})

    def load(self, path: Path) -> int:
        """Read the checkpoint if there is one; return the step to go on from.

        Raises:
            RecipeError: it is damaged.
        """
        if not path.exists():
            return 0
        refuse_special(path, RecipeError)
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                step = int(metadata["step"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            self.network.load_state_dict(_under(tensors, "network."))
            self.averaged.load_state_dict(_under(tensors, "averaged."))
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise RecipeError(
                f"{path}: damaged checkpoint ({reason}): delete it to start the run again"
            ) from error
        for part, stateful in self.more.items():
            stateful.load_state_dict(_under(tensors, f"{part}."))
        if scaler := json.loads(metadata.get("scaler", "{}")):
            self.scaler.load_state_dict(scaler)
        for name, parameter in self.network.named_parameters():
            # On the parameter's device and in its memory format, as the optimiser itself would have made them.
            self.optimiser.state[parameter] = {
                moment: torch.empty_like(parameter).copy_(value) if value.ndim else value.to(parameter.device)
                for moment, value in _under(tensors, f"optimiser.{name}.").items()
            }
        return step


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors whole or not at all.

    Raises:
        RecipeError: the disk is full.
    """
    with _writing(path), replacing(path) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=metadata)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        RecipeError: the disk is full.
    """
    with _writing(path), replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, safetensors.SafetensorError) as error:
        raise RecipeError(
            f"{path}: cannot be written ({error}): make room and start again; the run goes on from its checkpoint"
        ) from error


class Log:
    """`log.jsonl` and TensorBoard; lines after the step that a run resumes from are dropped first."""

    def __init__(self, folder: Path, first_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= first_step]
        write_text(self._path, "".join(line + "\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(folder / "tensorboard", purge_step=first_step + 1)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Add a line.

        Raises:
            RecipeError: the disk is full.
        """
        # A tag that no validation photograph has gives no figure; NaN would not be JSON.
        figures = {name: round(value, 6) for name, value in figures.items() if math.isfinite(value)}
        with _writing(self._path):
            self._file.write(json.dumps({"step": step, **figures}) + "\n")
            self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
