"""What verbs are given: paths, lists and pictures on standard input; for a cluster also manifests and tables."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from cameraborn.cli.inputs import StandardInput, _beside, inputs, inputs_of_cluster, path_of
from cameraborn.errors import CamerabornError, ManifestError
from cameraborn.photo.sniff import Census, Kind
from tests.command import EXAMPLES, posix, rows_of, run_here

PHOTO = EXAMPLES / "photo-1.jpg"


@pytest.fixture
def given(monkeypatch):
    """Puts bytes on standard input."""

    def put(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return put


def read(*paths, null=False):
    return list(inputs(paths, Census(), null=null))


def test_lists_on_standard_input_stand_where_their_dash_does(given):
    given(b"b.jpg\r\n\nfolder/c\xff.jpg\n\n")
    assert read("a.jpg", "-", "d.jpg") == ["a.jpg", "b.jpg", "folder/c\udcff.jpg", "d.jpg"]
    given(b"")
    assert read("-") == []
    given("\ufeffé.jpg".encode())
    assert read("-") == ["é.jpg"]


def test_names_that_end_in_zeros(given):
    given(b"a.jpg\0line\nbreak.jpg\0")
    assert read("-", null=True) == ["a.jpg", "line\nbreak.jpg"]
    given(b"a.jpg")
    assert read("-", null=True) == ["a.jpg"]


@pytest.mark.parametrize("null", [False, True])
def test_a_picture_on_standard_input_is_one_and_whole(given, null):
    given(PHOTO.read_bytes())
    before, picture = read("a.jpg", "-", null=null)
    assert isinstance(picture, StandardInput)
    assert (before, picture.name, picture.read()) == ("a.jpg", "-", PHOTO.read_bytes())
    assert (path_of(before), path_of(picture)) == ("a.jpg", "/dev/stdin")


NO_LIST = "standard input: neither a picture that can be read nor a list of paths: give the paths, one a line"
REFUSED = [
    (
        b"a.jpg\0b.jpg\0",
        False,
        "standard input: not a list of paths, as it has zero bytes in it: "
        "give -0 for names that end in zero bytes, as those of 'find -print0'",
    ),
    (
        b"\xff\x4f\xff\x51" + bytes(50),
        True,
        "standard input: JPEG 2000, neither a picture that can be read nor a list of paths: give the paths, one a line",
    ),
    ("a.jpg\n".encode("utf-16"), False, "standard input: a list in UTF-16: save it as UTF-8"),
    ("a.jpg\n".encode("utf-16"), True, "standard input: a list in UTF-16: save it as UTF-8"),
    (b"\x7fELF\x02\x01\x01" + bytes(9), True, NO_LIST),
    (b"\x98\x12\0\0\0\0\0\0{}", False, NO_LIST),
    (b"a.jpg\0\0b.jpg", True, NO_LIST),
    (b"a.jpg\0\x07b.jpg", True, NO_LIST),
]


@pytest.mark.parametrize(("data", "null", "line"), REFUSED, ids=lambda value: repr(value)[:20])
def test_what_is_neither_a_picture_nor_a_list(given, data, null, line):
    given(data)
    with pytest.raises(CamerabornError) as caught:
        read("-", null=null)
    assert str(caught.value) == line


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CamerabornError, match=r"^standard input is closed: give paths instead of -$"):
        read("-")


def test_a_picture_on_standard_input_is_scored(tmp_path):
    code, out, error = run_here("score", "-", "--format", "jsonl", cwd=tmp_path, stdin=PHOTO.read_bytes())
    assert (code, [row["path"] for row in rows_of(out)]) == (0, ["-"]), error


def test_lists_on_standard_input_are_scored(tmp_path):
    for name in ("a.jpg", "line\nbreak.jpg"):
        shutil.copy(PHOTO, tmp_path / name)
    score = ("score", "-", "--format", "jsonl", "-0")
    code, out, error = run_here(*score, cwd=tmp_path, stdin=b"a.jpg\0line\nbreak.jpg\0")
    assert (code, [row["path"] for row in rows_of(out)]) == (0, ["a.jpg", "line\nbreak.jpg"]), error
    code, out, error = run_here(*score[:-1], cwd=tmp_path, stdin=b"a.jpg\0b.jpg\0")
    assert (code, out, error) == (2, "", f"cameraborn: {REFUSED[0][2]}\n")


def listed(*paths, census=None, null=False):
    return list(inputs_of_cluster(list(map(str, paths)), census or Census(), null=null))


def manifest(path, *pictures):
    lines = [json.dumps({"path": picture, "sha256": "0" * 64}) for picture in pictures]
    path.write_text("\n\n".join(lines) + "\n")
    return path


def test_paths_of_a_manifest_are_those_beside_it(tmp_path, monkeypatch):
    (tmp_path / "sets").mkdir()
    path = manifest(tmp_path / "sets" / "a.jsonl", "x.jpg", "../y.jpg", "/z.jpg", "s3://b/k.jpg")
    expected = [str(tmp_path / "sets" / "x.jpg"), str(tmp_path / "y.jpg"), "/z.jpg", "s3://b/k.jpg"]
    assert listed(path) == expected
    monkeypatch.chdir(tmp_path)
    assert listed("sets/a.jsonl", "w.jpg") == [*expected, "w.jpg"]


def test_rows_of_a_manifest_are_read_as_they_are_asked_for(tmp_path):
    path = manifest(tmp_path / "a.jsonl", "x.jpg", "y.jpg")
    path.write_text(path.read_text() + '{"path": ""}\n')
    found = inputs_of_cluster([str(path)], Census(), null=False)
    assert [Path(next(found)).name, Path(next(found)).name] == ["x.jpg", "y.jpg"]
    with pytest.raises(ManifestError, match=r"a.jsonl, line 4: path: .*: fix or delete the line"):
        next(found)


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(ManifestError) as caught:
        listed(tmp_path / "none.jsonl")
    assert (
        str(caught.value)
        == f"{tmp_path}/none.jsonl: no such manifest: make one with 'cameraborn data import'"
    )


@posix
def test_pipes_in_a_manifest_are_passed_over_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    census, expected = Census(), Census()
    expected.add(Kind.SPECIAL)
    path = manifest(tmp_path / "a.jsonl", "pipe.jpg", "x.jpg")
    assert listed(path, census=census) == [str(tmp_path / "x.jpg")]
    assert census == expected


def test_folders_and_lists_are_given_to_a_cluster_too(given, tmp_path):
    for name in ("b.jpg", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert listed(tmp_path) == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    given(b"x.jpg\0y.jpg\0")
    assert listed("-", null=True) == ["x.jpg", "y.jpg"]
    given(PHOTO.read_bytes())
    with pytest.raises(CamerabornError) as caught:
        listed("-")
    assert str(caught.value) == "standard input: a picture, which no other machine can read: give its path"


@pytest.mark.parametrize(
    ("listing", "path", "place"),
    [
        ("s3://bucket/sets/a.jsonl", "x.jpg", "s3://bucket/sets/x.jpg"),
        ("s3://bucket/sets/a.jsonl", "../x.jpg", "s3://bucket/x.jpg"),
        ("s3://bucket/sets/a.jsonl", "./deep//x.jpg", "s3://bucket/sets/deep/x.jpg"),
        ("s3://bucket/a.jsonl", "gs://other/x.jpg", "gs://other/x.jpg"),
        ("/sets/a.jsonl", "gs://other/x.jpg", "gs://other/x.jpg"),
    ],
)
def test_addresses_of_what_lies_beside_a_listing(listing, path, place):
    assert _beside(listing, path) == place


def test_a_table_without_paths_is_refused(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pip install 'cameraborn[cluster]'")
    import pyarrow as pa

    (tmp_path / "a.parquet").write_text("no table")
    for columns in ({"file": ["x"]}, {"path": [1]}):
        parquet.write_table(pa.table(columns), tmp_path / f"{next(iter(columns))}.parquet")
    for name in ("a", "file", "path"):
        with pytest.raises(
            ManifestError, match=rf"{name}.parquet: no Parquet table with paths in a column 'path'"
        ):
            listed(tmp_path / f"{name}.parquet")
    parquet.write_table(pa.table({"path": ["x/../y.jpg", "/z.jpg", "s3://b/k.jpg"]}), tmp_path / "b.parquet")
    assert listed(tmp_path / "b.parquet") == [str(tmp_path / "y.jpg"), "/z.jpg", "s3://b/k.jpg"]
