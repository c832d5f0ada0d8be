"""An audit finds the leak that was planted, finds none where there is none, and is not fooled by groups."""

import numpy as np
import pytest

from cameraborn.data.audit import audit
from cameraborn.data.cue_audit import TOGETHER
from cameraborn.data.manifest import Row
from cameraborn.errors import PictureError

from .sets import LEAKS, Storage, dataset, store, texture


def cue(found, name):
    return next(item for item in found.cues if item.name == name)


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_a_planted_leak_is_found(tmp_path, name):
    found = audit(dataset(tmp_path, generated=LEAKS[name]), jobs=1)
    leak = cue(found, name)
    assert leak.leaks, leak
    assert leak.auc >= 0.75
    assert found.together.leaks
    assert found.cues[0].leaks
    assert found.verdict.startswith(f"{found.cues[0].name} alone tells the labels apart, AUC ")
    assert name in found.verdict
    assert leak.photo != leak.generated
    for other in {"dimensions": ["short side"], "JPEG quality": ["JPEG tables"]}.get(name, []):
        assert cue(found, other).leaks
    if name != "brightness":
        assert any("--equalise" in line for line in found.advice)
    else:
        assert leak.direction == "higher"
        assert any("match the generated pictures in brightness" in line for line in found.advice)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_leak_is_found_where_there_is_none(tmp_path, seed):
    found = audit(dataset(tmp_path, seed=seed), jobs=1)
    assert [item.name for item in found.cues if item.leaks] == []
    assert found.verdict.startswith("No cue tells the labels apart by more than chance.")
    assert not found.together.leaks
    assert found.together.name == TOGETHER
    assert (found.photos, found.generated, found.unreadable, found.smallest_side) == (40, 40, 0, 64)
    assert found.advice == ()
    for item in found.cues:
        assert item.auc is None or item.low <= item.auc <= item.high


def test_a_group_is_one_observation(tmp_path):
    """Each group has its own brightness, drawn by chance: a leak only if its 8 pictures were independent."""
    rng = np.random.default_rng(5)
    rows = []
    for group in range(12):
        label, gain = ("photo", "generated")[group % 2], rng.normal(0 if group % 2 else -8, 15)
        for number in range(8):
            path = store(texture(rng, 64, gain=gain), tmp_path / f"{group}-{number}", "JPEG", quality=85)
            rows.append(Row(path=str(path), sha256="0" * 64, label=label, group=f"camera {group}"))
    grouped = audit(rows, jobs=1)
    alone = audit([row.model_copy(update={"group": ""}) for row in rows], jobs=1)
    assert cue(alone, "brightness").leaks
    assert not cue(grouped, "brightness").leaks
    assert cue(grouped, "brightness").auc == cue(alone, "brightness").auc
    assert not grouped.together.leaks
    assert "a label has only 6 independent pictures or groups" in grouped.notes


def test_a_label_that_is_one_group_is_said_so(tmp_path):
    rows = dataset(tmp_path, count=12, generated=LEAKS["format"])
    rows = [row.model_copy(update={"group": row.label if row.label == "generated" else ""}) for row in rows]
    found = audit(rows, jobs=1)
    assert cue(found, "format").leaks
    assert any("the generated pictures are one group" in note for note in found.notes)


def test_of_one_encoding_the_bytes_lie_in_the_pictures(tmp_path):
    """Nothing is left to equalise when smooth and detailed pictures were stored alike; when they were not, there is."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(30):
        label = ("photo", "generated")[number % 2]
        rough = texture(rng, 64) if number % 2 else rng.integers(0, 256, (64, 64, 3), np.uint8)
        path = store(rough, tmp_path / str(number), "JPEG", quality=85)
        rows.append(Row(path=str(path), sha256="0" * 64, label=label))
    found = audit(rows, jobs=1)
    assert cue(found, "bytes a pixel").leaks
    assert cue(found, "JPEG tables").low == cue(found, "JPEG tables").high == 0.5
    assert not any("--equalise" in line for line in found.advice)
    assert any("in bytes a pixel, sharpness" in line for line in found.advice)


def test_an_audit_is_the_same_again_and_with_many_threads(tmp_path):
    rows = dataset(tmp_path, count=8, generated=Storage(gain=12))
    assert audit(rows, jobs=1) == audit(iter(rows), jobs=3)


@pytest.mark.parametrize("labels", [["photo"], ["generated"]])
def test_one_label_has_nothing_to_give_away(tmp_path, labels):
    rows = [row for row in dataset(tmp_path, count=6) if row.label in labels]
    found = audit(rows, jobs=1)
    assert found.verdict.startswith("There are not two labels to tell apart")
    assert all(item.auc is None for item in (*found.cues, found.together))
    summaries = {getattr(item, labels[0]) for item in found.cues}
    assert "JPEG 100 %" in summaries
    assert found.advice == ()


def test_two_pictures_of_a_label_prove_nothing(tmp_path):
    found = audit(dataset(tmp_path, count=2, generated=LEAKS["format"]), jobs=1)
    assert not any(item.leaks for item in found.cues if item.name != "format")
    assert "a label has only 2 independent pictures or groups" in found.notes


def test_what_cannot_be_read_is_reported_and_left_out(tmp_path):
    rows = dataset(tmp_path, count=3)
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    rows.insert(2, Row(path=str(broken), sha256="0" * 64))
    told = []
    found = audit(rows, jobs=2, report=lambda path, problem: told.append((path, problem)))
    assert [path for path, _ in told] == [row.path for row in rows]
    assert [bool(problem) for _, problem in told] == [False, False, True, False, False, False, False]
    assert (found.photos, found.generated, found.unreadable) == (3, 3, 1)
    with pytest.raises(PictureError, match="not one picture could be read: check"):
        audit(rows[2:3], jobs=1)


def test_copies_across_splits_and_labels_are_found(tmp_path):
    rng = np.random.default_rng(0)
    kept, torn, mislabelled, fine = (texture(rng, 96) for _ in range(4))
    rows = []

    def add(name, pixels, split, label, **options):
        path = store(pixels, tmp_path / name, "JPEG", **options)
        rows.append(Row(path=str(path), sha256="0" * 64, split=split, label=label))

    add("a", kept, "train", "photo", quality=95)
    add("b", kept, "train", "photo", quality=60)  # a copy, but where its original is
    add("c", torn, "train", "photo", quality=95)
    add("d", torn[::2, ::2], "test", "photo", quality=70)
    add("e", mislabelled, "test", "photo", quality=95)
    add("f", mislabelled, "test", "generated", quality=50)
    add("g", fine, "test", "generated", quality=90)
    found = audit(rows, jobs=1)
    assert found.duplicates == 3
    assert [(tuple(path[-1] for path in item.paths), item.splits, item.labels) for item in found.copies] == [
        (("c", "d"), ("test", "train"), ("photo",)),
        (("e", "f"), ("test",), ("generated", "photo")),
    ]
    assert any("into one split" in line for line in found.advice)
    assert any("copies across labels" in line for line in found.advice)
