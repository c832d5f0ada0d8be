"""The rows of `score`: their columns, the verdict in a word, and their JSON Schema (`docs/rows.schema.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cameraborn.detect.verdict import Verdict

if TYPE_CHECKING:
    from cameraborn.detect.detector import Detector

Word = Literal["flagged", "not flagged", "not judged", "unreadable"]


@dataclass(frozen=True)
class Row(Verdict):
    """A verdict as it is written.

    Attributes:
        verdict: what is said, in a word; `scope` says why there is no judgement.
        needed_px: the longer side that the face's box would have to have, in pixels, where it is too small.
    """

    verdict: Word = "unreadable"
    needed_px: int | None = None


COLUMNS = tuple(Row.__dataclass_fields__)  # of JSON; in CSV each channel has a column in place of `evidence`


class Rows:
    """Makes verdicts of a detector into rows."""

    def __init__(self, detector: Detector) -> None:
        self.channels: Sequence[str] = detector.channels
        info = detector.bundle.info
        self._smallest_picture, self._smallest_face = info.smallest_side, info.smallest_face

    def of(self, verdict: Verdict) -> Row:
        """The row of a verdict."""
        needed = self._smallest_picture if verdict.face is None else self._smallest_face
        fields = {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
        return Row(
            **fields, verdict=word_of(verdict), needed_px=needed if verdict.scope == "too-small" else None
        )

    def csv_columns(self) -> list[str]:
        """The columns of CSV: a field each, and the p-value of each channel of evidence."""
        return [
            *(name for name in COLUMNS if name != "evidence"),
            *(f"evidence_{name}" for name in self.channels),
        ]

    def csv_row(self, row: Row) -> Iterator[Any]:
        """The cells of a row of CSV, in the order of the columns."""
        cells = json_row(row) | {f"evidence_{name}": one.p_value for name, one in row.evidence.items()}
        cells["box"] = None if row.box is None else " ".join(f"{side:.1f}" for side in row.box)
        cells["flagged"] = None if row.flagged is None else str(row.flagged).lower()
        return (cells.get(column) for column in self.csv_columns())


def word_of(verdict: Verdict) -> Word:
    """The verdict in a word."""
    if verdict.scope == "unreadable":
        return "unreadable"
    return {True: "flagged", False: "not flagged", None: "not judged"}[verdict.flagged]  # type: ignore[return-value]


def json_row(row: Row) -> dict[str, Any]:
    """A row as JSON has it; a box is rounded to a tenth of a pixel."""
    return row.to_mapping() | {"box": None if row.box is None else [round(side, 1) for side in row.box]}


def schema() -> Mapping[str, Any]:
    """The JSON Schema of a row."""
    from pydantic import TypeAdapter

    row = TypeAdapter(Row).json_schema()
    row["properties"]["notes"] = {"title": "Notes", "type": "string"}  # with "; " between them
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **row,
        "title": "Row of cameraborn score",
        "additionalProperties": False,
        "required": list(COLUMNS),
    }
