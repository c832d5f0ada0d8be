"""Columns and cells: what people read and what programs read is one figure."""

import math
from dataclasses import dataclass

import pytest

from cameraborn.report import columns
from cameraborn.report.analysis import UNKNOWN, Figure
from cameraborn.report.document import Cell


@dataclass
class Row:
    name: str
    n: int
    rate: Figure
    inner: "Row | None" = None


ROWS = [Row("a", 3, Figure(0.25, 0.123456, 0.5)), Row("b", 0, UNKNOWN)]
COLUMNS = (
    columns.only_csv(outer="inner.name", twice=lambda row: 2 * row.n),
    columns.words("who", "name", who="name"),
    columns.count("how many", "count", "n"),
    columns.figure("share", "share", columns.percent, "rate"),
)


def test_one_list_of_columns_gives_the_cells_and_the_csv():
    rows = [Row("x", row.n, row.rate, row) for row in ROWS]
    table = columns.table_of(COLUMNS, rows, last_apart=True, notes=("so",))
    assert table.columns == ["who", "how many", "share"]
    assert [place in table.words for place in range(3)] == [True, False, False]
    assert table.rows == [
        [Cell("x"), Cell("3"), Cell("25.0 %", "12.3–50.0")],
        [Cell("x"), Cell("0"), Cell("–")],
    ]
    assert (table.last_apart, table.notes) == (True, ("so",))
    assert columns.records_of(COLUMNS, rows) == [
        {
            "outer": "a",
            "twice": 6,
            "who": "x",
            "count": 3,
            "share": 0.25,
            "share_low": 0.1235,
            "share_high": 0.5,
        },
        {"outer": "b", "twice": 0, "who": "x", "count": 0, "share": "", "share_low": "", "share_high": ""},
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (columns.number(Figure(0.5, 0.25, 0.75)), Cell("0.50", "0.25–0.75")),
        (columns.number(Figure(0.75, 0.5, 1.0), shade=True), Cell("0.75", "0.50–1.00", 0.5)),
        (columns.number(UNKNOWN), Cell("–")),
        (columns.percent(Figure(0.1, 0.06, 0.2), nominal=0.05), Cell("10.0 %", "6.0–20.0", -0.8)),
        (columns.percent(Figure(0.1, 0.05, 0.2), nominal=0.05), Cell("10.0 %", "5.0–20.0")),
        (columns.difference(Figure(-0.25, -0.5, 0.004)), Cell("−0.25", "−0.50 to 0.00")),
        (columns.points(Figure(0.025, -0.01, 0.06)), Cell("+2.5", "−1.0 to +6.0")),
        (columns.p_value(0.0004), Cell("< 0.001")),
        (columns.p_value(0.0416), Cell("0.042")),
        (columns.p_value(math.nan), Cell("–")),
    ],
)
def test_cells(cell, expected):
    assert cell == expected


@pytest.mark.parametrize(("value", "shade"), [(0.5, 0), (1, 1), (0, -1), (0.75, 0.5), (0.25, -0.5)])
def test_chance_has_no_shade(value, shade):
    assert columns.auc_shade(value) == shade


def test_a_csv_is_written_whole_or_not_at_all(tmp_path):
    path = columns.write_csv([{"a": 1, "b": "x,y"}], tmp_path / "new" / "t.csv")
    assert path.read_bytes() == b'a,b\n1,"x,y"\n'
    with pytest.raises(ValueError, match="dict contains fields"):
        columns.write_csv([{"a": 2}, {"c": 3}], path)
    assert path.read_bytes() == b'a,b\n1,"x,y"\n'
    assert [one.name for one in path.parent.iterdir()] == ["t.csv"]
