"""`cameraborn data manipulate`: what it writes, how it goes on after a kill, what it says."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.data.verify import verify_manifest

from .. import command
from ..command import CAMERABORN
from ..conftest import varied_copies


def run(*args, cwd, entry=command.run_here):
    code, out, error = entry("data", "manipulate", *args, cwd=cwd)
    assert out == ""
    return code, error


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A manifest of faces, one file that is no picture and one without a face."""
    folder = tmp_path_factory.mktemp("album")
    paths = varied_copies(folder / "photos", 5, seed=3)
    (folder / "text.jpg").write_text("not a picture", encoding="utf-8")
    Image.new("RGB", (200, 200), "teal").save(folder / "plain.png")
    paths[2:2] = [folder / "text.jpg", folder / "plain.png"]
    write_manifest(
        [Row(path=str(p), sha256=sha256_of(p), source=f"s{n}") for n, p in enumerate(paths)],
        folder / "album.jsonl",
    )
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(album):
    """The folder of a run that nothing interrupted, and what it said."""
    code, error = run("album.jsonl", "-o", "whole", "--jobs", "2", cwd=album)
    assert code == 0
    return album / "whole", error


def test_originals_and_four_variants_with_rows(whole):
    folder, error = whole
    rows = list(read_manifest(folder / "manifest.jsonl"))
    assert [os.path.relpath(row.path, folder) for row in rows[:5]] == [
        "originals/000.png",
        *(f"manipulated/000_{number}.png" for number in range(4)),
    ]
    assert len(rows) == 25
    assert not list(verify_manifest(folder / "manifest.jsonl"))
    assert {row.manipulation for row in rows} == {"", "mouth-vertical", "mouth", "eye", "affine"}
    assert set(contents(folder)) == {
        *(os.path.relpath(row.path, folder) for row in rows),
        "manifest.jsonl",
        "settings.json",
    }
    lines = error.splitlines()
    assert len(lines) == 3
    assert "text.jpg: not a picture" in lines[0]
    assert "plain.png: no face found" in lines[1]
    assert lines[2].endswith("manifest.jsonl: 5 faces; 20 manipulated pictures written")


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(album, whole):
    folder = album / "killed"
    words = [CAMERABORN, "data", "manipulate", "album.jsonl", "-o", "killed", "--jobs", "1"]
    process = subprocess.Popen(words, cwd=album, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (folder / "originals" / "003.png").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    if process.wait() == -signal.SIGKILL:  # else it was faster than we
        assert not (folder / "manifest.jsonl").exists()
    code, error = run("album.jsonl", "-o", "killed", cwd=album, entry=command.run)
    assert code == 0
    assert "killed: going on; faces done already: " in error
    assert contents(folder) == contents(whole[0])


def test_other_options_need_another_folder(album, whole):
    code, error = run("album.jsonl", "-o", "whole", "--no-match-resampling", cwd=album)
    assert (code, error.count("\n")) == (2, 1)
    assert "settings.json: this folder was filled with other options" in error


def test_originals_stay_as_they_are_if_asked(album):
    code, _ = run("album.jsonl", "-o", "faithful", "--no-match-resampling", "--kind", "nose", cwd=album)
    assert code == 0
    matched, faithful = (
        np.asarray(Image.open(album / name / "originals" / "000.png")) for name in ("whole", "faithful")
    )
    assert (matched != faithful).any()
    assert [path.name for path in sorted((album / "faithful" / "manipulated").iterdir())][:2] == [
        "000_4.png",
        "001_4.png",
    ]


def test_a_preview_alone(album):
    code, error = run("album.jsonl", "--preview", "sheet.png", "--kind", "eye", "--kind", "nose", cwd=album)
    assert code == 0
    assert error.splitlines()[-1] == "sheet.png: 5 faces"
    with Image.open(album / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > sheet.height / 2 > 400


USAGE = [
    (["album.jsonl"], "nothing to write: give -o FOLDER, --preview PNG, or both"),
    (
        ["album.jsonl", "-o", "x", "--kind", "ear"],
        "--kind ear: no manipulation is called 'ear': choose from mouth-vert",
    ),
    (["nowhere.jsonl", "-o", "x"], "nowhere.jsonl: no such manifest"),
    (["broken.jsonl", "-o", "x"], "broken.jsonl, line 2"),
    (["faceless.jsonl", "--preview", "x.png"], "x.png: not written: no face could be read"),
    (["album.jsonl", "--preview", "nowhere/x.png"], "nowhere/x.png: cannot be written (No such file"),
]


@pytest.mark.parametrize(("args", "says"), USAGE)
def test_what_cannot_be_done_exits_with_2_and_writes_nothing(album, args, says):
    lines = (album / "album.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (album / "broken.jsonl").write_text(lines[0] + "{}\n", encoding="utf-8")
    (album / "faceless.jsonl").write_text(lines[3], encoding="utf-8")
    code, error = run(*args, cwd=album)
    assert code == 2
    assert says in error.splitlines()[-1]
    assert not (album / "x").exists()
    assert not (album / "x.png").exists()


def test_a_manifest_without_faces_exits_with_1(album):
    lines = (album / "album.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (album / "faceless.jsonl").write_text(lines[3], encoding="utf-8")
    code, error = run("faceless.jsonl", "-o", "none", cwd=album)
    assert code == 1
    assert error.splitlines()[-1] == "none: no face could be read"
    assert not (album / "none" / "manifest.jsonl").exists()
