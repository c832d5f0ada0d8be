"""Options: those that contradict are refused, defaults come from files and the environment, lists come in any shape."""

import json
import shutil
from typing import get_type_hints

import pytest
import typer

from cameraborn.cli import app
from cameraborn.cli.common import VERBS
from tests.command import EXAMPLES, posix, run, run_here

PHOTO = EXAMPLES / "photo-1.jpg"

REFUSED = [
    (["score", "a", "-o", "1.csv", "-o", "2.csv"], "--output is given more than once: give it once"),
    (["data", "stats", "a.jsonl", "--output", "a", "-o", "b"], "--output is given more than once"),
    (["score", "a", "--false-alarm", "0.1", "--false-alarm=0.2"], "--false-alarm is given more than once"),
    (["score", "a", "--format", "csv", "--format", "csv"], "--format is given more than once"),
    (["fit", PHOTO, "-o", "b", "--name", "a", "--name", "b"], "--name is given more than once"),
    (["merge", "a", "b", "-o", "c", "--name", "a", "--name", "b"], "--name is given more than once"),
    (["--config", "a.toml", "--config", "b.toml", "score", "a"], "--config is given more than once"),
    (["score", "a", "--fdr", "0.1", "--false-alarm", "0.1"], "--fdr and --false-alarm contradict"),
    (["score", "a", "--resume"], "--resume means nothing without -o"),
    (["score", "a", "--overwrite"], "--overwrite means nothing without -o"),
    (["score", "a", "-0"], "--null means nothing without -"),
    (["score", "a", "-o", "rows.csv", "--format", "json"], "ends as csv does, and --format says json"),
    (["score", "a", "-o", "rows.ndjson", "--format", "json"], "ends as jsonl does, and --format says json"),
    (["score", "a", "-o", "rows.tsv"], ".tsv is not written: end it in .csv, .json, .jsonl or .txt"),
    (["score", "a", "-o", "rows.XLSX", "--format", "csv"], ".xlsx is not written"),
    (["score", "a", "-o", "/dev/null", "--resume"], "only rows that go into a file are kept"),
    (["score", "a", "-o", "rows.csv", "--resume", "--overwrite"], "--resume and --overwrite contradict"),
    (["score", "a", "-o", "folder", "--engine", "ray", "--overwrite", "--resume"], "contradict each other"),
    (["provenance", "a", "-o", "rows.json", "--format", "csv"], "ends as json does, and --format says csv"),
    (["provenance", "a", "-o", "rows.tsv"], ".tsv is not written"),
    (
        ["explain", PHOTO, "-o", "b.png", "--face", "1", "--whole-image"],
        "--face and --whole-image contradict",
    ),
    (["fit", PHOTO, "-o", "b", "--whole-image", "--faceless"], "--whole-image and --faceless contradict"),
    (["fit", PHOTO, "-o", "b", "--copies", "0", "--operations"], "--operations means nothing without copies"),
    (["fit", PHOTO, "-o", "b", "--split", "train"], "--split means nothing without a manifest"),
    (["fit-binary", PHOTO, "--generated", PHOTO, "-o", "b", "--generated-kind", "x"], "without a manifest"),
    (["calibrate", PHOTO, "--bundle", "b", "--kind", "face"], "--kind means nothing without a manifest"),
    (["audit", "a.jsonl", "--size", "64"], "--size means nothing without --equalise"),
    (["audit", "a.jsonl", "--quality", "80"], "--quality means nothing without --equalise"),
    (["data", "manipulate", "a", "-o", "b", "--kind", "mouth", "--both-eyes"], "without the eye"),
    (
        ["data", "manipulate", "a", "-o", "b", "--kind", "eye", "--vertical-only"],
        "without mouth-vertical or nose",
    ),
    (["data", "reconstruct", "a", "--autoencoders", "c", "-o", "b", "--smallest-side", "600"], "is above"),
    (["data", "import", "folder", "a", "--exif", "c", "-o", "b"], "--exif means nothing to layout folder"),
]


@pytest.mark.parametrize(("command", "says"), REFUSED, ids=lambda value: " ".join(map(str, value))[:60])
def test_what_contradicts_is_refused(tmp_path, command, says):
    code, out, error = run_here(*command, cwd=tmp_path)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert says in error
    assert list(tmp_path.iterdir()) == []


def test_one_letter_says_it_too(tmp_path):
    assert run_here("-V", cwd=tmp_path) == run_here("--version", cwd=tmp_path)
    for verb in ([], ["score"], ["data"], ["data", "import"], ["bench"], ["bench", "run"]):
        assert run_here(*verb, "-h", cwd=tmp_path) == run_here(*verb, "--help", cwd=tmp_path)


def verbs(command, name):
    """Every verb that does something, with its whole name."""
    if not hasattr(command, "commands"):
        yield name, command
    for word, inside in getattr(command, "commands", {}).items():
        yield from verbs(inside, f"{name} {word}")


COMMANDS = dict(verbs(typer.main.get_command(app), "cameraborn"))


OF_NUMBERS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option, kind in get_type_hints(command.callback).items()
    if kind in (float, float | None) and option not in ("false_alarm", "fdr")  # which a bundle checks
]


@pytest.mark.parametrize(("name", "option"), OF_NUMBERS, ids=lambda value: value.split()[-1])
def test_no_option_takes_a_number_that_is_none_or_that_is_endless(tmp_path, name, option):
    spelt = "--" + option.replace("_", "-")
    for number in ("nan", "inf", "-inf"):
        code, out, error = run_here(*name.split()[1:], spelt, number, cwd=tmp_path)
        assert (code, out) == (2, "")
        assert f"Invalid value for '{spelt}'" in error


OF_COUNTS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option, kind in get_type_hints(command.callback).items()
    if kind in (int, int | None, list[int] | None)
]


@pytest.mark.parametrize(("name", "option"), OF_COUNTS, ids=lambda value: value.split()[-1])
def test_no_option_takes_a_number_that_nothing_can_be_made_of(tmp_path, name, option):
    spelt = "--" + option.replace("_", "-")
    for number in ("-1", "99999999999999999999"):
        code, out, error = run_here(*name.split()[1:], spelt, number, cwd=tmp_path)
        assert (code, out) == (2, "")
        assert f"Invalid value for '{spelt}'" in error


def test_a_seed_that_a_file_or_the_environment_sets_has_the_same_range(tmp_path, monkeypatch):
    (tmp_path / "c.toml").write_text("[fit]\nseed = -1\n")
    code, _, error = run_here("--config", "c.toml", "fit", PHOTO, "-o", "b", cwd=tmp_path)
    assert (code, "Invalid value for '--seed'" in error) == (2, True)
    monkeypatch.setenv("CAMERABORN_CALIBRATE_SEED", "4294967296")
    code, _, error = run_here("calibrate", PHOTO, "-o", "b", cwd=tmp_path)
    assert (code, "Invalid value for '--seed'" in error) == (2, True)


@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1", "1e400"])
def test_time_between_frames_is_a_number(tmp_path, seconds):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    code, out, error = run_here("score", "a.jpg", "--every", seconds, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "--every" in error
    for option in ("--false-alarm", "--fdr"):
        assert run_here("score", "a.jpg", option, seconds, cwd=tmp_path)[0] == 2


def test_options_of_videos_say_that_there_was_none(tmp_path):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    code, _, error = run_here("score", "a.jpg", "--every", "1", "--frames", cwd=tmp_path)
    assert code == 0
    assert error.splitlines()[-2:] == [
        "--every did nothing: no video was read",
        "--frames did nothing: no video was read",
    ]
    assert "did nothing" not in run_here("score", "a.jpg", cwd=tmp_path)[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_shows_an_example(name):
    shown = " ".join(COMMANDS[name].get_help(typer.Context(COMMANDS[name], info_name=name)).split())
    _, _, example = shown.partition("Example: ")
    assert f"{name.removesuffix(' run')} " in example, shown


def test_verbs_are_defined_in_the_files_that_are_imported_for_them():
    found = {verb: set() for verb in VERBS}
    for name, command in COMMANDS.items():
        found[name.split()[1]].add(command.callback.__module__.rpartition(".")[2])
    assert found == {verb: set(files) for verb, files in VERBS.items()}


def test_quiet_says_errors_alone(tmp_path):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    code, out, error = run_here("score", "a.jpg", "-q", cwd=tmp_path)
    assert (code, out.count("\n"), error) == (0, 2, "")
    code, _, error = run_here("score", "b.jpg", "--quiet", "--bundle", "nowhere", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert run_here("score", "a.jpg", cwd=tmp_path)[2] != ""  # it does not stay quiet


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    shutil.copy(PHOTO, folder / "a.jpg")
    return folder


def scored(desk, *words, config="", **environment):
    """What `score a.jpg` says with a file of defaults, a rate of false alarms of .001 or .9 among them."""
    (desk / "mine.toml").write_text(config)
    return run_here("--config", "mine.toml", "score", "a.jpg", *words, cwd=desk, **environment)


def test_what_is_typed_goes_before_a_default_that_contradicts_it(desk):
    for given in ({"config": "[score]\nfdr = 0.1\n"}, {"CAMERABORN_SCORE_FDR": "0.1"}):
        code, _, error = scored(desk, **given)
        assert (code, "a false-discovery rate of 0.1" in error) == (0, True), error
        code, _, error = scored(desk, "--false-alarm", "0.02", **given)
        assert (code, "a false-alarm rate of 0.02" in error) == (0, True), error
    code, _, error = scored(desk, "--fdr", "0.2", config="[score]\nfalse-alarm = 0.02\n")
    assert (code, "a false-discovery rate of 0.2" in error) == (0, True), error


def test_two_defaults_that_contradict_are_refused_with_their_places(desk):
    for given, places in (
        (
            {"config": "[score]\nfdr = 0.1\nfalse-alarm = 0.02\n"},
            "fdr in mine.toml and false-alarm in mine.toml",
        ),
        (
            {"config": "[score]\nfalse-alarm = 0.02\n", "CAMERABORN_SCORE_FDR": "0.1"},
            "CAMERABORN_SCORE_FDR and false-alarm in mine.toml",
        ),
    ):
        code, out, error = scored(desk, **given)
        assert (code, out) == (2, "")
        assert error.splitlines()[-1] == f"cameraborn: {places} contradict each other: give one of them"


def test_other_defaults_give_way_too(desk):
    code, _, error = scored(desk, "-o", "rows.csv", config='[score]\nformat = "json"\nresume = true\n')
    assert code == 0, error
    assert (desk / "rows.csv").read_text().startswith("path,")
    code, _, error = scored(desk, config="[score]\nresume = true\n")  # which means nothing without -o
    assert code == 0, error
    (desk / "mine.toml").write_text("[explain]\nface = 7\n[fit]\nfaceless = true\nwhole-image = false\n")
    mine = ("--config", "mine.toml")
    explain = ("explain", "a.jpg", "-o", "why.svg", "--bundle", "nowhere", "--whole-image")
    code, _, error = run_here(*mine, *explain, cwd=desk)
    assert "nowhere: no such bundle" in error
    code, _, error = run_here(*mine, "fit", "a.jpg", "-o", "b", cwd=desk)
    assert "1 photograph is too few" in error  # and nothing that contradicts
    code, _, error = run_here(
        "bench", "none.toml", "--rival", "npr", cwd=desk, CAMERABORN_BENCH_RUN_ENCODER="farl"
    )
    assert "contradict" not in error


def test_a_version_in_the_environment_is_none_of_ours(tmp_path):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    for version in ("1", "1.0"):
        code, out, error = run_here("score", "a.jpg", cwd=tmp_path, CAMERABORN_VERSION=version)
        assert (code, out.count("\n")) == (0, 2), error


def test_a_table_from_windows(tmp_path):
    (tmp_path / "images").mkdir()
    shutil.copy(PHOTO, tmp_path / "images" / "portrait.jpg")
    (tmp_path / "list.csv").write_text("\ufeffPath;LABEL\r\nimages\\portrait.jpg;real\r\n", encoding="utf-8")
    code, _, error = run_here("data", "import", "csv", "list.csv", "-o", "set.jsonl", cwd=tmp_path)
    assert code == 0, error
    assert json.loads((tmp_path / "set.jsonl").read_text())["path"] == "images/portrait.jpg"


@posix
def test_completion_is_offered(tmp_path):
    code, out, _ = run(
        cwd=tmp_path, _CAMERABORN_COMPLETE="complete_bash", COMP_WORDS="cameraborn sc", COMP_CWORD="1"
    )
    assert (code, out.split()) == (0, ["score"])
    assert app.info.name == "cameraborn"
