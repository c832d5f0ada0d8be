"""Rows of manifests to photographs, fakes and pairs; what may not be learnt from is refused."""

from pathlib import Path

import pytest

from cameraborn.binary.face_rows import face_rows
from cameraborn.data.manifest import read_manifest, write_manifest
from cameraborn.errors import ManifestError

from .made_faces import recipe_of


def test_rows_are_divided(toys):
    train_rows, val_rows = face_rows(recipe_of(toys))
    assert (len(train_rows.photographs), len(train_rows.fakes), len(train_rows.pairs)) == (16, 12, 4)
    assert (len(val_rows.photographs), len(val_rows.fakes), len(val_rows.pairs)) == (8, 6, 2)
    for original, reconstructed in train_rows.pairs:
        assert (original.manipulation, reconstructed.manipulation) == ("", "reconstructed")
        assert original.original == reconstructed.original
        assert Path(original.path).name == Path(reconstructed.path).name
    # What stands beside a reconstruction is in its pair alone.
    assert not {row.path for row in train_rows.photographs} & {one.path for one, _ in train_rows.pairs}


def changed(toys, folder, change, name="pairs.jsonl"):
    rows = [row for row in read_manifest(toys / name) if (new := change(row)) is not None for row in [new]]
    folder.mkdir(exist_ok=True)
    write_manifest(rows, folder / name)
    return folder / name


def test_a_reconstruction_of_a_held_out_photograph_is_refused(toys, tmp_path):
    """Its file is another one, but what calibrates would have been learnt from."""
    kept = next(row for row in read_manifest(toys / "faces.jsonl") if row.split == "val" and row.box)
    pairs = changed(toys, tmp_path, lambda row: row.model_copy(update={"original": kept.sha256}))
    recipe = recipe_of(toys, data={"more_manifests": [str(pairs)]})
    with pytest.raises(
        ManifestError, match=rf"reconstruction of .*{Path(kept.path).name}, which is of split 'val'"
    ):
        face_rows(recipe)


def test_a_reconstruction_without_its_photograph_is_refused(toys, tmp_path):
    pairs = changed(toys, tmp_path, lambda row: row if row.manipulation else None)
    with pytest.raises(ManifestError, match="its photograph is missing"):
        face_rows(recipe_of(toys, data={"more_manifests": [str(pairs)]}))


def test_pairs_are_asked_for(toys):
    data = {"more_manifests": []}
    with pytest.raises(ManifestError, match="cameraborn data reconstruct"):
        face_rows(recipe_of(toys, data=data))
    train_rows, _ = face_rows(recipe_of(toys, data=data, batch={"pairs": 0}))
    assert train_rows.pairs == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": None}, "fewer than 2 usable photographs with a face's box in split 'train'"),
        ({"label": "photo"}, "fewer than 2 usable generated pictures"),
        ({"group": "one"}, "group 'one' is in both splits"),
        ({"research_only": True}, "in split 'train'"),
    ],
)
def test_a_manifest_that_will_not_do(toys, tmp_path, change, message):
    manifest = changed(toys, tmp_path, lambda row: row.model_copy(update=change), "faces.jsonl")
    with pytest.raises(ManifestError, match=message):
        face_rows(recipe_of(toys, data={"manifest": str(manifest)}))
