"""Columns of tables: each says once what people read in it and which fields of the CSV hold the same figure."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

from cameraborn.files import replacing
from cameraborn.report.analysis import Figure
from cameraborn.report.document import Cell, Table

NONE = "–"
R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column of a table of rows R.

    Attributes:
        heading: text above the cells; empty: the column is in the CSV alone.
        cell: what people read of a row.
        fields: names in the CSV, with the value of each.
        word: the cells are words, which stand on the left.
    """

    heading: str
    cell: Callable[[R], Cell]
    fields: Mapping[str, Callable[[R], object]]
    word: bool = False


# A value of a row: a function of it, or the path of an attribute such as `comparison.name`.
Value = str | Callable[[R], object]


def words(heading: str, text: Value[R], **fields: Value[R]) -> Column[R]:
    """A column of words."""
    get = _getter(text)
    return Column(heading, lambda row: Cell(str(get(row))), _getters(fields), word=True)


def count(heading: str, name: str, value: Value[R]) -> Column[R]:
    """A column of whole numbers, called `name` in the CSV."""
    get = _getter(value)
    return Column(heading, lambda row: Cell(str(get(row))), {name: get})


def figure(heading: str, name: str, show: Callable[[Figure], Cell], attribute: str = "") -> Column[Any]:
    """A column of figures with intervals: `name`, `name_low` and `name_high` in the CSV.

    The figure is the row's attribute of the same name, if no other is given.
    """
    get = attrgetter(attribute or name)
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    return Column(
        heading,
        lambda row: show(get(row)),
        {field: lambda row, end=end: rounded(getattr(get(row), end)) for field, end in ends.items()},  # type: ignore[misc]
    )


def only_csv(**fields: Value[R]) -> Column[R]:
    """Fields that people need no column for."""
    return Column("", lambda row: Cell(""), _getters(fields))


def _getters(fields: Mapping[str, Value[R]]) -> dict[str, Callable[[R], object]]:
    return {name: _getter(value) for name, value in fields.items()}


def _getter(value: Value[R]) -> Callable[[R], object]:
    return attrgetter(value) if isinstance(value, str) else value


def table_of(
    columns: Sequence[Column[R]], rows: Iterable[R], *, last_apart: bool = False, notes: Sequence[str] = ()
) -> Table:
    """The table that people read."""
    shown = [column for column in columns if column.heading]
    return Table(
        [column.heading for column in shown],
        [[column.cell(row) for column in shown] for row in rows],
        words=[place for place, column in enumerate(shown) if column.word],
        last_apart=last_apart,
        notes=notes,
    )


def records_of(columns: Sequence[Column[R]], rows: Iterable[R]) -> list[dict[str, object]]:
    """The lines of the CSV."""
    return [{name: value(row) for column in columns for name, value in column.fields.items()} for row in rows]


def write_csv(records: Sequence[Mapping[str, object]], path: Path) -> Path:
    """Write lines with the same fields, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out,
    ):
        writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return path


def rounded(value: float) -> object:
    """A number as the CSV holds it, to four decimals; empty where there is none."""
    return "" if math.isnan(value) else round(value, 4)


def boolean(value: bool) -> str:
    """`true` or `false`, as the CSV holds it."""
    return str(value).lower()


def decimal(value: float) -> str:
    """A number between 0 and 1, to two decimals."""
    return NONE if math.isnan(value) else f"{value:.2f}"


def number(figure: Figure, *, shade: bool = False) -> Cell:
    """A figure between 0 and 1, with its interval."""
    if not figure.known:
        return Cell(NONE)
    return Cell(
        decimal(figure.value),
        f"{decimal(figure.low)}–{decimal(figure.high)}",
        auc_shade(figure.value) if shade else None,
    )


shaded_number = partial(number, shade=True)


def percent(figure: Figure, *, nominal: float | None = None) -> Cell:
    """A share in percent, with its interval; tinted where the interval lies wholly over the nominal rate."""
    if not figure.known:
        return Cell(NONE)
    over = nominal is not None and figure.low > nominal
    return Cell(
        f"{100 * figure.value:.1f} %",
        f"{100 * figure.low:.1f}–{100 * figure.high:.1f}",
        -0.8 if over else None,
    )


def difference(figure: Figure) -> Cell:
    """A difference of figures between 0 and 1, with its sign and interval."""
    return Cell(_signed(figure.value), f"{_signed(figure.low)} to {_signed(figure.high)}")


def points(figure: Figure) -> Cell:
    """A difference of shares in percentage points, with its sign and interval."""
    value, low, high = (
        f"{100 * part:+.1f}".replace("-", "−") for part in (figure.value, figure.low, figure.high)
    )
    return Cell(value, f"{low} to {high}")


def p_value(value: float) -> Cell:
    """A p-value, to three decimals."""
    if math.isnan(value):
        return Cell(NONE)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}")


def auc_shade(value: float) -> float:
    """Shade of an AUC: none for chance; far under it is bad, and as loud."""
    return max(-1.0, min(1.0, 2 * (value - 0.5)))


def _signed(value: float) -> str:
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")
