"""A benchmark replaces nothing in its folder but what benchmarks wrote there."""

import json
import shutil

import pytest

from cameraborn.bench.folder import check_folder, written_by_us
from cameraborn.errors import OverwriteError
from tests.command import pipe, posix, run_here

CARED_FOR = "what somebody cares for"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, album):
    """A folder with a configuration, and the folder `out` of a run."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "bench.toml").write_text(
        'output = "out"\ndetectors = ["sharpness"]\ndraws = 100\n[[sets]]\nname = "mine"\n'
        f"photographs = {{camera = {str(album / 'photos')!r}}}\ngenerated = {{gan = {str(album / 'gan')!r}}}\n"
    )
    code, _, error = run_here("bench", "bench.toml", cwd=folder)
    assert code == 0, error
    return folder


@pytest.fixture
def desk(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "desk")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["report.md", "report.html", "tables/generators.csv", "figures/auc.png"])
def test_a_report_of_others_is_left_alone(desk, name):
    (desk / "out" / name).parent.mkdir(exist_ok=True)
    (desk / "out" / name).write_text(CARED_FOR)
    before = contents(desk)
    code, out, error = run_here("bench", "report", "out", cwd=desk)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"out/{name}: is there already, and not as this command wrote it" in error
    assert contents(desk) == before


def test_a_report_is_written_again_unless_it_was_changed(desk):
    report = desk / "out" / "report.md"
    (desk / "out" / "tables").mkdir()
    (desk / "out" / "tables" / "mine.csv").write_text(CARED_FOR)
    assert run_here("bench", "report", "out", cwd=desk)[0] == 2
    assert run_here("bench", "report", "out", "--overwrite", cwd=desk)[0] == 0
    (desk / "out" / "tables" / "mine.csv").rename(desk / "mine.csv")
    written = report.read_bytes()
    assert run_here("bench", "report", "out", cwd=desk)[0] == 0
    report.write_bytes(written + b"my notes")
    code, _, error = run_here("bench", "report", "out", cwd=desk)
    assert (code, "out/report.md: is there already" in error) == (2, True)
    assert run_here("bench", "report", "out", "--overwrite", cwd=desk)[0] == 0
    assert report.read_bytes() == written
    assert (desk / "mine.csv").read_text() == CARED_FOR
    check_folder(desk / "out")


@pytest.mark.parametrize("name", ["run.json", "scores.csv", "audit.json", "written.json"])
@pytest.mark.parametrize("text", [CARED_FOR, '{"mine": [1]}', "[[1]]"])
def test_a_run_of_others_is_left_alone(desk, name, text):
    (desk / "out" / name).write_text(text)
    before = contents(desk)
    for command in (["bench", "bench.toml"], ["bench", "fig4", "bench.toml", "--overwrite"]):
        code, out, error = run_here(*command, cwd=desk)
        assert (code, out, error.count("\n")) == (2, "", 1), error
        assert f"out/{name}: no benchmark wrote it" in error
        assert contents(desk) == before


def test_nothing_is_left_beside_the_scores_of_others(desk):
    shutil.rmtree(desk / "out")
    (desk / "out").mkdir()
    (desk / "out" / "scores.csv").write_text(CARED_FOR)
    text = (desk / "bench.toml").read_text()
    (desk / "bench.toml").write_text(text.replace("sharpness", "default"))  # which would make features
    before = contents(desk)
    assert run_here("bench", "bench.toml", cwd=desk)[0] == 2
    assert contents(desk) == before


def test_a_folder_is_not_ours_for_its_paper(desk):
    (desk / "out").rename(desk / "gone")
    (desk / "out" / "paper").mkdir(parents=True)
    (desk / "out" / "paper" / "fig4.csv").write_text(CARED_FOR)
    code, _, error = run_here("bench", "bench.toml", cwd=desk)
    assert (code, "out: holds other files" in error) == (2, True)


def test_what_a_run_leaves_is_its_own(measured):
    check_folder(measured / "out")
    check_folder(measured / "new")


def test_only_what_was_written_is_noted(tmp_path):
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "theirs.csv").write_text(CARED_FOR)
    with written_by_us(tmp_path, "paper", overwrite=True):
        (tmp_path / "paper" / "ours.csv").write_text("a")
    assert list(json.loads((tmp_path / "written.json").read_text())) == ["paper/ours.csv"]
    with pytest.raises(OverwriteError, match=r"theirs.csv"), written_by_us(tmp_path, "paper"):
        pass
    (tmp_path / "paper" / "theirs.csv").unlink()
    with written_by_us(tmp_path, "paper"):
        pass


@posix
@pytest.mark.parametrize("name", ["run.json", "scores.csv", "written.json", "features.sqlite"])
def test_a_pipe_in_its_folder_is_refused_unopened(desk, name):
    (desk / "out" / name).unlink(missing_ok=True)
    with pipe(desk / "out" / name) as opened:
        for words in (["bench", "bench.toml"], ["bench", "report", "out"]):
            code, _, error = run_here(*words, cwd=desk)
            assert (code, error.count("\n")) == (2, 1), error
            assert f"{name}: a pipe, socket or device" in error
        assert not opened.is_set()
