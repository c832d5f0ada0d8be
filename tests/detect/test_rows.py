"""The rows of `score` are what their JSON Schema says, and their words say what their numbers do."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from cameraborn.detect.rows import COLUMNS, Row, schema
from tests.command import EXAMPLES, rows_of, run_here

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "rows.schema.json"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        image.resize((120, 120)).save(folder / "small.png")
        image.save(folder / "face.png")
    Image.new("RGB", (300, 300), (90, 120, 200)).save(folder / "sky.png")
    (folder / "broken.jpg").write_text("not a picture")
    return folder


def test_the_schema_is_current():
    text = json.dumps(schema(), indent=1) + "\n"
    assert SCHEMA.read_text(encoding="utf-8") == text, "run: python tools/write_cli_docs.py"


def test_rows_keep_to_the_schema(desk):
    code, out, error = run_here("score", ".", "--format", "jsonl", "--false-alarm", "0.99", cwd=desk)
    assert code == 4
    rows = rows_of(out)
    for row in rows:
        assert list(row) == list(COLUMNS) == schema()["required"]
        assert set(schema()["properties"]) == set(row)
        TypeAdapter(Row).validate_python(row | {"notes": ()})
        assert isinstance(row["notes"], str)
    assert [row["verdict"] for row in rows] == ["unreadable", "flagged", "not judged", "not judged"]
    assert [row["scope"] for row in rows] == ["unreadable", "ok", "no-face", "too-small"]
    with pytest.raises(ValidationError):
        TypeAdapter(Row).validate_python(rows[0] | {"notes": (), "verdict": "maybe"})
    assert error.startswith(
        "4 pictures, 1 without a face, 1 unreadable; 2 faces: 1 flagged, 0 not flagged, 1 not "
    )


def test_a_face_that_is_too_small_says_what_would_do(desk):
    _, out, _ = run_here("score", "small.png", "--format", "csv", cwd=desk)
    (row,) = csv.DictReader(io.StringIO(out))
    x0, y0, x1, y1 = map(float, row["box"].split())
    side, needed = max(x1 - x0, y1 - y0), int(row["needed_px"])
    assert (row["verdict"], row["scope"]) == ("not judged", "too-small")
    assert side < needed
    with Image.open(desk / "small.png") as image:
        scale = 1.1 * needed / side
        image.resize([round(scale * length) for length in image.size]).save(desk / "enough.png")
    _, out, _ = run_here("score", "enough.png", "--format", "csv", cwd=desk)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["scope"], row["needed_px"]) == ("ok", "")
    _, out, _ = run_here("score", "small.png", cwd=desk)
    assert f"too-small (<{needed}px)" in out
    (desk / "enough.png").unlink()
