"""A copy with one treatment for all: the planted leak is gone, and nothing is half-written."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.audit import audit
from cameraborn.data.cues import OF_PIXELS
from cameraborn.data.equalise import Treatment, equalise
from cameraborn.data.manifest import Row, read_manifest, sha256_of
from cameraborn.errors import ManifestError, OverwriteError

from .sets import LEAKS, dataset, store


def copy_of(rows, folder, **options):
    equalise(rows, folder, Treatment(**{"size": 48, **options}), jobs=1)
    return list(read_manifest(folder / "manifest.jsonl"))


@pytest.mark.parametrize("name", ["format", "dimensions", "JPEG quality", "EXIF"])
def test_the_planted_leak_is_gone(tmp_path, name):
    rows = dataset(tmp_path / "set", count=30, generated=LEAKS[name])
    before = audit(rows, jobs=1)
    assert name in [cue.name for cue in before.cues if cue.leaks]
    assert before.together.leaks
    after = audit(copy_of(rows, tmp_path / "copy"), jobs=1)
    assert (after.photos, after.generated, after.smallest_side) == (30, 30, 48)
    # Pictures that were larger are smoother now, and smoother ones take fewer bytes: that stays, and is found.
    resized = name == "dimensions"
    assert {cue.name for cue in after.cues if cue.leaks} <= OF_PIXELS | (
        {"bytes a pixel"} if resized else set()
    )
    assert resized or after.together.low <= 0.5 <= after.together.high


def test_rows_keep_what_they_say(tmp_path):
    source = store(np.zeros((100, 60, 3), np.uint8), tmp_path / "a.png", "PNG")
    row = Row(
        path=str(source),
        sha256=sha256_of(source),
        split="test",
        label="generated",
        generator="G",
        source="S",
        group="g",
        kind="k",
        licence="CC0-1.0",
        exif={"make": "Maker"},
        research_only=True,
    )
    (made,) = copy_of([row], tmp_path / "copy")
    changed = {"path", "sha256", "original"}
    assert made.model_dump(exclude=changed) == row.model_dump(exclude=changed)
    assert made.original == row.sha256
    (again,) = copy_of([made], tmp_path / "copy of copy")
    assert again.original == row.sha256
    assert made.sha256 == sha256_of(Path(made.path))
    with Image.open(made.path) as image:
        assert (image.format, image.size) == ("JPEG", (48, 48))
        assert not image.getexif()
        assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("box", "colour", "expected"),
    [
        (None, 2, None),  # the middle
        ((0.0, 12.0, 24.0, 36.0), 1, (0.0, 12.0, 24.0, 36.0)),  # the left end
        ((108.0, 12.0, 132.0, 36.0), 3, (36.0, 12.0, 48.0, 36.0)),  # the right end; half of it is outside
    ],
)
def test_the_square_lies_around_the_face(tmp_path, box, colour, expected):
    stripes = np.zeros((48, 120, 3), np.uint8)
    stripes[:, :48], stripes[:, 48:72], stripes[:, 72:] = 60, 120, 180
    source = store(stripes, tmp_path / "a.png", "PNG")
    (made,) = copy_of([Row(path=str(source), sha256=sha256_of(source), box=box)], tmp_path / "copy")
    assert made.box == (None if expected is None else pytest.approx(expected))
    with Image.open(made.path) as image:
        assert np.asarray(image)[24, 24, 0] == pytest.approx(60 * colour, abs=4)


def test_two_faces_of_one_picture_are_two_pictures(tmp_path):
    source = store(
        np.random.default_rng(0).integers(0, 256, (60, 200, 3), np.uint8), tmp_path / "a.png", "PNG"
    )
    boxes = [(0.0, 0.0, 50.0, 50.0), (150.0, 0.0, 200.0, 50.0)]
    rows = [Row(path=str(source), sha256=sha256_of(source), box=box) for box in boxes]
    one, two = copy_of(rows, tmp_path / "copy")
    assert one.path != two.path
    assert one.sha256 != two.sha256


def test_small_changed_and_missing_pictures_are_left_out(tmp_path):
    rows = dataset(tmp_path / "set", count=4)
    small = store(np.zeros((40, 90, 3), np.uint8), tmp_path / "small.png", "PNG")
    rows[0] = rows[0].model_copy(update={"path": str(tmp_path / "missing.jpg")})
    rows[1] = rows[1].model_copy(update={"sha256": "0" * 64})
    rows[2] = Row(path=str(small), sha256=sha256_of(small))
    told = []
    count = equalise(
        rows, tmp_path / "copy", Treatment(48), jobs=2, report=lambda path, problem: told.append(problem)
    )
    assert count == 5
    assert [problem is not None for problem in told] == [True] * 3 + [False] * 5
    for problem, words in zip(
        told[:3], ("no such file", "SHA-256 differs", "90 x 40 pixels are under 48"), strict=True
    ):
        assert words in problem
        assert "\n" not in problem


def test_an_interrupted_copy_goes_on(tmp_path):
    rows, folder = dataset(tmp_path / "set", count=5), tmp_path / "copy"
    whole = copy_of(rows, tmp_path / "whole")

    def interrupted():
        yield from rows[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        equalise(interrupted(), folder, Treatment(48), jobs=1)
    assert not (folder / "manifest.jsonl").exists()
    assert not list(folder.rglob("*.part"))
    done = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert len(done) == 4
    resumed = copy_of(rows, folder)
    assert [row.sha256 for row in resumed] == [row.sha256 for row in whole]
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    rows = dataset(tmp_path / "set", count=2)
    copy_of(rows, tmp_path / "copy")
    with pytest.raises(ManifestError, match="another size or quality: give another folder"):
        copy_of(rows, tmp_path / "copy", quality=80)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OverwriteError, match="holds other files: give a new or empty folder"):
        copy_of(rows, tmp_path / "mine")
    with pytest.raises(ManifestError, match="no picture is left: choose a smaller --size"):
        copy_of(rows, tmp_path / "large", size=1000)
    assert json.loads((tmp_path / "copy" / "treatment.json").read_text())["size"] == 48
