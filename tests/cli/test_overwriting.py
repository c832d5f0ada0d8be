"""No verb writes over what it reads, whatever it is called, nor over what is there unless it is told to."""

import os
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES, ROOT, posix, rows_of
from tests.command import run_here as run


@pytest.fixture
def desk(tmp_path):
    """Pictures, a manifest of them, and files that somebody cares for."""
    for number in (1, 2):
        shutil.copy(EXAMPLES / f"photo-{number}.jpg", tmp_path / f"{number}.jpg")
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        image.save(tmp_path / "x.png")
    rows = [
        Row(path=str(path), sha256=sha256_of(path), label=label)
        for path, label in ((tmp_path / "1.jpg", "photo"), (tmp_path / "2.jpg", "generated"))
    ]
    write_manifest(rows, tmp_path / "set.jsonl")
    for name in ("notes.txt", "notes.csv", "notes.png", "notes.jsonl", "weights.safetensors"):
        (tmp_path / name).write_text("what somebody cares for")
    for name in ("folder", "run"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("what somebody cares for")
    return tmp_path


@pytest.fixture
def fast(tiny_bundle, monkeypatch):
    """What `explain` uses: the bundle that ships is looked through for long."""
    monkeypatch.setenv("CAMERABORN_EXPLAIN_BUNDLE", str(tiny_bundle))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A command, and the file or folder that is there already.
THERE = [
    (["score", "1.jpg", "-o", "notes.csv"], "notes.csv"),
    (["score", "1.jpg", "-o", "notes.txt"], "notes.txt"),
    (["explain", "x.png", "-o", "notes.png"], "notes.png"),
    (["audit", "set.jsonl", "-o", "notes.txt"], "notes.txt"),
    (["audit", "set.jsonl", "--equalise", "folder"], "folder"),
    (["data", "import", "folder", ".", "-o", "notes.jsonl"], "notes.jsonl"),
    (["data", "stats", "set.jsonl", "-o", "notes.png"], "notes.png"),
    (["data", "manipulate", "set.jsonl", "-o", "folder"], "folder"),
    (["data", "manipulate", "set.jsonl", "--preview", "notes.png"], "notes.png"),
    (["fit", "1.jpg", "-o", "folder"], "folder"),
    (["fit-binary", "1.jpg", "--generated", "2.jpg", "-o", "folder"], "folder"),
    (["calibrate", "1.jpg", "--bundle", ROOT / "models" / "default", "-o", "folder"], "folder"),
    (["convert", ROOT / "models" / "default", "-o", "folder"], "folder"),
    (["export", "run", "-o", "folder"], "folder"),
    (["import-checkpoint", "notes.txt", "-o", "weights.safetensors"], "weights.safetensors"),
    (["weights", "run", "-o", "notes.png"], "notes.png"),
]


@pytest.mark.parametrize(("command", "there"), THERE, ids=lambda value: " ".join(map(str, value))[:50])
def test_what_is_there_is_left_alone(desk, command, there):
    before = contents(desk)
    code, out, error = run(*command, cwd=desk)
    assert (code, out, error.count("\n")) == (2, "", 1), error
    assert there in error
    assert "is there already" in error or "holds other files" in error
    assert contents(desk) == before


# A command that reads something under one name and would write to it under another, even with --overwrite.
READ = [
    ["score", "x.png", "-o", "link.csv"],
    ["score", "x.png", "-o", "hard.csv"],
    ["score", ".", "-o", "hard.csv"],
    ["score", "-", "-o", "hard.csv"],
    ["explain", "x.png", "-o", "x.png"],
    ["explain", "x.png", "-o", "link.png"],
    ["explain", "link.png", "-o", "x.png"],
    ["explain", "x.png", "-o", "hard.png"],
    ["audit", "set.jsonl", "-o", "set.jsonl"],
    ["audit", "set.jsonl", "-o", "first.csv"],
    ["data", "import", "folder", ".", "-o", "first.csv"],
    ["data", "import", "rows", "set.jsonl", "-o", "set.jsonl"],
    ["data", "stats", "set.jsonl", "-o", "manifest.png"],
    ["data", "stats", "set.jsonl", "-o", "first.png"],
    ["data", "manipulate", "set.jsonl", "--preview", "manifest.png"],
    ["data", "manipulate", "set.jsonl", "--preview", "first.png"],
    ["fit", ".", "-o", "bundle", "--bundle", "bundle"],
    ["fit", "bundle", "-o", "bundle"],
    ["calibrate", "bundle", "--bundle", "bundle"],
    ["calibrate", "1.jpg", "--bundle", "bundle", "-o", "bundle"],
    ["convert", "bundle", "-o", "bundle"],
]


@posix
@pytest.mark.parametrize("command", READ, ids=lambda command: " ".join(command))
def test_what_is_read_is_never_replaced(desk, command):
    for name in ("link.csv", "link.png"):
        (desk / name).symlink_to(desk / "x.png")
    for name in ("hard.csv", "hard.png"):
        os.link(desk / "x.png", desk / name)
    os.link(desk / "set.jsonl", desk / "manifest.png")
    for name in ("first.csv", "first.png"):
        os.link(desk / "1.jpg", desk / name)
    shutil.copytree(ROOT / "models" / "default", desk / "bundle")
    shutil.copy(EXAMPLES / "photo-1.jpg", desk / "bundle")
    before = contents(desk)
    more = [] if command == ["calibrate", "bundle", "--bundle", "bundle"] else ["--overwrite"]
    code, out, error = run(*command, *more, cwd=desk, stdin=b"x.png\n")
    assert (code, out) == (2, ""), error
    assert "this command reads it and would write to it" in error
    assert contents(desk) == before


# A command, and the name that its output had until it was complete.
PARTS = [
    (["score", "1.jpg", "-o", "new.csv"], "new.part.csv"),
    (["provenance", "1.jpg", "-o", "new.csv"], "new.part.csv"),
    (["audit", "set.jsonl", "-o", "new.csv"], "new.part.csv"),
    (["explain", "1.jpg", "-o", "new.png"], "new.part.png"),
    (["data", "import", "folder", ".", "-o", "new.jsonl"], "new.part.jsonl"),
    (["data", "stats", "set.jsonl", "-o", "new.png"], "new.part.png"),
]


@posix
@pytest.mark.parametrize(("command", "part"), PARTS, ids=lambda value: str(value)[:30])
def test_no_file_of_others_stands_in_for_one_that_is_written(desk, fast, command, part):
    (desk / part).symlink_to(desk / "notes.txt")
    before = contents(desk)
    code, _, error = run(*command, cwd=desk)
    assert code == 0, error
    after = contents(desk)
    assert set(after) - set(before) == {desk / command[-1]}
    assert {path: after[path] for path in before} == before
    assert (desk / part).is_symlink()


@posix
def test_no_file_of_others_is_taken_for_a_journal(desk):
    for name in ("rows.csv.part", "set.jsonl.unfinished", "bundle.views.part"):
        (desk / name).symlink_to(desk / "notes.txt")
    (desk / "notes.txt").write_text('{"no": "line break"}')
    before = contents(desk)
    for command in (
        ["score", "1.jpg", "-o", "rows.csv", "--resume"],
        ["score", "1.jpg", "-o", "rows.csv", "--overwrite"],
        ["data", "import", "folder", ".", "-o", "set.jsonl", "--overwrite"],
        ["fit", "1.jpg", "-o", "bundle"],
        ["fit", "1.jpg", "-o", "bundle", "--overwrite"],
        ["calibrate", "1.jpg", "-o", "bundle", "--overwrite"],
    ):
        code, _, error = run(*command, cwd=desk)
        assert (code, error.count("\n")) == (2, 1), error
        assert contents(desk) == before


@contextmanager
def read_from(pipe):
    """What comes out of a pipe that is made there; the reader does not wait for a command that never wrote."""
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(pipe.read_bytes)
        finally:
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


# A command that writes to a device or a pipe.
STREAMED = [
    ["score", "1.jpg", "-o", "stream.csv"],
    ["provenance", "1.jpg", "-o", "stream.csv"],
    ["audit", "set.jsonl", "-o", "stream.csv"],
    ["data", "import", "folder", ".", "-o", "stream.jsonl"],
    ["explain", "1.jpg", "-o", "stream.png"],
    ["data", "stats", "set.jsonl", "-o", "stream.png"],
    ["data", "manipulate", "set.jsonl", "--preview", "stream.png"],
]


@posix
@pytest.mark.parametrize("command", STREAMED, ids=lambda command: " ".join(command[:2]))
def test_a_pipe_is_written_into(desk, fast, command):
    with read_from(desk / command[-1]) as read:
        before = sorted(desk.rglob("*"))
        code, _, error = run(*command, cwd=desk)
        assert code == 0, error
        assert read.result()[:4] in (b"path", b"name", b'{"pa', b"\x89PNG")
    assert (desk / command[-1]).is_fifo()
    assert sorted(desk.rglob("*")) == before


@posix
@pytest.mark.parametrize("command", STREAMED, ids=lambda command: " ".join(command[:2]))
def test_a_full_device_is_one_line_and_stays(desk, fast, command):
    full = desk / command[-1]
    try:
        # As Linux's /dev/full, which is not risked here.
        os.mknod(full, stat.S_IFCHR | 0o600, os.makedev(1, 7))
        full.write_bytes(b"")
    except OSError:
        pytest.skip("devices can be made, and opened, by root alone")
    before = sorted(desk.rglob("*"))
    code, _, error = run(*command, cwd=desk)
    assert (code, full.is_char_device()) == (2, True), error
    assert f"{command[-1]}: " in error.splitlines()[-1]
    assert "No space left on device" in error.splitlines()[-1]
    assert sorted(desk.rglob("*")) == before


@posix
def test_rows_in_a_pipe_hold_for_whoever_reads_them(desk):
    for name in ("pictures", "inside"):
        (desk / name).mkdir()
    shutil.copy(desk / "1.jpg", desk / "pictures")
    with read_from(desk / "inside" / "pipe") as read:
        assert run("data", "import", "folder", "pictures", "-o", "inside/pipe", cwd=desk)[0] == 0
        assert [row["path"] for row in rows_of(read.result())] == [str(desk / "pictures" / "1.jpg")]


def test_the_bundle_that_ships_is_not_written_over(desk, tiny_bundle, monkeypatch):
    shipped = shutil.copytree(tiny_bundle, desk / "shipped")
    for room in ("score", "model", "detector"):
        place = f"cameraborn.{'detect' if room == 'detector' else 'cli'}.{room}.default_bundle"
        monkeypatch.setattr(place, lambda: shipped)
    before = contents(shipped)
    commands = [
        ["score", "1.jpg", "-o", "shipped/bundle.json"],
        ["explain", "1.jpg", "-o", "shipped/why.png"],
        ["fit", "1.jpg", "-o", "shipped"],
        ["fit-binary", "1.jpg", "--generated", "2.jpg", "-o", "shipped"],
    ]
    (shipped / "why.png").touch()
    for command in commands:
        code, _, error = run(*command, "--overwrite", cwd=desk)
        assert (code, "this command reads it" in error) == (2, True), (command, error)
    (shipped / "why.png").unlink()
    assert contents(shipped) == before


@posix
def test_a_list_on_standard_input_is_not_replaced(desk):
    (desk / "list.txt").write_text("x.png\n")
    before = contents(desk)
    with (desk / "list.txt").open("rb") as given:
        command = [CAMERABORN, "score", "-", "-o", "list.txt", "--overwrite"]
        done = subprocess.run(command, cwd=desk, stdin=given, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "cameraborn: standard input: this command would write to the file that it comes from"
    )
    assert contents(desk) == before


def test_a_file_of_defaults_is_not_replaced(desk):
    (desk / "mine.toml").write_text("[score]\njobs = 1\n")
    before = contents(desk)
    code, _, error = run(
        "--config", "mine.toml", "score", "1.jpg", "-o", "mine.toml", "--overwrite", cwd=desk
    )
    assert code == 2
    assert "mine.toml: this command reads it and would write to it" in error
    assert contents(desk) == before


def test_a_dash_is_standard_output(desk):
    for command in (["score", "1.jpg"], ["provenance", "1.jpg"], ["audit", "set.jsonl"]):
        code, out, error = run(*command, "-o", "-", cwd=desk)
        assert (code, out) == run(*command, cwd=desk)[:2], error
    assert not (desk / "-").exists()


def test_what_may_be_written_to(desk):
    (desk / "empty.csv").touch()  # as mktemp makes it
    assert run("score", "1.jpg", "-o", "empty.csv", cwd=desk)[0] == 0
    assert (desk / "empty.csv").read_text().startswith("path,")
    code, _, error = run("score", "1.jpg", "-o", "empty.csv", cwd=desk)
    assert code == 2, error
    assert run("score", "1.jpg", "2.jpg", "-o", "empty.csv", "--overwrite", cwd=desk)[0] == 0
    assert (desk / "empty.csv").read_text().count("\n") == 3


def test_a_run_begins_in_a_folder_of_its_own(desk):
    (desk / "recipe.toml").write_text('output = "folder"\ndetectors = ["sharpness"]\n[[sets]]\nname = "a"\n'
                                      'manifest = "set.jsonl"\n')  # fmt: skip
    before = contents(desk)
    for command in (["bench", "recipe.toml"], ["bench", "table1", "recipe.toml"]):
        code, _, error = run(*command, cwd=desk)
        assert (code, error.count("\n")) == (2, 1)
        assert "folder: holds other files" in error
    assert contents(desk) == before


@pytest.mark.parametrize(
    ("command", "led_into"),
    [
        (["score", "1.jpg"], "1.jpg"),
        (["score", "--format", "csv", "."], "2.jpg"),
        (["provenance", "."], "x.png"),
        (["audit", "set.jsonl"], "set.jsonl"),
        (["audit", "set.jsonl"], "1.jpg"),
        (["data", "stats", "set.jsonl"], "set.jsonl"),
    ],
)
def test_what_standard_output_leads_into_is_not_read(desk, command, led_into):
    before = contents(desk)
    with (desk / led_into).open("ab") as out:  # as a shell's >>
        done = subprocess.run(
            [CAMERABORN, *command], cwd=desk, env=ENVIRONMENT, stdout=out, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert f"{led_into}: this command reads it, and standard output leads into it" in done.stderr
    assert contents(desk) == before


def test_standard_output_may_lead_into_a_file_beside_the_pictures(desk):
    shutil.copy(desk / "1.jpg", desk / "folder")
    with (desk / "folder" / "rows.csv").open("wb") as out:
        command = [CAMERABORN, "provenance", "folder", "--format", "csv"]
        done = subprocess.run(command, cwd=desk, env=ENVIRONMENT, stdout=out)
    assert done.returncode == 0
    assert len((desk / "folder" / "rows.csv").read_text().splitlines()) == 2


def test_a_manifest_behind_a_link_is_split_where_it_lies(desk):
    (desk / "link.jsonl").symlink_to(desk / "set.jsonl")
    code, _, error = run("data", "split", "link.jsonl", "train=1", cwd=desk)
    assert code == 0, error
    assert (desk / "link.jsonl").is_symlink()
    assert '"split":"train"' in (desk / "set.jsonl").read_text().replace(" ", "")


def test_a_calibration_that_is_there_stays(desk, tiny_bundle):
    shutil.copytree(tiny_bundle, desk / "mine")
    before = contents(desk)
    code, _, error = run("calibrate", "1.jpg", "--bundle", "mine", cwd=desk)
    assert (code, contents(desk)) == (2, before)
    assert "mine: is calibrated already: give -o, or --overwrite to calibrate it anew" in error
