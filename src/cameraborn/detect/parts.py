"""Scoring in parts: a part is so many inputs and a file of their rows, which is written where they were scored.

In the output's folder, `rows/part-00000000.jsonl` holds the rows of a part and `done/part-00000000.json` its record,
which is written last. So what has a record need not be done again, whoever was ended in the middle.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Literal, Self

from cameraborn.detect.detector import Detector
from cameraborn.detect.rows import COLUMNS, Rows, json_row
from cameraborn.detect.score import ScoreOptions, verdicts_on
from cameraborn.detect.tally import Tally
from cameraborn.engine.journal import Mark
from cameraborn.engine.stage import Stage
from cameraborn.engine.storage import inside, is_address, write
from cameraborn.errors import JournalError

PartFormat = Literal["jsonl", "parquet"]
ROWS, DONE = "rows", "done"  # folders


@dataclass(frozen=True)
class Part:
    """Inputs that are scored together.

    Attributes:
        number: from 0.
        inputs: paths and addresses.
        sha256: of the inputs' names, and of the size and time of those on this machine.
    """

    number: int
    inputs: tuple[str, ...]
    sha256: str

    @property
    def name(self) -> str:
        """What its files are called, without their ending."""
        return f"part-{self.number:08}"


@dataclass(frozen=True)
class PartRecord:
    """What is told of a part that is done.

    Attributes:
        name: of its file of rows.
        rows: how many.
        sha256: of that file.
        inputs: how many.
        inputs_sha256: as `Part.sha256`.
        counts: of what was judged.
    """

    name: str
    rows: int
    sha256: str
    inputs: int
    inputs_sha256: str
    counts: Tally

    @classmethod
    def of_json(cls, data: bytes, name: str) -> Self:
        """What was written.

        Raises:
            JournalError: it was something else.
        """
        try:
            fields = json.loads(data)
            return cls(**fields | {"counts": Tally(**fields["counts"])})
        except (ValueError, TypeError, LookupError) as error:
            raise JournalError(
                f"{name}: not the record of a part: delete it, and --resume does it again"
            ) from error


def parts_of(inputs: Iterable[str], size: int) -> Iterator[Part]:
    """The inputs in parts of `size`, lazily."""
    inputs = iter(inputs)
    number = 0
    while some := tuple(islice(inputs, size)):
        yield Part(number, some, _digest(some))
        number += 1


def _digest(names: Sequence[str]) -> str:
    marks = [(0, 0) if is_address(name) else _size_and_time(name) for name in names]
    return hashlib.sha256(json.dumps([*zip(names, marks, strict=True)]).encode()).hexdigest()


def _size_and_time(path: str) -> tuple[int, int]:
    mark = Mark.of(0, path)
    return mark.size, mark.changed


@dataclass
class ScorePart(Stage[Part, PartRecord]):
    """Scores the inputs of a part and writes their rows, then its record.

    Attributes:
        detector: what scores.
        options: how.
        folder: path or address of the output.
        format: of the rows.
    """

    detector: Detector
    options: ScoreOptions
    folder: str
    format: PartFormat
    _rows: Rows = field(init=False, repr=False)

    def setup(self) -> None:
        """Prepare to make rows."""
        self._rows = Rows(self.detector)

    def work(self, item: Part) -> PartRecord:
        """The record of a part, which is written."""
        verdicts = [one for source in item.inputs for one in verdicts_on(self.detector, source, self.options)]
        tally = Tally()
        for verdict in verdicts:
            tally.add(verdict)
        rows = [json_row(self._rows.of(verdict)) for verdict in verdicts]
        data = _as_jsonl(rows) if self.format == "jsonl" else _as_parquet(rows, self._rows.channels)
        record = PartRecord(
            f"{item.name}.{self.format}",
            len(rows),
            hashlib.sha256(data).hexdigest(),
            len(item.inputs),
            item.sha256,
            tally,
        )
        write(inside(self.folder, ROWS, record.name), data)
        write(inside(self.folder, DONE, f"{item.name}.json"), json.dumps(asdict(record)).encode())
        return record


def _as_jsonl(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return text.encode("utf-8", "backslashreplace")  # as `score -o` writes names that are no text


def _as_parquet(rows: Sequence[Mapping[str, Any]], channels: Sequence[str]) -> bytes:
    """A table with a column for each field of `docs/rows.schema.json`; evidence is a structure of its channels."""
    import pyarrow as pa
    import pyarrow.parquet

    number, whole, text = pa.float64(), pa.int64(), pa.string()
    channel = pa.struct([("surprise", number), ("p_value", number)])
    types = {
        **dict.fromkeys(("path", "scope", "error", "bundle", "decided_by", "notes", "verdict"), text),
        **dict.fromkeys(("face", "width", "height", "frames", "needed_px"), whole),
        **dict.fromkeys(("score", "p_value", "face_confidence", "start_s", "end_s"), number),
        "box": pa.list_(number),
        "flagged": pa.bool_(),
        "evidence": pa.struct([(name, channel) for name in channels]),
    }
    columns = {name: pa.array([_plain(row[name]) for row in rows], types[name]) for name in COLUMNS}
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), out)
    return out.getvalue()


def _plain(value: Any) -> Any:  # noqa: ANN401 (what a cell holds)
    """A cell; in texts, what UTF-8 cannot hold is written as \\udcXX."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
