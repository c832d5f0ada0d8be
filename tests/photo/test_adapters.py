"""Data sets on disk become rows: folders with the EXIF of their files, and JSON Lines with theirs."""

import json

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import ManifestError
from cameraborn.photo.adapters import ADAPTERS
from cameraborn.photo.manifest import Row, sha256_of

ISO, EXIF_IFD, MAKE = 0x8827, 0x8769, 0x010F


def picture(path, *, iso=None, make=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if make:
        exif[MAKE] = make
    if iso:
        exif.get_ifd(EXIF_IFD)[ISO] = iso
    Image.fromarray(np.full((40, 50, 3), 77, np.uint8)).save(path, exif=exif)
    return path


def refusal(name, path):
    with pytest.raises(ManifestError) as caught:
        list(ADAPTERS[name](path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_names_what_is_missing(name, tmp_path):
    assert "give a" in refusal(name, tmp_path / "none")


def test_a_folder(tmp_path):
    album = tmp_path / "album"
    one = picture(album / "ann" / "1.jpg", iso=400, make="Canon")
    two = picture(album / "bob" / "trip" / "2.JPEG")
    three = picture(album / "3.png")
    (album / "notes.txt").write_text("no picture")
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (album / "folder.jpg").mkdir()
    rows = {row.path: row for row in ADAPTERS["folder"](album)}
    assert list(rows) == sorted(str(path) for path in (one, two, three))
    assert rows[str(one)].exif == {"iso": 400.0, "make": "Canon"}
    assert rows[str(two)].exif == {}
    assert [rows[str(path)].group for path in (one, two, three)] == ["ann", "bob/trip", "."]
    for path, row in rows.items():
        assert row.sha256 == sha256_of(path=type(one)(path))
        assert (row.source, row.label, row.split) == ("album", "photo", "")


def lines(folder, *rows):
    file = folder / "rows.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n\n")
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
    (got,) = ADAPTERS["rows"](lines(tmp_path, row))
    assert got == Row(
        path=str(path),
        sha256=sha256_of(path),
        group="g",
        label="generated",
        generator="x",
        exif={"iso": 1600.0, "exposure_time_s": 1 / 250},
    )


def test_a_track_is_a_kind_unless_there_is_one(tmp_path):
    picture(tmp_path / "1.jpg")
    file = lines(
        tmp_path, {"path": "1.jpg", "track": "web"}, {"path": "1.jpg", "track": "web", "kind": "face"}
    )
    assert [row.kind for row in ADAPTERS["rows"](file)] == ["web", "face"]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("{", "not JSON"),
        ("[]", "no 'path'"),
        ({"group": "g"}, "no 'path'"),
        ({"path": 3}, "no 'path'"),
        ({"path": "none.jpg"}, "none.jpg is missing"),
        ({"path": "1.jpg", "label": "fake"}, "label"),
        ({"path": "1.jpg", "exif": "iso 100"}, "exif"),
        ({"path": "1.jpg", "exif": [100]}, "exif"),
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
