"""Manifests: no half-written file is ever seen, broken rows are named, paths hold wherever one stands."""

import json

import pytest

from cameraborn.data.manifest import (
    Row,
    group_of,
    read_manifest,
    sha256_of,
    write_manifest,
)
from cameraborn.errors import ManifestError
from tests.data.disk import room_for

DIGEST = "0" * 64


@pytest.fixture
def album(tmp_path):
    (tmp_path / "pictures").mkdir()
    rows = []
    for number in range(3):
        path = tmp_path / "pictures" / f"ü {number}.jpg"
        path.write_bytes(bytes([number]) * 10)
        rows.append(
            Row(
                path=str(path),
                sha256=sha256_of(path),
                box=(1, 2, 3.5, 4),
                exif={"iso": 100.0},
                research_only=number == 1,
            )
        )
    return rows


def test_rows_go_round_with_relative_paths(album, tmp_path):
    manifest = tmp_path / "deep" / "m.jsonl"
    assert write_manifest(album, manifest) == 3
    assert list(read_manifest(manifest)) == album
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    assert [line["path"] for line in lines] == [f"../pictures/ü {n}.jpg" for n in range(3)]
    assert "split" not in lines[0]


def test_a_manifest_named_relatively_may_be_written_again_in_place(album, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = tmp_path.joinpath("deep/m.jsonl").relative_to(tmp_path)
    write_manifest(album, manifest)
    for _ in range(2):
        rows = list(read_manifest(manifest))
        assert rows == album
        write_manifest(rows, manifest)


def test_a_moved_album_is_read(album, tmp_path):
    write_manifest(album, tmp_path / "pictures" / "m.jsonl")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    rows = list(read_manifest(tmp_path / "moved" / "m.jsonl"))
    assert [sha256_of(tmp_path / "moved" / f"ü {n}.jpg") for n in range(3)] == [row.sha256 for row in rows]


def test_an_interrupted_write_leaves_the_older_manifest(album, tmp_path):
    manifest = tmp_path / "m.jsonl"
    write_manifest(album, manifest)
    before = manifest.read_bytes()

    def interrupted():
        yield album[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(interrupted(), manifest)
    assert manifest.read_bytes() == before
    with pytest.raises(KeyboardInterrupt):
        write_manifest(interrupted(), tmp_path / "new.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "pictures"]


def test_a_full_disk_is_one_line_and_leaves_the_older_manifest(album, tmp_path):
    manifest = tmp_path / "m.jsonl"
    write_manifest(album[:1], manifest)
    before = manifest.read_bytes()
    with room_for(1000), pytest.raises(ManifestError, match="File too large") as caught:
        write_manifest(album * 1000, manifest)
    assert str(caught.value).startswith(f"{manifest}: cannot be written")
    assert manifest.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "pictures"]


def test_what_killed_runs_have_left_is_removed(album, tmp_path):
    for name in (".m.0123456789abcdef.part.jsonl", ".m.mine.part.jsonl", "m.part.jsonl"):
        (tmp_path / name).write_text("half")
    write_manifest(album[:1], tmp_path / "m.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".m.mine.part.jsonl",
        "m.jsonl",
        "m.part.jsonl",
        "pictures",
    ]


def test_a_fault_of_the_rows_is_not_blamed_on_the_manifest(tmp_path):
    def rows():
        (tmp_path / "none").read_bytes()
        yield

    with pytest.raises(FileNotFoundError):
        write_manifest(rows(), tmp_path / "m.jsonl")


def test_a_face(tmp_path):
    row = Row(
        path=str(tmp_path / "f.jpg"),
        sha256=DIGEST,
        box=(-1.5, 2, 30, 40),
        landmarks=[(n / 2, n) for n in range(68)],
        points={"nose": (3, 4)},
        manipulation="mouth-vertical",
    )
    write_manifest([row], tmp_path / "m.jsonl")
    (got,) = read_manifest(tmp_path / "m.jsonl")
    assert got == row
    assert got.landmarks[48] == (24.0, 48.0)


def test_what_a_row_shares():
    row = Row(path="a", sha256=DIGEST)
    assert group_of(row) == "a"
    assert group_of(row.model_copy(update={"source": "s"})) == "s"
    assert group_of(row.model_copy(update={"source": "s", "group": "g"})) == "g"


GOOD = json.dumps({"path": "a.jpg", "sha256": DIGEST}).encode()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"{", "Invalid JSON"),
        (b"[1]", "row"),
        (b"\xff\xfe\x00", "JSON"),
        (b'{"path": "a.jpg"}', "sha256"),
        (GOOD.replace(b"000", b"xyz"), "sha256"),
        (GOOD.replace(b"a.jpg", b""), "path"),
        (GOOD.replace(b"}", b', "label": "fake"}'), "label"),
        (GOOD.replace(b"}", b', "colour": 1}'), "colour"),
        (GOOD.replace(b"}", b', "box": [1, 2]}'), "box"),
        (GOOD.replace(b"}", b', "box": [1, 2, 1, 4]}'), "x0 < x1"),
        (GOOD.replace(b"}", b', "landmarks": [[1, 2], [3, 4]]}'), "landmarks"),
        (GOOD.replace(b"}", b', "manipulation": "ear"}'), "manipulation"),
        (GOOD.replace(b"}", b', "exif": {"iso": "100"}}'), "exif: iso is '100', which is not a number"),
        (GOOD.replace(b"}", b', "exif": {"fnumber": true}}'), "exif: fnumber"),
        (GOOD.replace(b"}", b', "exif": {"fnumber": NaN}}'), "exif: fnumber"),
        (GOOD.replace(b"}", b', "exif": {"flash": [1]}}'), "exif: flash"),
        (GOOD.replace(b"}", b', "exif": {"make": 5}}'), "exif: make is 5, which is not a text"),
    ],
)
def test_a_broken_row_is_named_by_line_and_field(tmp_path, line, named):
    manifest = tmp_path / "m.jsonl"
    manifest.write_bytes(GOOD + b"\n\n" + line + b"\n")
    rows = read_manifest(manifest)
    assert next(rows).path == str(tmp_path / "a.jpg")
    with pytest.raises(ManifestError) as caught:
        next(rows)
    assert str(caught.value).startswith(f"{manifest}, line 3: ")
    assert named in str(caught.value)
    assert "fix or delete the line" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_manifests(tmp_path):
    with pytest.raises(ManifestError, match="cameraborn data import"):
        list(read_manifest(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n \n")
    with pytest.raises(ManifestError, match="is empty"):
        list(read_manifest(tmp_path / "empty.jsonl"))


def test_a_manifest_in_utf_16_is_called_so(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"path": "a.jpg"}\n', encoding="utf-16")
    with pytest.raises(ManifestError, match=r"m\.jsonl: a text in UTF-16: save it as UTF-8$"):
        list(read_manifest(tmp_path / "m.jsonl"))
