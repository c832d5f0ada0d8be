"""The photographs to learn from are those that were asked for, and no source gives more than its share."""

import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.errors import CalibrationError, ManifestError
from cameraborn.fit.photographs import (
    Photograph,
    cap_per_source,
    find_generated,
    find_photographs,
    subsample,
)
from tests.conftest import EXAMPLES, varied_copies

GENERATED = sorted(EXAMPLES.glob("generated-*.jpg"))


@pytest.mark.parametrize(("count", "every"), [(0, 1), (5, 1), (6, 1), (7, 2), (12, 2), (13, 3)])
def test_some_of_many_are_from_all_through_the_list(count, every):
    photographs = [Photograph(str(n), "") for n in range(count)]
    assert subsample(photographs, 6) == photographs[::every]
    assert len(subsample(photographs, 6)) <= 6


@pytest.fixture
def album(tmp_path):
    """Six photographs in a folder, and a manifest of them."""
    paths = varied_copies(tmp_path / "album", 6, seed=4)
    (tmp_path / "album" / "notes.txt").write_text("no picture")
    rows = [
        Row(
            path=str(path),
            sha256=sha256_of(path),
            split="fit" if n < 4 else "test",
            kind="ab"[n % 2],
            source=f"s{n}",
        )
        for n, path in enumerate(paths)
    ]
    write_manifest(rows, tmp_path / "album.jsonl")
    return tmp_path, paths, rows


def names(photographs):
    return [int(photograph.path[-7:-4]) for photograph in photographs]


def test_photographs_are_found_in_files_folders_and_manifests(album):
    folder, paths, _ = album
    assert names(find_photographs([folder / "album"])) == [0, 1, 2, 3, 4, 5]
    assert [p.source for p in find_photographs([folder])] == [folder.name] * 6
    assert list(find_photographs([paths[2]])) == [Photograph(str(paths[2]), "album")]
    manifest = folder / "album.jsonl"
    assert [p.source for p in find_photographs([manifest])] == [f"s{n}" for n in range(6)]
    assert names(find_photographs([manifest], split="fit")) == [0, 1, 2, 3]
    assert names(find_photographs([manifest], split="fit", kinds=["b"])) == [1, 3]
    assert names(find_photographs([manifest], kinds=["a", "b"])) == [0, 1, 2, 3, 4, 5]
    assert names(find_photographs([manifest, paths[0]], split="test")) == [4, 5, 0]


def test_a_file_of_several_rows_counts_once(album):
    """A manifest with a row a face names a group picture once a face."""
    folder, paths, rows = album
    write_manifest([rows[0], *rows, rows[5]], folder / "faces.jsonl")
    assert names(find_photographs([folder / "faces.jsonl", paths[5]])) == [0, 1, 2, 3, 4, 5]


def test_manipulated_photographs_are_passed_over(album):
    folder, _, rows = album
    changed = [rows[0], *(row.model_copy(update={"manipulation": "eye"}) for row in rows[1:3]), *rows[3:]]
    write_manifest(changed, folder / "manipulated.jsonl")
    assert names(find_photographs([folder / "manipulated.jsonl"], split="fit")) == [0, 3]


def test_generated_pictures_are_refused(album):
    folder, _, rows = album
    rows[5] = rows[5].model_copy(update={"label": "generated"})
    write_manifest(rows, folder / "mixed.jsonl")
    with pytest.raises(CalibrationError, match="labelled generated: a one-class model"):
        list(find_photographs([folder / "mixed.jsonl"]))
    assert names(find_photographs([folder / "mixed.jsonl"], split="fit")) == [0, 1, 2, 3]


def test_missing_paths(tmp_path):
    with pytest.raises(CalibrationError, match="no such file or folder: check the path"):
        list(find_photographs([tmp_path / "none"]))
    with pytest.raises(ManifestError, match="no such manifest"):
        list(find_photographs([tmp_path / "none.jsonl"]))


def test_no_source_gives_more_than_its_share():
    photographs = [Photograph(f"{n}.jpg", "a" if n % 3 else "b") for n in range(12)]
    chosen = [photograph.path for photograph in cap_per_source(photographs, 2)]
    assert chosen == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.fixture
def manifest_of_two_splits(tmp_path):
    file = tmp_path / "one.png"
    Image.new("RGB", (64, 64)).save(file)
    rows = [
        Row(path=str(file), sha256=sha256_of(file), split=split, kind="face") for split in ("train", "val")
    ]
    write_manifest(rows, tmp_path / "m.jsonl")
    return tmp_path / "m.jsonl"


def test_a_split_or_kind_without_photographs_is_named(manifest_of_two_splits):
    with pytest.raises(CalibrationError, match="no photograph of split 'trian': check the path, --split"):
        list(find_photographs([manifest_of_two_splits], split="trian"))
    with pytest.raises(CalibrationError, match="no photograph of kind crop"):
        list(find_photographs([manifest_of_two_splits], kinds=["crop"]))


@pytest.fixture
def manifest_of_generated(tmp_path):
    rows = [
        Row(
            path=str(path),
            sha256=sha256_of(path),
            label="generated",
            generator=f"g{n}",
            kind="ab"[n % 2],
            split="x",
        )
        for n, path in enumerate(GENERATED)
    ]
    photo = EXAMPLES / "photo-1.jpg"
    rows.append(Row(path=str(photo), sha256=sha256_of(photo), kind="a", split="x"))
    write_manifest(rows, tmp_path / "data.jsonl")
    return tmp_path / "data.jsonl"


def test_generated_pictures_are_found(manifest_of_generated):
    found = list(find_generated([manifest_of_generated], split="x", kinds=["a"]))
    assert [photograph.source for photograph in found] == ["g0", "g2"]
    assert len(list(find_generated([manifest_of_generated]))) == 4
    again = find_generated([manifest_of_generated, GENERATED[0], EXAMPLES])
    assert len(list(again)) == 9  # of the folder; each once


@pytest.mark.parametrize("options", [{"split": "y"}, {"kinds": ["c"]}])
def test_an_empty_choice_is_refused(manifest_of_generated, options):
    with pytest.raises(CalibrationError, match="no row labelled generated"):
        list(find_generated([manifest_of_generated], **options))
