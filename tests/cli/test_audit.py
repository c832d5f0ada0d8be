"""`cameraborn audit`, as users meet it."""

import csv
import io
import json

import pytest

from cameraborn.data.cues import CATEGORIES, NUMBERS
from cameraborn.data.manifest import Row, write_manifest

from ..command import run, run_here
from ..data.sets import Storage, dataset


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A set whose generated pictures are PNG and larger, with a file that is missing."""
    folder = tmp_path_factory.mktemp("set")
    rows = dataset(folder / "pictures", count=20, generated=Storage(format="PNG", side=96, options={}))
    rows = [row.model_copy(update={"split": "test"}) for row in rows]
    rows.append(Row(path=str(folder / "missing.jpg"), sha256="0" * 64, split="train"))
    write_manifest(rows, folder / "set.jsonl")
    return folder / "set.jsonl"


def test_the_table(manifest, tmp_path):
    code, out, error = run("audit", manifest, "--jobs", "1", cwd=tmp_path)
    assert code == 0, error
    assert error == f"left out: {manifest.parent / 'missing.jpg'}: no such file: check the path\n"
    assert out.startswith("20 photographs, 20 generated, 1 left out\n")
    assert "\nformat alone tells the labels apart, AUC 1.00 (0.9" in out
    assert " to 1.00): photographs JPEG 100 %, generated PNG 100 %." in out
    for name in (*CATEGORIES, *NUMBERS, "all together"):
        assert f"\n{name} " in out
    assert "No near-duplicates across splits or labels." in out
    assert "- Give both labels the same size, filter and encoding: --equalise DIR" in out


def test_csv_and_json(manifest, tmp_path):
    options = ["--split", "test", "--jobs", "1"]
    code, out, error = run_here("audit", manifest, *options, "--format", "csv", cwd=tmp_path)
    assert (code, error) == (0, "")
    table = {row["name"]: row for row in csv.DictReader(io.StringIO(out))}
    assert set(table) == {*CATEGORIES, *NUMBERS, "all together"}
    assert float(table["format"]["auc"]) == 1
    code, out, error = run_here("audit", manifest, *options, "--format", "json", "-o", "a.json", cwd=tmp_path)
    assert (code, out, error) == (0, "", "")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["together"]["auc"] == 1
    assert found["verdict"]
    assert found["unreadable"] == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_the_ending_of_the_output_is_its_format(manifest, tmp_path):
    options = ["--split", "test", "--jobs", "1"]
    for name, begins in (("a.json", "{"), ("a.csv", "name,"), ("a.txt", "20 photographs"), ("a", "20 photo")):
        code, _, error = run_here("audit", manifest, *options, "-o", name, cwd=tmp_path)
        assert code == 0, error
        assert (tmp_path / name).read_text().startswith(begins)
    made = sorted(tmp_path.iterdir())
    for name, format, says in (
        ("b.csv", "json", "ends as csv does, and --format says json"),
        ("b.json", "table", "ends as json does, and --format says table"),
        ("b.tsv", "csv", ".tsv is not written"),
        ("b.jsonl", None, "an audit is one object, no lines"),
    ):
        more = ["--format", format] if format else []
        code, out, error = run_here("audit", manifest, *options, "-o", name, *more, cwd=tmp_path)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert says in error
    assert sorted(tmp_path.iterdir()) == made


def test_equalising(manifest, tmp_path):
    code, _, error = run_here("audit", manifest, "--split", "test", "--equalise", "copy", cwd=tmp_path)
    assert code == 0, error
    assert error.endswith("copy/manifest.jsonl: 40 pictures of 64 x 64\n")
    code, out, error = run_here("audit", "copy/manifest.jsonl", cwd=tmp_path)
    assert (code, error) == (0, "")
    assert "format alone" not in out
    assert run_here("data", "verify", "copy/manifest.jsonl", cwd=tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: no such manifest"),
        (["SET", "--split", "other"], "no row of split 'other': check --split and --kind"),
        (
            ["SET", "--split", "test", "-o", "nowhere/a.txt"],
            "nowhere: no such folder: make it, or give another -o",
        ),
        (["SET", "--format", "xml"], "--format"),
        (["SET", "--split", "test", "--equalise", "copy", "--size", "900"], "copy: no picture is left"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(manifest, tmp_path, args, words):
    code, _, error = run_here("audit", *[manifest if arg == "SET" else arg for arg in args], cwd=tmp_path)
    assert code == 2
    assert words in error
