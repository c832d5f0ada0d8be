"""Manifests: JSON Lines, a row an image, the one way data enters training, fitting and calibration.

Rows are split by group (photographer, repository, source), never by file: pictures of one group share camera, editor
and subject, so a shuffled split measures memory instead of skill.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cameraborn.errors import ManifestError


class Row(BaseModel):
    """One image of a data set.

    Attributes:
        path: the file, relative to the manifest's folder, or absolute.
        sha256: hex digest of the file.
        split: what it may be used for: `train`, `val`, `fit`, `calibration` or a name of your own; empty: undecided.
        label: `photo` or `generated` (the positive class everywhere).
        generator: what made it, for generated pictures.
        source: where it came from.
        group: what it shares with others; rows of one group are never divided between splits.
        kind: how it was cut from its original (`native-crop`, `web-320`, `face`, ...).
        box: x0, y0, x1, y1 of the face, in pixels of this image.
        exif: tags by the names of `photo.exif.Exif`.
        licence: the licence of the picture.
        original: hex digest of the file that this one was made from, where it was.
        research_only: True if it may be measured on but must not train weights that are given away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    split: str = ""
    label: Literal["photo", "generated"] = "photo"
    generator: str = ""
    source: str = ""
    group: str = ""
    kind: str = ""
    box: tuple[float, float, float, float] | None = None
    exif: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""
    original: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    research_only: bool = False


def read_manifest(path: Path) -> Iterator[Row]:
    """Yield the rows with `path` made absolute.

    Raises:
        ManifestError: the file is missing, empty, or a row is broken; the message names the line.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: no such manifest: make one with 'cameraborn data import'")
    seen = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            seen += 1
            yield _parse(path, number, line)
    if not seen:
        raise ManifestError(f"{path}: the manifest is empty: import some pictures into it first")


def _parse(path: Path, number: int, line: bytes) -> Row:
    try:
        row = Row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        raise ManifestError(
            f"{path}, line {number}: {where}: {first['msg']}: mend or delete the line"
        ) from error
    absolute = os.path.abspath(path.parent / row.path)  # noqa: PTH100 (resolve() would follow links)
    return row.model_copy(update={"path": absolute})


def write_manifest(rows: Iterable[Row], path: Path) -> int:
    """Write the rows (absolute paths are made relative to the manifest's folder); return how many.

    The file appears only when it is complete: it is written beside its place and renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    folder = path.parent.resolve()
    count = 0
    try:
        with part.open("w", encoding="utf-8") as out:
            for row in rows:
                relative = (
                    os.path.relpath(Path(row.path).resolve(), folder)
                    if Path(row.path).is_absolute()
                    else row.path
                )
                fields = row.model_copy(update={"path": relative}).model_dump(
                    mode="json", exclude_defaults=True
                )
                out.write(json.dumps(fields, ensure_ascii=False) + "\n")
                count += 1
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def split_by_group(rows: Sequence[Row], shares: Mapping[str, float], *, seed: int = 0) -> list[Row]:
    """Give every row a split so that no group is divided, each as near to its share of the rows as groups allow.

    Groups are taken in a seeded random order, large ones first, each to the split that lacks most.

    Raises:
        ManifestError: shares do not sum to 1, or there are fewer groups than splits.
    """
    if not shares or any(share <= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise ManifestError(
            f"split shares must be positive and sum to 1, got {dict(shares)}: mend the shares"
        )
    sizes = Counter(_group(row) for row in rows)
    if len(sizes) < len(shares):
        raise ManifestError(
            f"{len(sizes)} group(s) cannot be divided into {len(shares)} splits: "
            "give rows a 'group', or use fewer splits"
        )
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -sizes[group])
    lacking = {name: share * len(rows) for name, share in shares.items()}
    assigned: dict[str, str] = {}
    for group in order:
        split = max(lacking, key=lambda name: lacking[name] / shares[name])
        assigned[group] = split
        lacking[split] -= sizes[group]
    return [row.model_copy(update={"split": assigned[_group(row)]}) for row in rows]


def _group(row: Row) -> str:
    return row.group or row.source or row.path


def verify_manifest(rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
    """Yield each row whose file is missing or has changed, with what is wrong."""
    for row in rows:
        if not Path(row.path).is_file():
            yield row, "the file is missing"
        elif sha256_of(Path(row.path)) != row.sha256:
            yield row, "the file is not the one that was imported (its SHA-256 differs)"


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
