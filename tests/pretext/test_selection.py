"""Which photographs pretext training learns from."""

import pytest

from cameraborn.errors import ManifestError

from .test_train import changed, recipe_of, rows_of, toys  # noqa: F401 (a fixture)


def test_generated_pictures_other_kinds_and_untagged_rows_are_left_out(toys, tmp_path):  # noqa: F811
    def change(row):
        number = int(row.path[-6:-4])
        return {
            0: {"label": "generated"},
            1: {"kind": "screenshot"},
            2: {"exif": {"focal_length_mm": 35.0}},
            3: {"split": "fit"},
        }.get(number, {"kind": "crop"})

    recipe = recipe_of(changed(toys, tmp_path / "m.jsonl", change), data={"kinds": ["crop", ""]})
    train_rows, val_rows = rows_of(recipe)
    assert [int(row.path[-6:-4]) for row in train_rows] == [*range(4, 40)]
    assert len(val_rows) == 16


def test_too_few_photographs(toys):  # noqa: F811
    with pytest.raises(ManifestError, match="40 usable photographs in split 'train', 41 are needed"):
        rows_of(recipe_of(toys, batch_size=41))
    with pytest.raises(ManifestError, match="split 'test'"):
        rows_of(recipe_of(toys, data={"val_split": "test"}))
