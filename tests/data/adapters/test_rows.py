"""JSON Lines with our names for fields."""

import json

import pytest

from tests.data.adapters.helpers import entries, picture, refusal, rows


def lines(folder, *fields):
    file = folder / "rows.jsonl"
    file.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in fields) + "\n\n",
        encoding="utf-8",
    )
    return file


def test_rows(tmp_path):
    path = picture(tmp_path / "sub" / "1.jpg", iso=100)
    row = {
        "path": "sub/1.jpg",
        "sha256": "wrong",
        "group": "g",
        "label": "generated",
        "generator": "x",
        "licence": None,
        "exif": {
            "iso": "1600",
            "fnumber": 0,
            "focal_length_mm": "a lot",
            "exposure_time_s": "1/250",
            "lens": 3,
        },
        "unknown": [1, 2],
    }
    (item,) = entries("rows", lines(tmp_path, row))
    got = item.row
    assert not item.read  # what the row says of the EXIF counts, not the file's
    assert (got.path, got.group, got.label, got.generator) == (str(path), "g", "generated", "x")
    assert got.exif == {"iso": 1600.0, "exposure_time_s": 1 / 250}
    assert got.sha256 != "wrong"


def test_a_track_is_a_kind_unless_there_is_one(tmp_path):
    picture(tmp_path / "1.jpg")
    file = lines(
        tmp_path, {"path": "1.jpg", "track": "web"}, {"path": "1.jpg", "track": "web", "kind": "face"}
    )
    assert [row.kind for row in rows("rows", file)] == ["web", "face"]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no 'path'"),
        ({"group": "g"}, "no 'path'"),
        ({"path": 3}, "no 'path'"),
        ({"path": "none.jpg"}, "none.jpg is missing"),
        ({"path": "1.jpg", "label": "fake"}, "label"),
        ({"path": "1.jpg", "exif": "iso 100"}, "exif"),
        ({"path": "1.jpg", "exif": [100]}, "exif"),
        ({"path": "1.jpg", "box": [5, 5, 1, 9]}, "x0 < x1"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, named):
    picture(tmp_path / "1.jpg")
    message = refusal("rows", lines(tmp_path, {"path": "1.jpg"}, row))
    assert "line 2" in message
    assert named in message
    assert "the line" in message


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'{"path": "\xff\xff"}\n')
    assert "not JSON" in refusal("rows", tmp_path / "rows.jsonl")
