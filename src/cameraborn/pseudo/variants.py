"""Manipulated faces on disk: each face of a manifest is cut out and written, its manipulations beside it.

    FOLDER/originals/ID.png                     the face as it is (resampled, if originals are to match)
    FOLDER/manipulated/ID_0.png ... ID_4.png    its manipulations, numbered as in the released data of AIGFD-EXIF
    FOLDER/manifest.jsonl                       their rows, originals and manipulations
    FOLDER/settings.json                        how they were made, so that nothing else is mixed in

The manifest is written as `manifest.jsonl.part`, face by face, and renamed at the end: a run that was killed goes on
from there. What is drawn for a face depends on the seed, its picture's SHA-256 and the manipulation alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.data.manifest import Row
from cameraborn.errors import CamerabornError, PictureError
from cameraborn.files import Box, Pixels, refuse_foreign, replacing
from cameraborn.photo.crops import square_window
from cameraborn.photo.decode import open_listed
from cameraborn.photo.face_points import points_at
from cameraborn.photo.faces import FaceFinder
from cameraborn.pseudo.manipulate import DEFAULTS, KINDS, PAPER_KINDS, Kind, ManipulationOptions, manipulate

CROP_SCALE = 1.7  # side of the cut over the side of the face's box: a picture cut so already stays whole
ORIGINALS, MANIPULATED = "originals", "manipulated"
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class VariantOptions:
    """What is made of each face.

    Attributes:
        kinds: names of the manipulations.
        crop_scale: side of the square that is cut out, in sides of the face's box.
        seed: random seed of the manipulations.
        manipulation: how faces are manipulated.
    """

    kinds: tuple[Kind, ...] = PAPER_KINDS
    crop_scale: float = CROP_SCALE
    seed: int = 0
    manipulation: ManipulationOptions = DEFAULTS


@dataclass(frozen=True)
class FaceCut:
    """A face cut out of its picture; `box` and `landmarks` [68 2] (None: not found) in pixels of the cut."""

    row: Row
    pixels: Pixels
    box: Box
    landmarks: NDArray[np.float64] | None


def cut_face(row: Row, finder: FaceFinder, crop_scale: float = CROP_SCALE) -> FaceCut:
    """Cut out the face of a row: at its box, else the largest that is found.

    Landmarks are the row's, else they are found; a face that shows too little for them has none.

    Raises:
        PictureError: the picture cannot be read, shows no face, or was manipulated already.
    """
    if row.manipulation:
        raise PictureError(f"{row.path}: manipulated already ({row.manipulation}): start from photographs")
    pixels = open_listed(row.path).pixels
    box = row.box or next((face.box for face in finder.find(pixels)), None)
    if box is None:
        raise PictureError(f"{row.path}: no face found: give the row a box, or leave it out")
    try:
        x0, y0, x1, y1 = square_window(pixels.shape[1], pixels.shape[0], box, crop_scale)
    except PictureError as error:
        raise PictureError(f"{row.path}: {error}") from error
    points = np.asarray(row.landmarks) if row.landmarks else points_at(finder, pixels, box)
    return FaceCut(
        row=row,
        pixels=np.ascontiguousarray(pixels[y0:y1, x0:x1]),
        box=(box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0),
        landmarks=None if points is None else points.astype(np.float64) - (x0, y0),
    )


def make_variant(face: FaceCut, kind: Kind, options: VariantOptions) -> Pixels | None:
    """The face manipulated (or as it is, for ""), None where its landmarks do not show the feature."""
    picture = int(face.row.sha256[:16], 16)
    rng = np.random.default_rng([options.seed, picture, KINDS.index(kind) if kind else len(KINDS)])
    return manipulate(face.pixels, face.landmarks, kind, rng, options.manipulation)


def write_variants(face: FaceCut, name: str, folder: Path, options: VariantOptions) -> list[Row]:
    """Write the original and every variant that can be made; return their rows, paths relative to `folder`.

    Raises:
        CamerabornError: a file cannot be written.
    """
    rows = []
    for kind in ("", *options.kinds):
        pixels = make_variant(face, kind, options)
        if pixels is None:
            continue
        path = f"{MANIPULATED}/{name}_{KINDS.index(kind)}.png" if kind else f"{ORIGINALS}/{name}.png"
        rows.append(_row(face, kind, path, write_png(pixels, folder / path)))
    return rows


def named(rows: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Each row with its ID: the file's name without its ending, with a number if an earlier row has it already."""
    used: set[str] = set()
    for row in rows:
        stem = name = Path(row.path).stem
        number = 1
        while name in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name)
        yield name, row


class VariantFolder:
    """The folder being filled: `done` says which IDs need not be made again. A context; `finish` completes it.

    The settings, which JSON can hold, say how it is filled.

    Raises:
        CamerabornError: the folder was filled with other settings, or cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        self.manifest = folder / "manifest.jsonl"
        self._part = folder / "manifest.jsonl.part"
        self.done: set[str] = set()
        refuse_foreign(folder, (_SETTINGS,))
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # First, so that the folder is known as ours whenever we are killed.
            self._check_settings(settings)
            for inner in (ORIGINALS, MANIPULATED):
                (folder / inner).mkdir(exist_ok=True)
            if self.manifest.exists() and not self._part.exists():
                shutil.copyfile(self.manifest, self._part)
            self._journal: BinaryIO = self._part.open("a+b")
            self._take_up()

    def __enter__(self) -> VariantFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._journal.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Record what was written of one face; the first row is the original's."""
        lines = (json.dumps(row.model_dump(mode="json", exclude_defaults=True)) + "\n" for row in rows)
        with _writing(self._part):
            self._journal.write("".join(lines).encode())
            self._journal.flush()
        self.done.add(Path(rows[0].path).stem)

    def finish(self) -> None:
        """Put the manifest in its place."""
        with _writing(self.manifest):
            self._journal.close()
            self._part.replace(self.manifest)

    def _check_settings(self, settings: dict[str, Any]) -> None:
        path = self._folder / _SETTINGS
        text = json.dumps(settings, indent=1) + "\n"
        if not path.exists():
            write_whole(path, text.encode())
        elif path.read_text(encoding="utf-8") != text:
            raise CamerabornError(
                f"{path}: this folder was filled with other options: give another folder, or delete this one"
            )

    def _take_up(self) -> None:
        """Read what an earlier run recorded. Its last face may lack rows, so it is forgotten and made again."""
        last = ("", 0)  # ID, and where its rows begin
        self._journal.seek(0)
        at = 0
        for line in self._journal:
            name = _original(line)
            if name is None:
                break
            if name:
                self.done.add(name)
                last = (name, at)
            at += len(line)
        self.done.discard(last[0])
        self._journal.truncate(last[1])


def _original(line: bytes) -> str | None:
    """The ID if a recorded line is an original's, empty if another's, None if it is broken."""
    if not line.endswith(b"\n"):
        return None
    try:
        path = Path(json.loads(line)["path"])
    except (ValueError, KeyError, TypeError):
        return None
    return path.stem if path.parent.name == ORIGINALS else ""


def _row(face: FaceCut, kind: Kind, path: str, sha256: str) -> Row:
    """The row of a written file. It is in the group of its original, with which it shares everything."""
    row = face.row
    points = () if face.landmarks is None else [(float(x), float(y)) for x, y in face.landmarks]
    return row.model_copy(
        update={
            "path": path,
            "sha256": sha256,
            "original": row.first,
            "group": row.group or row.source or Path(row.path).name,
            "box": tuple(round(float(value), 2) for value in face.box),
            "landmarks": tuple((round(x, 2), round(y, 2)) for x, y in points) or None,
            "manipulation": kind,
        }
    )


def write_png(pixels: Pixels, path: Path) -> str:
    """Write a picture; return its SHA-256. Raises CamerabornError if it cannot be written."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; CamerabornError if that fails."""
    with _writing(path), replacing(path) as part:
        part.write_bytes(data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CamerabornError(
            f"{path}: cannot be written ({error.strerror}): check the path and the disk, then run this again"
        ) from error
