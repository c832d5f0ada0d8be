"""`calibration.csv`: the scores of held-out photographs, a row for each category that a photograph stands for."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cameraborn.detect.condition import Condition

_SURPRISE = "surprise_"  # begins the name of a channel's column


@dataclass(frozen=True)
class CalibrationRow:
    """One held-out photograph in one category.

    Attributes:
        score: the combined score.
        source: where the photograph comes from.
        photograph: the beginning of its SHA-256.
        face_size: longer side of the face box, in pixels of the picture.
        jpeg_quality: None if it is no JPEG.
        noise, operation: as in a `Condition`.
        surprises: of each channel of evidence; those of a converted bundle may be unknown.
    """

    score: float
    source: str
    photograph: str
    face_size: int
    jpeg_quality: int | None
    noise: float = 0.0
    operation: int = 0
    surprises: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def condition(self) -> Condition:
        """The condition that the photograph was in."""
        return Condition(self.face_size, self.jpeg_quality, self.noise, self.operation)


def write_rows(rows: Sequence[CalibrationRow], operations: Sequence[str], channels: Sequence[str]) -> bytes:
    """The table as CSV, most surprising photograph first; operations by their names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ["score", "source", "photograph", "face_size", "jpeg_quality", "noise", "operation"]
    writer.writerow([*columns, *(_SURPRISE + channel for channel in channels)])
    for row in sorted(rows, key=lambda row: -row.score):
        quality = "" if row.jpeg_quality is None else row.jpeg_quality
        operation = operations[row.operation] if operations else ""
        condition = [row.face_size, quality, row.noise, operation]
        surprises = [f"{row.surprises[name]:.4f}" if name in row.surprises else "" for name in channels]
        writer.writerow([f"{row.score:.4f}", row.source, row.photograph, *condition, *surprises])
    return out.getvalue().encode("utf-8")


def read_rows(text: str, operations: Sequence[str]) -> tuple[CalibrationRow, ...]:
    """The inverse of `write_rows`.

    Raises:
        ValueError: the table is damaged, or holds no finite scores.
    """
    try:
        rows = tuple(_row(fields, operations) for fields in csv.DictReader(io.StringIO(text)))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no column or value {error}") from error
    if not rows or not all(
        math.isfinite(value) for row in rows for value in (row.score, *row.surprises.values())
    ):
        raise ValueError("no finite scores")
    return rows


def _row(fields: Mapping[str, str], operations: Sequence[str]) -> CalibrationRow:
    return CalibrationRow(
        score=float(fields["score"]),
        source=fields["source"],
        photograph=fields["photograph"],
        face_size=int(fields["face_size"]),
        jpeg_quality=int(fields["jpeg_quality"]) if fields["jpeg_quality"] else None,
        noise=float(fields["noise"]),
        operation=operations.index(fields["operation"]) if operations else 0,
        surprises={
            name.removeprefix(_SURPRISE): float(value)
            for name, value in fields.items()
            if name.startswith(_SURPRISE) and value
        },
    )
