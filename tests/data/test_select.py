"""Which rows are meant: every field of a selection by itself, and what must not be on both sides."""

import pytest

from cameraborn.data.manifest import Row, write_manifest
from cameraborn.data.select import (
    Selection,
    check_files,
    check_groups_apart,
    evenly,
    select,
    select_each,
)
from cameraborn.errors import ManifestError

ROWS = [
    {"split": "train", "kind": "face", "group": "a"},
    {"split": "train", "kind": "web-320", "research_only": True, "group": "b"},
    {"split": "val", "kind": "face", "label": "generated", "group": "c"},
    {"split": "val", "kind": "face", "manipulation": "eye", "group": "a"},
    {"split": "", "kind": "", "manipulation": "reconstructed"},
]


@pytest.fixture
def manifest(tmp_path):
    rows = [Row(path=f"{number}.png", sha256=f"{number:064}", **fields) for number, fields in enumerate(ROWS)]
    write_manifest(rows, tmp_path / "m.jsonl")
    return tmp_path / "m.jsonl"


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"split": "train"}, [0, 1]),
        ({"kinds": ("face", "other")}, [0, 2, 3]),
        ({"label": "photo"}, [0, 1, 3, 4]),
        ({"label": "generated"}, [2]),
        ({"manipulations": ("",)}, [0, 1, 2]),
        ({"manipulations": ("", "reconstructed")}, [0, 1, 2, 4]),
        ({"research_only": False}, [0, 2, 3, 4]),
        ({"split": "val", "label": "photo", "kinds": ("face",)}, [3]),
    ],
)
def test_each_field_says_which_rows_are_meant(manifest, fields, numbers):
    assert [int(row.sha256) for row in select(manifest, Selection(**fields))] == numbers


def test_rows_come_one_by_one(manifest):
    """A manifest may be larger than the memory, and a broken row is met when it is reached."""
    with manifest.open("a") as lines:
        lines.write("no row\n")
    rows = select(manifest, Selection())
    assert int(next(rows).sha256) == 0
    with pytest.raises(ManifestError, match="line 6"):
        list(rows)


def test_several_selections_are_read_at_once(manifest):
    train, faces = select_each(manifest, Selection("train"), Selection(kinds=("face",)))
    assert [int(row.sha256) for row in train] == [0, 1]
    assert [int(row.sha256) for row in faces] == [0, 2, 3]


def test_a_manifest_without_splits_is_answered_with_how_to_make_them(manifest):
    write_manifest([row.model_copy(update={"split": ""}) for row in select(manifest, Selection())], manifest)
    for splits, shares in ((("train", "val"), "train=SHARE val=SHARE"), (("a", "a"), "a=SHARE")):
        with pytest.raises(ManifestError) as caught:
            select_each(manifest, *map(Selection, splits))
        divide = f"divide them with 'cameraborn data split {manifest} {shares}'"
        assert caught.value.args[0] == f"{manifest}: no row is in any split: {divide}"
    assert [len(rows) for rows in select_each(manifest, Selection(kinds=("face",)), Selection())] == [3, 5]


def test_a_group_on_both_sides_is_refused(manifest):
    train, val = select_each(manifest, Selection("train"), Selection("val"))
    with pytest.raises(ManifestError, match="group 'a' is in both splits"):
        check_groups_apart(manifest, train, val)
    check_groups_apart(manifest, train[1:], val)
    alone = [row.model_copy(update={"group": ""}) for row in train]
    check_groups_apart(manifest, alone, alone)  # without a group a row shares nothing


def test_missing_files_are_named(manifest):
    rows = list(select(manifest, Selection()))
    (manifest.parent / "0.png").touch()
    with pytest.raises(ManifestError, match=r"4 of 5 pictures are missing, .*1\.png first"):
        check_files(manifest, rows)
    check_files(manifest, rows[:1])


def test_a_limit_takes_rows_from_all_through_the_list(manifest):
    rows = list(select(manifest, Selection()))
    assert [int(row.sha256) for row in evenly(rows, 2)] == [0, 2]
    assert evenly(rows, None) == evenly(rows, 9) == rows


def test_a_selection_says_what_it_means():
    assert (
        str(Selection("train", ("a", "b"), label="photo")) == "labelled photo of split 'train' of kind a, b"
    )
    assert str(Selection()) == ""
