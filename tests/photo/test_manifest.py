"""Manifests: no group is ever divided, no half-written file is ever seen, paths hold wherever one stands."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.errors import ManifestError
from cameraborn.photo.manifest import (
    Row,
    read_manifest,
    sha256_of,
    split_by_group,
    verify_manifest,
    write_manifest,
)

DIGEST = "0" * 64


def rows_of(groups):
    return [Row(path=f"{n}.jpg", sha256=DIGEST, group=group) for n, group in enumerate(groups)]


@settings(max_examples=100)
@given(
    groups=st.lists(st.integers(0, 12).map(lambda n: f"g{n}"), min_size=1, max_size=60),
    parts=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    seed=st.integers(0, 5),
)
def test_no_group_is_divided_and_no_split_is_empty(groups, parts, seed):
    shares = {f"s{n}": part / sum(parts) for n, part in enumerate(parts)}
    rows = rows_of(groups)
    if len(set(groups)) < len(shares):
        with pytest.raises(ManifestError, match="fewer splits"):
            split_by_group(rows, shares, seed=seed)
        return
    divided = split_by_group(rows, shares, seed=seed)
    assert [row.model_copy(update={"split": ""}) for row in divided] == rows
    assert {row.split for row in divided} == set(shares)
    assert len({(row.group, row.split) for row in divided}) == len(set(groups))
    assert divided == split_by_group(rows, shares, seed=seed)


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=60, max_size=120),
    parts=st.lists(st.integers(1, 5), min_size=2, max_size=4),
)
def test_splits_come_near_to_their_shares(sizes, parts):
    rows = rows_of([f"g{n}" for n, size in enumerate(sizes) for _ in range(size)])
    shares = {f"s{n}": part / sum(parts) for n, part in enumerate(parts)}
    found = Counter(row.split for row in split_by_group(rows, shares))
    for name, share in shares.items():
        assert abs(found[name] - share * len(rows)) <= max(sizes) + 1


def test_the_seed_decides_who_goes_where():
    rows = rows_of([f"g{n}" for n in range(40)])
    one, two = (split_by_group(rows, {"a": 0.5, "b": 0.5}, seed=seed) for seed in (0, 1))
    assert one != two


def test_without_a_group_the_source_or_the_file_is_one():
    rows = [Row(path=f"{n}.jpg", sha256=DIGEST, source="s" if n < 5 else "") for n in range(9)]
    divided = split_by_group(rows, {"a": 0.5, "b": 0.5})
    assert len({row.split for row in divided[:5]}) == 1


@pytest.mark.parametrize(
    "shares", [{}, {"a": 0.5}, {"a": 0.7, "b": 0.7}, {"a": 1.5, "b": -0.5}, {"a": 1, "b": 0}]
)
def test_shares_are_positive_and_sum_to_one(shares):
    with pytest.raises(ManifestError, match="sum to 1"):
        split_by_group(rows_of("abcdef"), shares)


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
    assert list(verify_manifest(read_manifest(manifest))) == []


def test_a_moved_album_is_read(album, tmp_path):
    write_manifest(album, tmp_path / "pictures" / "m.jsonl")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    rows = list(read_manifest(tmp_path / "moved" / "m.jsonl"))
    assert list(verify_manifest(rows)) == []


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


def test_verify_finds_changed_and_missing_files(album, tmp_path):
    manifest = tmp_path / "m.jsonl"
    write_manifest(album, manifest)
    (tmp_path / "pictures" / "ü 0.jpg").unlink()
    (tmp_path / "pictures" / "ü 2.jpg").write_bytes(b"edited")
    found = {row.path: problem for row, problem in verify_manifest(read_manifest(manifest))}
    assert set(found) == {album[0].path, album[2].path}
    assert "missing" in found[album[0].path]
    assert "SHA-256 differs" in found[album[2].path]


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
    assert "mend or delete the line" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_manifests(tmp_path):
    with pytest.raises(ManifestError, match="cameraborn data import"):
        list(read_manifest(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n \n")
    with pytest.raises(ManifestError, match="is empty"):
        list(read_manifest(tmp_path / "empty.jsonl"))
