"""Pipes that a manifest or a configuration names are refused unopened; one that is named itself is read."""

import subprocess

import pytest

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.library import load
from cameraborn.photo.decode import open_listed, open_picture, open_upright
from tests.command import EXAMPLES, pipe, posix, run_here

pytestmark = posix
REFUSED = "pipe.jpg: a pipe, socket or device, which may never end: put a regular file there\n"
SMALL = ("--copies", "0", "--components", "1", "--dimensions", "2")
GENERATED = ("--generated", EXAMPLES / "generated-1.jpg")
BENCH = """
output = "out"
detectors = [{detector}]
degradations = ["none"]
draws = 100
[[sets]]
name = "set"
manifest = "set.jsonl"
"""


@pytest.fixture
def manifest(tmp_path):
    """Two pictures of each label, and before them a photograph that is a pipe."""
    rows = [Row(path=str(tmp_path / "pipe.jpg"), sha256="0" * 64)]
    for label in ("photo", "generated"):
        for path in sorted(EXAMPLES.glob(f"{label}-*.jpg"))[:2]:
            rows.append(Row(path=str(path), sha256=sha256_of(path), label=label, split=label))
    write_manifest(rows, tmp_path / "set.jsonl")
    write_manifest(rows[:3], tmp_path / "photos.jsonl")


@pytest.mark.parametrize(
    ("words", "others"),
    [
        (["audit", "set.jsonl"], "2 photographs, 2 generated, 1 left out"),
        (["audit", "set.jsonl", "--equalise", "copy", "--size", "64"], "copy/manifest.jsonl: 4 "),
        (["data", "manipulate", "photos.jsonl", "-o", "made"], "2 faces"),
        (["fit", "photos.jsonl", *SMALL[:-1], "1"], "evidence fitted (photographs)"),
        (["fit-binary", "photos.jsonl", *GENERATED, *SMALL], "2 photographs"),
        (
            ["calibrate", "photos.jsonl", "--copies", "0"],
            "photo-1.jpg: the network or the evidence has already seen",
        ),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
@pytest.mark.usefixtures("manifest")
def test_other_rows_of_a_manifest_go_on(tmp_path, tiny_bundle, words, others):
    if words[0] in {"fit", "fit-binary", "calibrate"}:
        words = [*words, "--bundle", tiny_bundle, "-o", "made"]
    with pipe(tmp_path / "pipe.jpg") as opened:
        code, out, error = run_here(*words, "--jobs", "1", cwd=tmp_path)
    assert not opened.is_set()
    assert REFUSED in error
    assert others in out + error, (code, out, error)


@pytest.mark.usefixtures("manifest")
def test_other_pictures_of_a_benchmark_go_on(tmp_path):
    (tmp_path / "bench.toml").write_text(BENCH.format(detector='"sharpness"'))
    with pipe(tmp_path / "pipe.jpg") as opened:
        code, _, error = run_here("bench", "run", "bench.toml", "--jobs", "1", cwd=tmp_path)
    assert not opened.is_set()
    assert code == 0
    assert f"\n{REFUSED}" in f"\n{error}"  # the name of the row, not the path of this machine
    assert "4 scored, 1 errors" in error


@pytest.mark.usefixtures("manifest")
def test_a_detector_of_a_benchmark(tmp_path):
    (tmp_path / "bench.toml").write_text(BENCH.format(detector='"bundle.zip"'))
    with pipe(tmp_path / "bundle.zip") as opened:
        code, _, error = run_here("bench", "run", "bench.toml", cwd=tmp_path)
    assert not opened.is_set()
    assert code == 2
    assert error.endswith(
        "bundle.zip: a pipe, socket or device, which may never end: put a regular file there\n"
    )


def test_what_is_named_itself_is_read(tmp_path, tiny_bundle, example_bytes):
    """As `score <(cat a.jpg)`, whose shell names a pipe `/dev/fd/63`."""
    with subprocess.Popen(["cat", EXAMPLES / "photo-1.jpg"], stdout=subprocess.PIPE) as cat:
        code, out, error = run_here(
            "score",
            f"/dev/fd/{cat.stdout.fileno()}",
            "--bundle",
            tiny_bundle,
            "--format",
            "csv",
            cwd=tmp_path,
        )
    assert code == 0, error
    assert out.count("\n") == 2
    with subprocess.Popen(["cat", EXAMPLES / "photo-1.jpg"], stdout=subprocess.PIPE) as cat:
        (verdict,) = load(tiny_bundle).score(f"/dev/fd/{cat.stdout.fileno()}")
    assert verdict.error is None


def test_what_a_list_names_is_not(tmp_path, example_bytes):
    for read in (open_listed, open_upright):
        with (
            pipe(tmp_path / "pipe.jpg") as opened,
            pytest.raises(Exception, match="a pipe, socket or device"),
        ):
            read(tmp_path / "pipe.jpg")
        assert not opened.is_set()
        (tmp_path / "pipe.jpg").unlink()
    (tmp_path / "a.jpg").write_bytes(example_bytes)
    assert open_listed(tmp_path / "a.jpg").sha256 == open_picture(example_bytes).sha256


WAITED_FOR = [  # a command, and the file that it reads besides
    (["import-checkpoint", "weights.safetensors", "--sentences", "pipe", "-o", "out.safetensors"], "pipe"),
    (["serve", "--tokens", "pipe", "--port", "0"], "pipe"),
    (["data", "import", "folder", str(EXAMPLES), "-o", "m.jsonl"], "m.jsonl.unfinished"),
    (["fit", "set.jsonl", "--split", "photo", "-o", "made"], "made.views.part"),
]


@pytest.mark.parametrize(("words", "name"), WAITED_FOR, ids=lambda value: " ".join(value[:2]))
@pytest.mark.usefixtures("manifest")
def test_what_else_a_verb_reads_is_refused_unopened(tmp_path, words, name):
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pipe(tmp_path / name) as opened:
        code, _, error = run_here(*words, cwd=tmp_path)
    assert not opened.is_set()
    assert code != 0
    assert name in error.splitlines()[-1]


def test_defaults_that_nobody_named_are_no_pipe(tmp_path, monkeypatch):
    monkeypatch.setattr("cameraborn.cli.default_config", lambda: tmp_path / "config.toml")
    with pipe(tmp_path / "config.toml") as opened:
        code, _, error = run_here("info", cwd=tmp_path)
    assert not opened.is_set()
    assert code == 2
    assert "config.toml: a pipe, socket or device" in error
