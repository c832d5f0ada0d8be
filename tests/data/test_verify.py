"""What is wrong with a manifest is listed whole, line by line."""

import json

import pytest

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.data.verify import identity, verify_manifest
from cameraborn.errors import ManifestError


@pytest.fixture
def manifest(tmp_path):
    rows = []
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(bytes([number]) * 10)
        rows.append(
            Row(path=str(path), sha256=sha256_of(path), group=f"g{number % 2}", split=f"s{number % 2}")
        )
    write_manifest(rows, tmp_path / "m.jsonl")
    return tmp_path / "m.jsonl"


def test_a_sound_manifest(manifest):
    done = []
    assert list(verify_manifest(manifest, report=done.append)) == []
    assert done == [1, 2, 3, 4]


def test_every_problem_is_found(manifest):
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    (manifest.parent / "0.jpg").unlink()
    (manifest.parent / "1.jpg").write_bytes(b"edited")
    lines += [lines[2], lines[3] | {"split": "other", "kind": "face"}]
    text = [json.dumps(line) for line in lines]
    text.insert(2, '{"path": "broken"')
    manifest.write_text("\n".join(text) + "\n")
    found = list(verify_manifest(manifest))
    assert [problem.split(":")[0] for problem in found] == [f"{manifest}, line {n}" for n in (1, 2, 3, 6, 7)]
    for problem, says in zip(
        found,
        ("is missing", "SHA-256 differs", "fix or delete", "listed twice, first in line 4", "'g1' is torn"),
        strict=True,
    ):
        assert says in problem
        assert "\n" not in problem


def test_several_faces_of_one_file_are_no_duplicates(manifest):
    (line, *_) = manifest.read_text().splitlines()
    faces = [json.loads(line) | {"box": [n, 0, n + 5, 5]} for n in range(3)]
    manifest.write_text("".join(json.dumps(face) + "\n" for face in faces))
    assert list(verify_manifest(manifest)) == []


def test_what_makes_rows_the_same():
    row = Row(path="a.jpg", sha256="0" * 64)
    others = [{"path": "b.jpg"}, {"kind": "face"}, {"box": (0, 0, 1, 1)}, {"manipulation": "eye"}]
    assert len({identity(row), *(identity(row.model_copy(update=other)) for other in others)}) == 5
    assert identity(row.model_copy(update={"split": "train", "group": "g"})) == identity(row)


def test_no_manifest(tmp_path):
    with pytest.raises(ManifestError, match="no such manifest"):
        list(verify_manifest(tmp_path / "none.jsonl"))
