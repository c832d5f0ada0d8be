"""The command line as users meet it.

What depends on a process (exit codes, signals, terminals, pipes, names that are no text) starts the installed entry
point; many cases of one verb call it here, because a start takes a second.
"""

import csv
import fcntl
import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.detect.conformal import benjamini_hochberg
from cameraborn.detect.rows import COLUMNS

from .command import CAMERABORN, ENVIRONMENT, EXAMPLES, posix, rows_of, run, run_here, wait_until


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """One folder with a picture for every scope."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "faces" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "circle").mkdir()
    shutil.copy(EXAMPLES / "photo-1.jpg", folder / "circle" / "a.jpg")
    for name in ("one", "two"):
        (folder / "circle" / name).symlink_to(folder / "circle", target_is_directory=True)
    shutil.copy(EXAMPLES / "photo-2.jpg", folder / "faces" / "b.jpg")
    shutil.copy(EXAMPLES / "photo-1.jpg", folder / "faces" / "a.jpg")
    shutil.copy(EXAMPLES / "photo-3.jpg", folder / "faces" / "deep" / "c.JPG")
    (folder / "faces" / "notes.txt").write_text("not a picture", encoding="utf-8")
    face = Image.open(EXAMPLES / "photo-1.jpg")
    face.resize((80, 80)).save(folder / "small.png")
    face.save(folder / "poor.jpg", quality=1)
    both = Image.new("RGB", (face.width * 2, face.height))
    both.paste(face, (0, 0))
    both.paste(Image.open(EXAMPLES / "photo-2.jpg").resize(face.size), (face.width, 0))
    both.save(folder / "two.png")
    blue = np.tile(np.linspace(100, 255, 400).astype(np.uint8), (400, 1))
    Image.fromarray(np.stack([blue // 3, blue // 2, blue], axis=2)).save(folder / "sky.png")
    (folder / "text.jpg").write_text("not a picture", encoding="utf-8")
    return folder


@pytest.fixture
def score(album, tiny_bundle):
    """Run `score` in the album, with the tiny bundle if no other is named."""

    def score(*args, **more):
        own = () if "--bundle" in args else ("--bundle", tiny_bundle)
        return run_here("score", *own, *args, cwd=album, **more)

    return score


@pytest.fixture
def started(album, tiny_bundle):
    """The same in a process of its own."""
    return lambda *args, **more: run("score", "--bundle", tiny_bundle, *args, cwd=album, **more)


SCOPES = [
    (["faces/a.jpg"], 0, [("faces/a.jpg", "ok")]),
    (["faces"], 0, [("faces/a.jpg", "ok"), ("faces/b.jpg", "ok"), ("faces/deep/c.JPG", "ok")]),
    (["faces/*.jpg"], 0, [("faces/a.jpg", "ok"), ("faces/b.jpg", "ok")]),
    (["faces/*", "--jobs", "3"], 4, None),
    (["**/*.JPG"], 0, [("faces/deep/c.JPG", "ok")]),
    (["circle"], 0, [("circle/a.jpg", "ok")]),
    (["circle/**"], 0, [("circle/a.jpg", "ok")]),
    (["sky.png"], 0, [("sky.png", "no-face")]),
    (["sky.png", "--whole-image"], 0, [("sky.png", "beyond-calibration")]),  # faces were calibrated
    (["small.png"], 0, [("small.png", "too-small")]),
    (["poor.jpg", "--whole-image"], 0, [("poor.jpg", "beyond-calibration")]),
    (["two.png"], 0, [("two.png", "ok"), ("two.png", "ok")]),
    (["nowhere.jpg", "faces/b.jpg"], 4, [("nowhere.jpg", "unreadable"), ("faces/b.jpg", "ok")]),
    (["text.jpg"], 1, [("text.jpg", "unreadable")]),
    (["no[w]here.jpg"], 1, [("no[w]here.jpg", "unreadable")]),
    (["empty"], 1, []),
]


@pytest.mark.parametrize(("args", "code", "expected"), SCOPES, ids=lambda value: str(value)[:40])
def test_every_input_gets_its_rows(score, args, code, expected):
    got, out, error = score(*args, "--format", "jsonl")
    rows = rows_of(out)
    assert got == code, error
    if expected is not None:
        assert [(row["path"], row["scope"]) for row in rows] == expected
    for row in rows:
        assert tuple(row) == COLUMNS
        judged = row["scope"] == "ok"
        assert all((row[name] is not None) == judged for name in ("p_value", "flagged"))
        assert (row["error"] is not None) == (row["scope"] == "unreadable")
        assert (row["width"] is None) == (row["scope"] == "unreadable")


def test_faces_of_one_picture_are_numbered(score):
    _, out, _ = score("two.png", "--format", "jsonl")
    assert [row["face"] for row in rows_of(out)] == [0, 1]


USAGE = [
    (["sky.png", "--false-alarm", "0"], "not between 0 and 1"),
    (["sky.png", "--false-alarm", "1.5"], "not between 0 and 1"),
    (["sky.png", "--false-alarm", "nan"], "not between 0 and 1"),
    (["sky.png", "--false-alarm", "1e-7"], "at least 9999999 calibration photographs"),
    (["sky.png", "--bundle", "nowhere"], "nowhere: no such bundle"),
    (["sky.png", "--bundle", "empty"], "not a bundle"),
    (["sky.png", "--bundle", "sky.png"], "neither a folder nor a zip"),
    (["sky.png", "-o", "nowhere/rows.csv"], "nowhere: no such folder"),
    (["sky.png", "-o", "faces"], "is a directory"),
    (["sky.png", "--false-alarm", "often"], "--false-alarm"),
    (["sky.png", "--format", "xml"], "--format"),
    (["sky.png", "--jobs", "0"], "--jobs"),
    ([], "PATH"),
]


@pytest.mark.parametrize(("args", "says"), USAGE, ids=lambda value: str(value)[:40])
def test_what_cannot_be_done_exits_with_2(score, args, says):
    code, out, error = score(*args)
    assert (code, out) == (2, "")
    assert says in error
    if error.startswith("cameraborn: "):
        assert error.count("\n") == 1
    else:  # the parser's own words, which show the usage first
        assert error.startswith("Usage: ")


def test_damaged_bundle_is_refused_in_one_line(tiny_bundle, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    network = bytearray((broken / "network.onnx").read_bytes())
    network[len(network) // 2] ^= 1
    (broken / "network.onnx").write_bytes(network)
    for verb in (["verify", broken], ["score", EXAMPLES, "--bundle", broken]):
        code, out, error = run(*verb, cwd=tmp_path)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert "network.onnx" in error


def test_a_process_ends_with_the_exit_code(started):
    for args, code in ((["text.jpg"], 1), (["sky.png", "--jobs", "0"], 2), (["nowhere.jpg", "sky.png"], 4)):
        assert started(*args)[0] == code


def test_fail_on_flag(score, started):
    noise = ["faces", "two.png", "--fail-on-flag"]
    code, out, _ = started(*noise, "--false-alarm", "0.99", "--format", "jsonl")
    assert any(row["flagged"] for row in rows_of(out))
    assert code == 3
    assert (
        score("sky.png", "--fail-on-flag", "--false-alarm", "0.99")[0] == 0
    )  # abstained: nothing is accused


def test_explain_draws_one_picture(tiny_bundle, album):
    code, _, error = run_here("explain", "faces/a.jpg", "-o", "why.png", "--bundle", tiny_bundle, cwd=album)
    assert (code, error.strip()) == (0, "why.png: drawn")
    with Image.open(album / "why.png") as drawn:
        assert drawn.width > drawn.height > 500
    (album / "why.png").unlink()
    for picture, why in (("sky.png", "no face"), ("text.jpg", "text.jpg"), ("nowhere.jpg", "nowhere.jpg")):
        code, out, error = run_here("explain", picture, "-o", "why.png", "--bundle", tiny_bundle, cwd=album)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert why in error
    assert not (album / "why.png").exists()


def test_a_false_discovery_rate_is_controlled_over_the_set(score):
    paths = ["faces", "two.png", "nowhere.jpg"]
    code, out, error = score(*paths, "--fdr", "0.9", "--format", "jsonl")
    _, plain, _ = score(*paths, "--format", "jsonl")
    assert code == 4
    assert "false-discovery rate of 0.9" in error
    rows, before = rows_of(out), rows_of(plain)
    decided = {"flagged": None, "verdict": None}
    assert [row | decided for row in rows] == [row | decided for row in before]
    p = [row["p_value"] for row in rows if row["p_value"] is not None]
    expected = [bool(flag) for flag in benjamini_hochberg(p, 0.9)]
    assert [row["flagged"] for row in rows if row["p_value"] is not None] == expected
    code, out, error = score(*paths, "--fdr", "7")
    assert (code, out, error.count("\n")) == (2, "", 1)


def test_a_verdict_by_one_channel_of_evidence(score):
    code, out, error = score("faces/a.jpg", "--evidence", "photographs", "--format", "jsonl")
    assert code == 0, error
    (row,) = rows_of(out)
    assert row["evidence"] == {"photographs": {"surprise": row["score"], "p_value": row["p_value"]}}
    assert row["decided_by"] == ("photographs" if row["p_value"] <= 0.5 else None)  # it raised the score
    (combined,) = rows_of(score("faces/a.jpg", "--format", "jsonl")[1])
    assert combined == row  # of a bundle that has no other channel
    code, out, error = score("faces/a.jpg", "--evidence", "generators")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "choose from photographs" in error


def test_formats_say_the_same_in_the_order_of_the_inputs(score):
    paths = ["two.png", "faces/b.jpg", "nowhere.jpg", "faces/a.jpg", "sky.png"]
    outputs = {
        (format, jobs): score(*paths, "--format", format, "--jobs", jobs)
        for format, jobs in [("jsonl", "1"), ("jsonl", "4"), ("json", "4"), ("csv", "4"), ("table", "4")]
    }
    assert all(code == 4 for code, _, _ in outputs.values())  # one input is unreadable
    rows = rows_of(outputs["jsonl", "1"][1])
    assert [row["path"] for row in rows] == ["two.png", *paths]
    assert outputs["jsonl", "4"] == outputs["jsonl", "1"]
    assert json.loads(outputs["json", "4"][1]) == rows
    table = list(csv.DictReader(io.StringIO(outputs["csv", "4"][1])))
    columns = [*(name for name in COLUMNS if name != "evidence"), "evidence_photographs"]
    assert [list(line) for line in table] == [columns] * len(rows)
    for line, row in zip(table, rows, strict=True):
        assert line["path"] == row["path"]
        assert line["scope"] == row["scope"]
        assert line["verdict"] == row["verdict"]
        assert (float(line["score"]) if line["score"] else None) == row["score"]
        assert {"true": True, "false": False, "": None}[line["flagged"]] is row["flagged"]
        p_value = row["evidence"].get("photographs", {}).get("p_value")
        assert (float(line["evidence_photographs"]) if line["evidence_photographs"] else None) == p_value
        assert ([float(side) for side in line["box"].split()] or None) == row["box"]
    lines = outputs["table", "4"][1].splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[4] == "unreadable          nowhere.jpg: no such file: check the path"
    shown = [line[48:] for line in lines if not line.startswith("unreadable")]
    assert shown == ["path", *(row["path"] for row in rows if not row["error"])]


@posix
def test_list_on_standard_input(started, album):
    names = b"faces/b.jpg\r\n\nfaces/deep\nnot-\xff-text.jpg\n"
    code, out, _ = started("sky.png", "-", "--format", "jsonl", stdin=names)
    assert code == 4
    paths = [os.fsencode(row["path"]) for row in rows_of(out)]
    assert paths == [b"sky.png", b"faces/b.jpg", b"faces/deep/c.JPG", b"not-\xff-text.jpg"]


@posix
@pytest.mark.parametrize("format", ["table", "csv", "json", "jsonl"])
def test_no_file_name_breaks_or_attacks_the_output(started, album, tmp_path, format):
    names = [
        b"line\nbreak.jpg",
        b"\x1b[2J\x07bell.jpg",
        b'quote",comma.jpg',
        b"re\rturn.jpg",
        b"not-\xff-text.jpg",
    ]
    names.append("right\u202eleft-é.jpg".encode())
    for name in names:
        shutil.copy(album / "faces" / "a.jpg", os.fsencode(tmp_path) + b"/" + name)
    names.append(b"missing\n\x1b[31m.jpg")
    code, out, error = started(tmp_path, tmp_path / os.fsdecode(names[-1]), "--format", format)
    assert code == 4, error
    if format == "table":
        assert len(out.splitlines()) == 1 + len(names)
        assert all(c.isprintable() for c in out.replace("\n", ""))
        return
    if format == "csv":  # which is text: a name that is not keeps its place, with the odd byte spelt out
        paths = [
            row["path"].replace("\\udcff", "\udcff") for row in csv.DictReader(io.StringIO(out, newline=""))
        ]
    else:
        paths = [row["path"] for row in (json.loads(out) if format == "json" else rows_of(out))]
    assert sorted(os.fsencode(Path(path).name) for path in paths) == sorted(names)


def test_output_file(score, started, album, tmp_path):
    rows = tmp_path / "rows.csv"
    code, out, error = started("faces", "-o", rows)
    assert (code, out) == (0, "")
    assert error.startswith("3 pictures; 3 faces: ")
    before = rows.read_bytes()
    assert before.startswith(
        b"path,face,box,width,height,score,p_value,flagged,scope,error,bundle,decided_by,face_confidence,notes,"
        b"start_s,end_s,frames,verdict,needed_px,evidence_photographs\n"
    )
    assert score("sky.png", "-o", rows, "--false-alarm", "7")[0] == 2
    assert rows.read_bytes() == before
    assert list(tmp_path.iterdir()) == [rows]


@posix
def test_a_device_is_written_to_and_not_replaced(started, tmp_path):
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    assert started("sky.png", "-o", pipe)[0] == 0
    out, _ = reader.communicate(timeout=10)
    assert [row["scope"] for row in rows_of(out.decode())] == ["no-face"]
    assert pipe.is_fifo()


@pytest.fixture(scope="module")
def many(album, tmp_path_factory):
    """More pictures than can be scored while a test waits."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(3000):
        os.link(album / "faces" / "a.jpg", folder / f"{number:04}.jpg")
    return folder


@posix
@pytest.mark.parametrize(
    ("sent", "code", "said", "jobs"),
    [
        (signal.SIGINT, 130, "interrupted", "1"),
        (signal.SIGINT, 130, "interrupted", "4"),
        (signal.SIGTERM, 143, "terminated", "4"),
    ],
)
def test_interrupt_ends_at_once_and_keeps_what_was_done(many, tiny_bundle, tmp_path, sent, code, said, jobs):
    part = tmp_path / "rows.csv.part"
    command = [
        CAMERABORN,
        "score",
        many,
        "--bundle",
        tiny_bundle,
        "-o",
        tmp_path / "rows.csv",
        "--jobs",
        jobs,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        wait_until(lambda: part.exists() and part.read_bytes().count(b"\n") > 3)
        started = time.monotonic()
        process.send_signal(sent)
        _, error = process.communicate(timeout=30)
    assert time.monotonic() - started < 2
    kept = part.read_bytes().count(b"\n") - 1
    assert (process.returncode, error.decode()) == (
        code,
        f"{part}: {kept} verdicts on pictures are kept: the same command with --resume goes on\n"
        f"cameraborn: {said}\n",
    )
    assert list(tmp_path.iterdir()) == [part]


@posix
def test_reader_that_goes_away_is_no_error(many, tiny_bundle):
    command = [CAMERABORN, "score", many, "--bundle", tiny_bundle, "--format", "csv"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout.readline().startswith(b"path,")
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr.read() == b""


@posix
def test_progress_bar_only_on_a_terminal(started, album, tiny_bundle, tmp_path):
    command = ["score", "faces", "--bundle", tiny_bundle, "--jobs", "1"]
    code, screen = on_terminal([*command, "-o", tmp_path / "rows.csv"], cwd=album)
    assert code == 0
    assert "scoring" in screen
    assert "/3" in screen
    _, _, error = started("faces")
    assert "scoring" not in error
    assert "\x1b" not in error


@posix
@pytest.mark.parametrize("columns", [80, 300])
def test_table_on_a_terminal(album, tiny_bundle, tmp_path, columns):
    deep = tmp_path / ("a" * 40) / ("b" * 40)
    deep.mkdir(parents=True)
    shutil.copy(album / "faces" / "a.jpg", deep / "face.jpg")
    command = ["score", "faces/a.jpg", deep, "--bundle", tiny_bundle, "--false-alarm", "0.99"]
    code, screen = on_terminal(command, cwd=album, columns=columns)
    assert code == 0
    lines = [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).split("\r")[-1]
        for line in screen.replace("\r\n", "\n").split("\n")
    ]
    rows = [line for line in lines if line.rstrip().endswith(".jpg")]
    assert [line.endswith("faces/a.jpg") for line in rows] == [True, False]
    assert rows[1].endswith("/face.jpg")
    assert ("..." in rows[1]) == (columns == 80)
    assert all(len(line) <= columns for line in rows)


def on_terminal(args, cwd, columns=80):
    """Exit code and everything that a terminal of this width is sent."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**ENVIRONMENT, "TERM": "xterm"}
    command = [CAMERABORN, *map(os.fspath, args)]
    with subprocess.Popen(command, cwd=cwd, stdout=there, stderr=there, env=environment) as process:
        os.close(there)
        screen = b""
        while True:
            try:
                data = os.read(here, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not data:
                break
            screen += data
    os.close(here)
    return process.returncode, screen.decode()


def test_a_bundle_of_this_release_needs_no_conversion(tiny_bundle, tmp_path):
    code, out, error = run_here("convert", tiny_bundle, "-o", "new", cwd=tmp_path)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "it needs no conversion" in error
    assert not (tmp_path / "new").exists()


def test_version_and_module(tmp_path):
    code, out, _ = run("--version", cwd=tmp_path)
    assert code == 0
    assert re.fullmatch(r"cameraborn \d+\.\d+\.\d+\n", out)
    module = subprocess.run(
        [sys.executable, "-m", "cameraborn", "--version"], capture_output=True, check=True
    )
    assert module.stdout.decode() == out


def test_import_of_nothing_leaves_an_older_manifest(tmp_path):
    (tmp_path / "empty").mkdir()
    manifest = tmp_path / "data.jsonl"
    manifest.write_text("older\n", encoding="utf-8")
    for layout, says in (("folder", "no picture found"), ("nonsense", "choose from folder, rows")):
        command = ("data", "import", layout, "empty", "-o", manifest, "--overwrite")
        code, _, error = run_here(*command, cwd=tmp_path)
        assert (code, error.count("\n")) == (2, 1)
        assert says in error
    assert manifest.read_text(encoding="utf-8") == "older\n"


RECIPE = """
[data]
manifest = "data.jsonl"
[network]
widths = [4, 8]
features = 8
[pretext]
tasks = { iso = 1.0 }
[optimise]
steps = 3
batch_size = 4
threads = 1
workers = 0
"""


def test_from_photographs_to_a_verdict(tmp_path):
    """Every verb in the order in which a user meets them; those that others test in a process are called here."""
    rng = np.random.default_rng(0)
    for number in range(24):
        folder = tmp_path / "photos" / f"camera{number % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x8827] = 100 + 50 * number  # ISO
        pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", exif=exif, quality=95)
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")

    def go(*args, run=run):
        code, out, error = run(*args, cwd=tmp_path)
        assert code == 0, error
        return out + error

    here = partial(go, run=run_here)

    assert "24 rows" in go("data", "import", "folder", "photos", "-o", "data.jsonl")
    shares = ["train=0.25", "val=0.25", "fit=0.25", "calibration=0.25"]
    assert "train: " in here("data", "split", "data.jsonl", *shares)
    assert "every file" in here("data", "verify", "data.jsonl")
    assert "step 3/3" in go("train", "recipe.toml", "-o", "run")
    here("export", "run", "-o", "network", "--side", "64", "--smallest-side", "64")
    of_network, whole = ["--whole-image", "--bundle", "network"], ["--whole-image", "--bundle", "bundle"]
    fitting = ["--split", "fit", "--dimensions", "2", "-o", "bundle"]
    assert "evidence fitted (photographs)" in go("fit", "data.jsonl", *of_network, *fitting)
    diagonal = ["--covariance", "diag", "--components", "auto", "--shrinkage", "0.2", "--dimensions", "0"]
    code, _, error = run_here(
        "fit", "data.jsonl", *of_network, "--split", "fit", *diagonal, "-o", "diagonal", cwd=tmp_path
    )
    assert (code, "evidence fitted" in error) == (0, True), error
    code, _, error = run_here(
        "fit", "data.jsonl", *of_network, *fitting, "--overwrite", "--components", "all", cwd=tmp_path
    )
    assert code == 2
    assert "neither a number from 1 nor auto" in error

    code, _, error = run_here("calibrate", "data.jsonl", "--split", "fit", *whole, cwd=tmp_path)
    assert code == 2
    assert "already seen" in error
    code, _, error = run_here("score", "photos", *whole, cwd=tmp_path)
    assert code == 2
    assert "run 'cameraborn calibrate' first" in error

    assert "; false-alarm rates from" in go("calibrate", "data.jsonl", "--split", "calibration", *whole)
    assert "whole" in here("verify", "bundle")
    assert "24 pictures" in go("score", "photos", *whole, "--false-alarm", "0.5")

    (tmp_path / "photos" / "camera0" / "0.jpg").write_bytes(b"changed")
    code, out, _ = run_here("data", "verify", "data.jsonl", cwd=tmp_path)
    assert code == 1
    assert "SHA-256" in out


def test_weights_of_others_start_a_training(tmp_path):
    import torch

    from cameraborn.networks.resnet import ResNet

    weights = {
        f"model.visual.{k}": v
        for k, v in ResNet(layers=(1, 1, 1, 1), width=4, features=8).state_dict().items()
    }
    torch.save({"model": weights}, tmp_path / "wrapper.pth")
    code, _, error = run_here("import-checkpoint", "wrapper.pth", "-o", "start.safetensors", cwd=tmp_path)
    assert code == 0, error
    assert "exif-as-language" in error
    assert (tmp_path / "start.safetensors").exists()

    rows = []
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        split, exif = "train" if number < 8 else "val", {"iso": 100.0 + number}
        known = {"split": split, "group": path.name, "exif": exif, "box": (8.0, 8.0, 56.0, 56.0)}
        rows.append(Row(path=str(path), sha256=sha256_of(path), **known))
    write_manifest(rows, tmp_path / "data.jsonl")
    recipe = RECIPE.replace("widths = [4, 8]", 'type = "resnet50"\nlayers = [1, 1, 1, 1]\nwidth = 4')
    recipe = recipe.replace("steps = 3", "epochs = 1") + "[faces]\nsize = 64\n"
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    code, _, error = run_here(
        "train", "recipe.toml", "-o", "run", "--init", "start.safetensors", cwd=tmp_path
    )
    assert code == 0, error
    assert "step 2/2" in error
    code, _, error = run_here("export", "run", "-o", "bundle", cwd=tmp_path)
    assert code == 0, error
    (network,) = json.loads((tmp_path / "bundle" / "bundle.json").read_bytes())["networks"]
    preprocessing = network["preprocessing"]
    assert (preprocessing["input"], preprocessing["sides"], preprocessing["crop_scale"]) == (
        "crop",
        [64],
        1.3,
    )

    code, _, error = run_here("export", "run", "--small", "-o", "small", cwd=tmp_path)
    assert code == 0, error
    (small,) = json.loads((tmp_path / "small" / "bundle.json").read_bytes())["networks"]
    assert (network["weights"], small["weights"]) == (["weights.safetensors"], [])
    sizes = [sum(file.stat().st_size for file in (tmp_path / name).iterdir()) for name in ("bundle", "small")]
    assert sizes[1] < 0.4 * sizes[0]

    code, _, error = run_here("import-checkpoint", "recipe.toml", "-o", "none.safetensors", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert not (tmp_path / "none.safetensors").exists()
    code, _, error = run_here("export", "run", "-o", "other", "--side", "128", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
