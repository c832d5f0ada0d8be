"""`cameraborn data` as users meet it: imports of every layout, splits, checks, statistics, and what can go wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES
from tests.command import run_here as run
from tests.data.adapters.helpers import picture


def refused(*args, cwd):
    """The one line with which a command ends."""
    code, out, error = run("data", *args, cwd=cwd)
    assert (code, out, error.count("\n")) == (2, "", 1), (code, out, error)
    return error


def done(*args, cwd):
    code, out, error = run("data", *args, cwd=cwd)
    assert code == 0, error
    return out, error


def rows_of(manifest):
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def album(tmp_path):
    """40 photographs of 8 cameras."""
    for number in range(40):
        folder = tmp_path / "album" / f"camera{number % 8}"
        picture(folder / f"{number}.jpg", iso=100 * (1 + number % 5), make="Canon", shade=number)
    return tmp_path / "album"


def test_faces_of_a_folder(tmp_path):
    (tmp_path / "camera").mkdir()
    faces = [
        np.asarray(Image.open(EXAMPLES / f"photo-{n}.jpg").convert("RGB").resize((320, 320))) for n in (1, 2)
    ]
    Image.fromarray(np.concatenate(faces, axis=1)).save(tmp_path / "camera" / "two.jpg", quality=95)
    picture(tmp_path / "camera" / "nobody.jpg", size=(64, 64))
    (tmp_path / "camera" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    _, error = done(
        "import", "folder", "camera", "--faces", "--group", "photo", "-o", "m.jsonl", cwd=tmp_path
    )
    assert "left out: " in error
    assert "broken.jpg: truncated" in error
    assert "m.jsonl: 2 rows, 1 picture left out, 1 picture without a face" in error
    assert [(row["group"], len(row["landmarks"])) for row in rows_of(tmp_path / "m.jsonl")] == [
        ("two.jpg", 68)
    ] * 2


def test_options_of_layouts(album, tmp_path):
    assert "it is for folder" in refused(
        "import", "rows", "x", "--group", "photo", "-o", "m.jsonl", cwd=tmp_path
    )
    message = refused("import", "folder", "album", "--exif", "table.tsv", "-o", "m.jsonl", cwd=tmp_path)
    assert "--exif means nothing to layout folder: it is for flickr, fdf" in message
    message = refused("import", "flickr", "album", "--exif", "table.tsv", "-o", "m.jsonl", cwd=tmp_path)
    assert "table.tsv: no such file or folder" in message
    assert "no such folder" in refused("import", "folder", "none", "-o", "m.jsonl", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["album"]


def test_what_is_excluded(album, tmp_path):
    done("import", "folder", "album", "album", "--exclude", "9.jpg", "-o", "m.jsonl", cwd=tmp_path)
    assert len(rows_of(tmp_path / "m.jsonl")) == 36
    _, error = done("import", "rows", "m.jsonl", "m.jsonl", "-o", "again.jsonl", cwd=tmp_path)
    assert "again.jsonl: 36 rows, 36 listed twice" in error


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_an_import_that_is_interrupted_goes_on(tmp_path):
    (tmp_path / "album").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "album" / "0.png")
    for number in range(1, 150):
        shutil.copy(tmp_path / "album" / "0.png", tmp_path / "album" / f"{number}.png")
    command = ["data", "import", "folder", "album", "-o", "m.jsonl", "--jobs", "1"]
    journal = tmp_path / "m.jsonl.unfinished"
    process = subprocess.Popen([CAMERABORN, *command], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE)
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > 1000):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    known = len(journal.read_text().splitlines())
    kept = f"m.jsonl.unfinished: {known} pictures are kept: the same command goes on\n"
    assert (process.returncode, error.decode()) == (130, f"{kept}cameraborn: interrupted\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album", "m.jsonl.unfinished"]
    _, error = done(*command[1:], cwd=tmp_path)
    assert f"m.jsonl: 150 rows, {known} pictures known from the import that was interrupted" in error
    assert not journal.exists()


@pytest.mark.parametrize("verb", ["import", "split"])
def test_a_disk_that_fills_up(album, tmp_path, verb):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    before = (tmp_path / "m.jsonl").read_bytes()
    arguments = {
        "import": ["import", "folder", "album", "--group", "photo", "-o", "m.jsonl", "--overwrite"],
        "split": ["split", "m.jsonl", "train=0.5", "val=0.5"],
    }[verb]
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from cameraborn.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "data", *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    *kept, line = ended.stderr.splitlines()
    assert "cannot be written (File too large): free some space" in line
    assert [" pictures are kept: the same command goes on" in one for one in kept] == [True] * (
        verb == "import"
    )
    assert (tmp_path / "m.jsonl").read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()} - {"album", "m.jsonl"}
    assert left == ({"m.jsonl.unfinished"} if verb == "import" else set())


def test_shares_that_cannot_be_met_are_said(album, tmp_path):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    _, error = done("split", "m.jsonl", "train=0.75", "val=0.25", cwd=tmp_path)
    assert error == "train: 30 rows of 6 groups\nval: 10 rows of 2 groups\n"
    _, error = done("split", "m.jsonl", "train=0.9", "val=0.1", cwd=tmp_path)
    assert "val: 5 rows of 1 group, 12% where 10% was asked for: groups stay whole" in error
    homes = {(row["group"], row["split"]) for row in rows_of(tmp_path / "m.jsonl")}
    assert len(homes) == 8


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        (["train"], "train: not a split and its share"),
        (["train=many"], "train=many: not a split and its share"),
        (["=1"], "=1: not a split"),
        (["train=nan"], "not a split"),
        (["train=0", "val=1"], "not a split"),
        (["train=0.5", "train=0.5"], "given twice"),
        (["train=0.5", "val=0.4"], "sum to 1"),
        ([f"s{n}=0.1" for n in range(10)], "8 group(s) cannot be divided into 10 splits"),
    ],
)
def test_shares_that_make_no_sense(album, tmp_path, shares, says):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    before = (tmp_path / "m.jsonl").read_bytes()
    assert says in refused("split", "m.jsonl", *shares, cwd=tmp_path)
    assert (tmp_path / "m.jsonl").read_bytes() == before


@pytest.mark.parametrize("verb", ["split", "stats"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: row: Invalid JSON"),
        (
            '{"path": "a.jpg", "sha256": "%s", "exif": {"iso": "100"}}' % ("0" * 64),
            "iso is '100', which is not a number",
        ),
        ('{"path": "a.jpg"}', "line 2: sha256"),
    ],
)
def test_a_broken_row_is_named(album, tmp_path, verb, line, says):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    (tmp_path / "m.jsonl").write_text("\n".join([lines[0], line, *lines[1:]]))
    shares = ["train=0.5", "val=0.5"] if verb == "split" else []
    assert says in refused(verb, "m.jsonl", *shares, cwd=tmp_path)
    code, out, error = run("data", "verify", "m.jsonl", cwd=tmp_path)
    assert (code, out.count("\n"), error) == (1, 1, "m.jsonl: 1 problems\n")
    assert says in out


@pytest.mark.parametrize("verb", ["split", "stats", "verify"])
def test_no_manifest_and_an_empty_one(tmp_path, verb):
    shares = ["train=1"] if verb == "split" else []
    assert "no such manifest" in refused(verb, "m.jsonl", *shares, cwd=tmp_path)
    (tmp_path / "m.jsonl").write_text("\n")
    assert "the manifest is empty" in refused(verb, "m.jsonl", *shares, cwd=tmp_path)


def test_verify_names_what_is_wrong(album, tmp_path):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    (tmp_path / "m.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")
    (album / "camera1" / "1.jpg").unlink()
    code, out, _ = run("data", "verify", "m.jsonl", cwd=tmp_path)
    assert code == 1
    assert "1.jpg: the file is missing" in out
    assert "line 41: " in out
    assert "listed twice, first in line 1" in out


def test_statistics(album, tmp_path):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    out, error = done("stats", "m.jsonl", "-o", "stats.png", cwd=tmp_path)
    assert error == "stats.png: drawn\n"
    assert out.startswith("40 rows of 8 groups: 0 with a box")
    assert re.search(r"^ +40  photo$", out, re.MULTILINE)
    assert re.search(r"^ +40  Canon$", out, re.MULTILINE)
    assert re.search(r"^ +0.0%  iso$", out, re.MULTILINE)
    assert re.search(r"^ +100.0%  fnumber$", out, re.MULTILINE)
    assert "ISO of 40 photographs: 5% 100, 25% 200, 50% 300, 75% 400, 95% 500" in out
    bars = dict(re.findall(r"^ +(\d+) +(\d+)  #+$", out, re.MULTILINE))
    assert bars == {"100": "8", "200": "8", "400": "24"}  # 300 is nearer to 400, 500 too
    with Image.open(tmp_path / "stats.png") as drawn:
        assert drawn.size == (1500, 975)
    assert "end it in .png, .svg, .pdf" in refused("stats", "m.jsonl", "-o", "stats.txt", cwd=tmp_path)


def test_statistics_without_photographs_or_tags(tmp_path):
    picture(tmp_path / "data" / "sdxl" / "1.png")
    done("import", "tree", "data", "-o", "m.jsonl", cwd=tmp_path)
    out, _ = done("stats", "m.jsonl", "-o", "stats.svg", cwd=tmp_path)
    assert "generated sdxl" in out
    assert "no photographs, so no tags" in out
    assert (tmp_path / "stats.svg").exists()


def test_drawing_without_matplotlib_is_one_line(album, tmp_path):
    done("import", "folder", "album", "-o", "m.jsonl", cwd=tmp_path)
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
        "from cameraborn.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "data", "stats", "m.jsonl", "-o", "s.png"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "cameraborn: drawing needs matplotlib: pip install 'cameraborn[plots]'\n"
