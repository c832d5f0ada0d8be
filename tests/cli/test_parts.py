"""A folder of parts: restarted where it stopped, refused where it is another run's; on threads, which start at once."""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from cameraborn.cli.parts import PartsRun, place_of
from cameraborn.detect.detector import Detector
from cameraborn.detect.score import ScoreOptions
from cameraborn.errors import JournalError, OverwriteError
from cameraborn.library import load

from ..command import ENVIRONMENT, EXAMPLES, rows_of, run_here
from ..conftest import varied_copies


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts") / "album"
    varied_copies(folder, 7, seed=5)
    (folder / "004.jpg").write_bytes(b"no picture")
    (folder / "005.jpg").write_bytes((EXAMPLES / "photo-1.jpg").read_bytes()[:900])
    return [*sorted(map(str, folder.iterdir())), str(folder / "missing.jpg")]


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return load(tiny_bundle)


@pytest.fixture(scope="module")
def expected(pictures, tiny_bundle, tmp_path_factory):
    """What `score` writes."""
    folder = tmp_path_factory.mktemp("expected")
    code, out, _ = run_here("score", *pictures, "--bundle", tiny_bundle, "--format", "jsonl", cwd=folder)
    assert code == 4
    return out


def scored(detector, folder, inputs, *, resume=False, overwrite=False, jobs=1, size=3, **settings):
    settings = {"options": ScoreOptions(), "format": "jsonl", "part_size": size} | settings
    run = PartsRun(detector, folder=str(folder), **settings)
    run.begin(resume=resume, overwrite=overwrite)
    return run.score(inputs, jobs, 2, lambda done: None)


def rows_in(folder):
    return "".join(path.read_text(encoding="utf-8") for path in sorted((folder / "rows").iterdir()))


def test_rows_are_those_of_score(detector, pictures, expected, tmp_path):
    tally = scored(detector, tmp_path / "out", pictures)
    assert rows_in(tmp_path / "out") == expected
    assert (tally.pictures, tally.read) == (8, 5)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [part["inputs"] for part in manifest["parts"]] == [3, 3, 2]
    assert manifest["rows"] == len(rows_of(expected))
    assert manifest["inputs"] == 8
    assert {row["path"] for row in rows_of(expected)} == {
        *pictures
    }  # a row at least for each, also unreadable ones


def test_the_manifest_knows_what_is_in_the_parts(detector, pictures, tmp_path):
    scored(detector, tmp_path, pictures)
    for part in json.loads((tmp_path / "manifest.json").read_text())["parts"]:
        data = (tmp_path / part["name"]).read_bytes()
        assert part["sha256"] == sha256(data).hexdigest()
        assert part["rows"] == len(data.splitlines())


def test_parquet_holds_the_same(detector, pictures, expected, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pip install 'cameraborn[cluster]'")
    scored(detector, tmp_path, pictures, format="parquet")
    nothing = dict.fromkeys(detector.channels)
    assert parquet.read_table(tmp_path / "rows").to_pylist() == [
        row | {"evidence": row["evidence"] or nothing} for row in rows_of(expected)
    ]


def test_what_is_done_is_not_done_again(detector, pictures, expected, tmp_path):
    def broken():
        yield from pictures[:6]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(detector, tmp_path, broken())
    assert [path.name for path in sorted((tmp_path / "done").iterdir())] == [
        "part-00000000.json",
        "part-00000001.json",
    ]
    assert not (tmp_path / "manifest.json").exists()
    (tmp_path / "rows" / "part-00000002.12-34.part.jsonl").write_bytes(b"killed while it was written")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").glob("*[0-9].jsonl")}
    with pytest.raises(JournalError, match="holds a run already: go on with --resume, or start again with"):
        scored(detector, tmp_path, pictures)
    scored(detector, tmp_path, pictures, resume=True, size=None)  # which the run remembers
    assert rows_in(tmp_path) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(json.loads((tmp_path / "manifest.json").read_text())["parts"]) == 3


def test_parts_whose_inputs_have_changed_are_done_again(detector, pictures, tmp_path):
    copies = [shutil.copy(path, tmp_path / f"{number}.jpg") for number, path in enumerate(pictures[:4])]
    names = list(map(str, copies))
    out = tmp_path / "out"
    scored(detector, out, names, size=1)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "done").iterdir()}
    shutil.copy(pictures[4], copies[1])
    scored(detector, out, names[:3], size=1, resume=True)  # one input is not asked for any more
    after = {path.name: path.stat().st_mtime_ns for path in (out / "done").iterdir()}
    assert [name for name in sorted(before) if before[name] == after.get(name)] == [
        "part-00000000.json",
        "part-00000002.json",
    ]
    assert len(after) == len(list((out / "rows").iterdir())) == 3
    assert "no picture" not in rows_in(out)
    assert [row["scope"] for row in rows_of(rows_in(out))].count("unreadable") == 1


def test_a_part_without_its_rows_is_done_again(detector, pictures, expected, tmp_path):
    scored(detector, tmp_path, pictures)
    (tmp_path / "rows" / "part-00000001.jsonl").unlink()
    scored(detector, tmp_path, pictures, resume=True)
    assert rows_in(tmp_path) == expected


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"options": ScoreOptions(false_alarm=0.1)}, "another false_alarm: give"),
        ({"options": ScoreOptions(whole_image=True)}, "another whole_image: give"),
        ({"format": "parquet"}, "another parts: give"),
        ({"size": 2}, "another part_size: give"),
    ],
)
def test_a_folder_of_another_run_is_refused(detector, pictures, tmp_path, other, named):
    scored(detector, tmp_path, pictures[:1])
    with pytest.raises(JournalError, match=named):
        scored(detector, tmp_path, pictures[:1], resume=True, **other)


def test_a_folder_of_another_bundle_is_refused(detector, pictures, tmp_path):
    other = Detector(detector.bundle.with_info(name="other"))
    scored(detector, tmp_path, pictures[:1])
    with pytest.raises(JournalError, match="holds a run with another bundle: give the same options"):
        scored(other, tmp_path, pictures[:1], resume=True)
    scored(other, tmp_path, pictures[:1], overwrite=True)
    assert [row["bundle"] for row in rows_of(rows_in(tmp_path))] == ["other"]


def test_foreign_files_are_refused(detector, pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OverwriteError, match="holds other files: give a new or empty folder"):
        scored(detector, tmp_path, pictures, overwrite=True)
    (tmp_path / "notes.txt").rename(tmp_path / "run.json")
    with pytest.raises(JournalError, match=r"run.json: not what a run of score writes"):
        scored(detector, tmp_path, pictures, resume=True)


def test_parts_of_a_small_set_keep_all_workers_at_work(detector, pictures, tmp_path):
    scored(detector, tmp_path, pictures, size=None)
    assert len(json.loads((tmp_path / "manifest.json").read_text())["parts"]) == 8


@pytest.mark.parametrize(
    ("given", "place"),
    [("s3:/bucket/x", "s3://bucket/x"), ("s3://bucket/x", "s3://bucket/x"), ("/a/b:/c", "/a/b:/c")],
)
def test_addresses_keep_their_two_slashes(given, place):
    assert place_of(Path(given)) == place


def test_options_of_the_other_engine_are_refused(tiny_bundle, tmp_path):
    def refused(*words):
        code, out, error = run_here("score", EXAMPLES, "--bundle", tiny_bundle, *words, cwd=tmp_path)
        assert (code, out) == (2, "")
        return error

    assert "--part-size means nothing without --engine ray" in refused("--part-size", "3")
    assert "--parts means nothing without --engine ray" in refused("--parts", "jsonl")
    assert "--fdr means nothing with --engine ray" in refused("--engine", "ray", "-o", "out", "--fdr", "0.1")
    assert "--format means nothing with" in refused("--engine", "ray", "-o", "out", "--format", "csv")
    assert "--engine ray writes a folder of parts: give it with -o" in refused("--engine", "ray")
    assert f"{tmp_path}: is a directory: name a file for the rows, or give --engine ray" in refused(
        "-o", tmp_path
    )
    assert [*tmp_path.iterdir()] == []


WITHOUT = """
import importlib.util, sys
find_spec = importlib.util.find_spec
hidden = {"ray", "pandas", "pyarrow", "fsspec"}
importlib.util.find_spec = lambda name, *more: None if name in hidden else find_spec(name, *more)
from cameraborn.cli import main
main()
"""


@pytest.mark.parametrize("verb", ["score", "fit", "calibrate"])
def test_without_the_extra_it_is_named(verb, tiny_bundle, tmp_path):
    words = [verb, EXAMPLES, "--engine", "ray", "-o", tmp_path / "out", "--bundle", tiny_bundle]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 2
    missing = "ray, pandas, pyarrow, fsspec"
    assert done.stderr == f"cameraborn: --engine ray needs {missing}: pip install 'cameraborn[cluster]'\n"
    assert [*tmp_path.iterdir()] == []
