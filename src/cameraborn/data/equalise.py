"""A copy of a data set in which every picture has had the same treatment, whatever its label.

Each picture becomes a square of one size (the middle, or around the face's box, as much of it as there is), resized by
one filter, encoded once with one JPEG quality and chroma subsampling, without metadata. So the container can no longer
tell the labels apart. What lies in the pixels, such as sharpness, may remain: audit the copy.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from cameraborn.data.manifest import Row, not_as_listed, sha256_of, write_manifest
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Stage
from cameraborn.errors import ManifestError, PictureError
from cameraborn.files import Box, refuse_foreign, replacing
from cameraborn.photo.decode import open_listed

TREATMENT = "treatment.json"  # what was done to every picture of the folder
SUBSAMPLING = "4:2:0"
FILTER = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Treatment:
    """What every picture goes through.

    Attributes:
        size: side of the square, in pixels; smaller pictures are left out, for enlarging leaves traces.
        quality: JPEG quality.
    """

    size: int
    quality: int = 90


def equalise(
    rows: Iterable[Row],
    folder: Path,
    treatment: Treatment,
    *,
    jobs: int | None = None,
    report: Callable[[str, str | None], None] = lambda path, problem: None,
) -> int:
    """Write the pictures and `manifest.jsonl` into a folder; return how many rows it has.

    Rows keep all they say of their picture; `original` becomes the SHA-256 of the source. Pictures that are there
    already are not made again, so an interrupted run goes on where it stopped; the manifest comes last.

    Raises:
        ManifestError: the folder holds a copy made by another treatment, or no picture is left.
    """
    _claim(folder, treatment)

    def treated() -> Iterator[Row]:
        for row, result in map_in_order(_Treat(folder, treatment), rows, jobs):
            report(row.path, result if isinstance(result, str) else None)
            if isinstance(result, Row):
                yield result

    made = treated()
    first = next(made, None)
    if first is None:
        raise ManifestError(f"{folder}: no picture is left: choose a smaller --size, or check the manifest")
    return write_manifest(itertools.chain([first], made), folder / "manifest.jsonl")


@dataclass
class _Treat(Stage[Row, tuple[Row, Row | str]]):
    """Rows to rows of the copy, or why there is none."""

    folder: Path
    treatment: Treatment

    def work(self, item: Row) -> tuple[Row, Row | str]:
        try:
            return item, _treated(item, self.folder, self.treatment)
        except PictureError as error:
            return item, str(error)


def _claim(folder: Path, treatment: Treatment) -> None:
    """Record the treatment in a new folder; refuse a folder of another one."""
    record = folder / TREATMENT
    wanted = {**asdict(treatment), "subsampling": SUBSAMPLING, "filter": FILTER.name.lower()}
    if record.exists():
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted:
            raise ManifestError(f"{folder}: was begun with another size or quality: give another folder")
        return
    refuse_foreign(folder, (TREATMENT,))
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(record) as part:
        part.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _treated(row: Row, folder: Path, treatment: Treatment) -> Row:
    place = "" if row.box is None else "-" + "-".join(f"{value:.0f}" for value in row.box)
    target = folder / row.sha256[:2] / f"{row.sha256}{place}.jpg"
    box = None
    if row.box is not None or not target.exists():
        data, box = _square(row, treatment)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            with replacing(target) as part:
                part.write_bytes(data)
    return row.model_copy(
        update={
            "path": str(target.resolve()),
            "sha256": sha256_of(target),
            "box": box,
            "original": row.first,
        }
    )


def _square(row: Row, treatment: Treatment) -> tuple[bytes, Box | None]:
    """The encoded square, and where the face's box lies in it."""
    picture = open_listed(row.path)
    if picture.sha256 != row.sha256:
        raise not_as_listed(row.path)
    H, W, _ = picture.pixels.shape
    side = min(H, W)
    if side < treatment.size:
        raise PictureError(
            f"{row.path}: {W} x {H} pixels are under {treatment.size}: choose a smaller --size"
        )
    x0, y0, x1, y1 = row.box or (0.0, 0.0, float(W), float(H))
    left = min(max(0, round((x0 + x1 - side) / 2)), W - side)
    top = min(max(0, round((y0 + y1 - side) / 2)), H - side)
    square = Image.fromarray(picture.pixels[top : top + side, left : left + side])
    buffer = io.BytesIO()
    resized = square.resize((treatment.size, treatment.size), FILTER)
    resized.save(buffer, "JPEG", quality=treatment.quality, subsampling=SUBSAMPLING)
    if row.box is None:
        return buffer.getvalue(), None
    scale, limit = treatment.size / side, float(treatment.size)
    moved = [(value - shift) * scale for value, shift in zip(row.box, (left, top) * 2, strict=True)]
    x0, y0, x1, y1 = (min(max(0.0, value), limit) for value in moved)
    return buffer.getvalue(), (x0, y0, x1, y1)
