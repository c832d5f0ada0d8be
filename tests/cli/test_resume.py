"""A long run that ends early loses nothing, and another goes on where it stopped."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from PIL import Image

from cameraborn.detect.store import write_bundle
from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES, ROOT, posix, run, run_here, wait_until


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Fifteen photographs, a broken one, and one without a face."""
    folder = tmp_path_factory.mktemp("resume") / "album"
    folder.mkdir()
    for number in range(15):
        shutil.copy(EXAMPLES / f"photo-{number % 5 + 1}.jpg", folder / f"{number:02}.jpg")
    (folder / "broken.jpg").write_text("not a picture")
    Image.new("RGB", (300, 300), (90, 120, 200)).save(folder / "sky.png")
    return folder


@pytest.fixture(scope="module")
def whole(album):
    """The rows of a run that nothing interrupts, by options."""
    outputs = {}

    def of(ending, *options):
        if (ending, *options) not in outputs:
            output = album.parent / f"whole{len(outputs)}{ending}"
            code, _, error = run_here("score", "album", "-o", output, *options, cwd=album.parent)
            assert code == 4, error
            outputs[ending, *options] = output.read_bytes()
        return outputs[ending, *options]

    return of


def killed(album, part, sent, *command, lines=3, after=0.0):
    """What a run leaves and says that gets a signal once so many lines are in its journal."""
    process = subprocess.Popen(
        [CAMERABORN, *map(os.fspath, command)], cwd=album.parent, env=ENVIRONMENT, stderr=subprocess.PIPE
    )
    wait_until(
        lambda: process.poll() is not None or (part.exists() and part.read_bytes().count(b"\n") >= lines)
    )
    time.sleep(after)
    process.send_signal(sent)
    _, error = process.communicate(timeout=60)
    return process.returncode, error.decode()


@posix
@pytest.mark.parametrize(
    ("ending", "options"),
    [(".csv", []), (".json", ["--fdr", "0.5"]), (".txt", ["--jobs", "3"])],
    ids=["csv", "fdr", "table"],
)
def test_a_run_that_was_killed_goes_on(album, tmp_path, whole, ending, options):
    output, part = tmp_path / f"rows{ending}", tmp_path / f"rows{ending}.part"
    command = ["score", "album", "-o", output, *options]
    rng = random.Random(ending)
    for _ in range(2):
        code, _ = killed(
            album,
            part,
            signal.SIGKILL,
            *command,
            *(["--resume"] if part.exists() else []),
            after=rng.random(),
        )
        if code == 4 or output.exists():  # it was faster
            break
        assert code == -signal.SIGKILL
        lines = part.read_bytes().splitlines(keepends=True)
        for line in lines[1:-1]:
            json.loads(line.split(b" ", 3)[3])
        part.write_bytes(part.read_bytes() + b"0123456789abcdef 12")  # a line that was cut off
    if not output.exists():
        known = len(part.read_bytes().splitlines()) - 2
        code, _, error = run(*command, "--resume", cwd=album.parent)
        assert code == 4
        assert f"{part}: going on; verdicts on pictures done already: {known}\n" in error
    assert output.read_bytes() == whole(ending, *options)
    if code != -signal.SIGKILL:  # as it may be, between the file's last name and the end of its journal
        assert list(tmp_path.iterdir()) == [output]


@posix
def test_what_is_kept_is_named_and_not_thrown_away(album, tmp_path):
    output, part = tmp_path / "rows.csv", tmp_path / "rows.csv.part"
    command = ["score", "album", "-o", output]
    code, error = killed(album, part, signal.SIGINT, *command)
    assert code == 130
    assert re.search(
        r"rows.csv.part: [1-9][0-9]* verdicts on pictures are kept: the same command with", error
    )
    kept = part.read_bytes()
    code, _, error = run_here(*command, cwd=album.parent)
    assert (code, error.count("\n")) == (2, 1)
    assert "go on with --resume, or start again with --overwrite" in error
    for options, named in (
        (["--false-alarm", "0.1"], "false_alarm"),
        (["--fdr", "0.1"], "fdr"),
        (["--whole-image"], "whole_image"),
        (["--evidence", "photographs"], "evidence"),
    ):
        code, _, error = run_here(*command, "--resume", *options, cwd=album.parent)
        assert (code, error.count("\n")) == (2, 1)
        assert f"of a run with another {named}: give the same options" in error
    assert part.read_bytes() == kept
    code, _, error = run_here("score", "album/00.jpg", "-o", output, "--overwrite", cwd=album.parent)
    assert code == 0, error
    assert list(tmp_path.iterdir()) == [output]


@posix
def test_a_run_that_was_told_to_replace_goes_on_without_being_told_again(album, tmp_path, whole):
    output, part = tmp_path / "rows.csv", tmp_path / "rows.csv.part"
    command = ["score", "album", "-o", output]
    output.write_text("older")
    code, _ = killed(album, part, signal.SIGKILL, *command, "--overwrite")
    assert code == -signal.SIGKILL
    assert output.read_text() == "older"
    output.write_text("changed since")
    code, _, error = run_here(*command, "--resume", cwd=album.parent)
    assert (code, "rows.csv.part: of a run with another output: give the same options" in error) == (2, True)
    assert output.read_text() == "changed since"
    part.unlink()
    code, _, error = run_here(*command, "--resume", cwd=album.parent)
    assert (code, "rows.csv: is there already" in error) == (2, True)
    code, _ = killed(album, part, signal.SIGKILL, *command, "--overwrite")
    assert code == -signal.SIGKILL
    code, _, error = run_here(*command, "--resume", cwd=album.parent)
    assert (code, "verdicts on pictures done already" in error) == (4, True)
    assert output.read_bytes() == whole(".csv")
    assert list(tmp_path.iterdir()) == [output]


@posix
def test_a_run_that_was_told_nothing_replaces_nothing_when_it_goes_on(album, tmp_path):
    output, part = tmp_path / "rows.csv", tmp_path / "rows.csv.part"
    assert killed(album, part, signal.SIGKILL, "score", "album", "-o", output)[0] == -signal.SIGKILL
    output.write_text("somebody's")
    code, _, error = run_here("score", "album", "-o", output, "--resume", cwd=album.parent)
    assert (code, "rows.csv: is there already" in error) == (2, True)
    assert output.read_text() == "somebody's"


def test_of_two_defaults_that_contradict_the_one_that_is_written_holds(album, tmp_path):
    output = tmp_path / "rows.csv"
    output.write_text("older")
    command = ["score", "album/00.jpg", "-o", output]
    defaults = {"CAMERABORN_SCORE_RESUME": "1", "CAMERABORN_SCORE_OVERWRITE": "1"}
    assert run_here(*command, cwd=album.parent, **defaults)[0] == 2  # nothing is lost by going on
    assert run_here(*command, "--overwrite", cwd=album.parent, **defaults)[0] == 0


def test_what_is_not_ours_is_not_taken_for_a_journal(album, tmp_path):
    part = tmp_path / "rows.csv.part"
    part.write_text("what somebody cares for\n")
    for option in ([], ["--resume"], ["--overwrite"]):
        code, _, error = run_here(
            "score", "album/00.jpg", "-o", tmp_path / "rows.csv", *option, cwd=album.parent
        )
        assert (code, error.count("\n")) == (2, 1)
        assert "rows.csv.part" in error
    assert part.read_text() == "what somebody cares for\n"


def test_a_picture_that_changed_is_scored_again(album, tmp_path):
    output = tmp_path / "rows.jsonl"
    (tmp_path / "a.jpg").write_bytes((album / "00.jpg").read_bytes())
    code, _, error = run_here("score", "a.jpg", "-o", output, cwd=tmp_path)
    assert code == 0, error
    assert run_here("score", "a.jpg", "-o", output, "--resume", cwd=tmp_path)[0] == 2  # it is complete
    first = output.read_text()
    output.unlink()
    (tmp_path / "a.jpg").write_bytes((album / "01.jpg").read_bytes())
    assert (
        run_here("score", "a.jpg", "-o", output, "--resume", cwd=tmp_path)[0] == 0
    )  # nothing is kept: from the start
    assert output.read_text() != first


@posix
def test_a_disk_that_fills_up_keeps_what_was_done(album, tmp_path, whole):
    output, part = tmp_path / "rows.csv", tmp_path / "rows.csv.part"
    limited = f"ulimit -f 4; exec {CAMERABORN} score album -o {output}"  # blocks of 512 or 1024 bytes
    done = subprocess.run(["sh", "-c", limited], cwd=album.parent, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 2, done
    assert b"rows.csv.part: cannot be written (File too large): free some space" in done.stderr
    assert part.stat().st_size > 1000
    code, _, error = run_here("score", "album", "-o", output, "--resume", cwd=album.parent)
    assert (code, "verdicts on pictures done already" in error) == (4, True)
    assert output.read_bytes() == whole(".csv")


@posix
@pytest.mark.parametrize("verb", ["score", "fit"])
def test_a_disk_that_is_full_from_the_start_is_named_and_keeps_nothing(album, tmp_path, verb):
    output = tmp_path / ("rows.csv" if verb == "score" else "bundle")
    part = tmp_path / ("rows.csv.part" if verb == "score" else "bundle.views.part")
    more = "--dimensions 1" if verb == "fit" else ""
    limited = f"ulimit -f 0; exec {CAMERABORN} {verb} album -o {output} {more}"
    done = subprocess.run(["sh", "-c", limited], cwd=album.parent, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 2, done
    assert f"{part}: cannot be written (File too large): free some space".encode() in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_empty_is_no_interrupted_run(album, tmp_path):
    """A run was killed before it had written anything."""
    (tmp_path / "rows.csv.part").touch()
    code, _, error = run_here("score", "album/00.jpg", "-o", tmp_path / "rows.csv", cwd=album.parent)
    assert code == 0, error
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory, network_bundle, photographs):
    """What learning needs: a network, photographs, faceless and broken pictures, generated ones."""
    folder = tmp_path_factory.mktemp("studio")
    write_bundle(network_bundle, folder / "network")
    for name, some in photographs.items():
        (folder / name).mkdir()
        for number, photograph in enumerate(some[:24]):
            shutil.copy(photograph.path, folder / name / f"{number:02}.jpg")
        (folder / name / "broken.jpg").write_bytes(b"\xff\xd8\xff")
        Image.new("RGB", (300, 300), (90, 120, 200)).save(folder / name / "sky.png")
    (folder / "made").mkdir()
    for number in range(3):
        shutil.copy(EXAMPLES / f"generated-{number + 1}.jpg", folder / "made")
    code, _, error = run_here("fit", "fit", *SMALL, "--bundle", "network", "-o", "fitted", cwd=folder)
    assert code == 0, error
    return folder


SMALL = ["--dimensions", "4", "--copies", "4", "--jobs", "1"]
LEARNING = {
    "fit": ["fit", "calibration", *SMALL, "--bundle", "network"],
    "fit-binary": [
        "fit-binary",
        "fit",
        "--generated",
        "made",
        *SMALL,
        "--components",
        "1",
        "--bundle",
        "network",
    ],
    "calibrate": ["calibrate", "calibration", "--copies", "1", "--jobs", "1", "--bundle", "fitted"],
}


def instead(command, option, value):
    """A command with another value of an option."""
    place = command.index(option) + 1
    return [*command[:place], value, *command[place + 1 :]]


def files_in(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@posix
@pytest.mark.parametrize("verb", LEARNING)
def test_learning_that_was_killed_goes_on(studio, tmp_path, verb):
    output, part = tmp_path / "made", tmp_path / "made.views.part"
    command = [*LEARNING[verb], "-o", output]
    rng = random.Random(verb)
    for n in range(2):
        code, _ = killed(
            studio / "x", part, signal.SIGKILL, *command, lines=2 + 4 * n, after=rng.random() / 10
        )
        assert code == -signal.SIGKILL
        assert not output.exists()
        part.write_bytes(part.read_bytes() + b"0123456789abcdef 12")  # a line that was cut off
    known = len(part.read_bytes().splitlines()) - 2
    assert known >= 4
    another = instead(command, "--bundle", ROOT / "models" / "default")
    for other, named in (([*command, "--seed", "3"], "seed"), (another, "bundle")):
        code, _, error = run_here(*other, cwd=studio)
        assert (code, error.count("\n")) == (2, 1)
        assert f"of a run with another {named}: give the same options, or --overwrite" in error
    code, _, error = run_here(*command, cwd=studio)
    assert code == 0, error
    assert f"{part}: going on; looks at pictures done already: {known}\n" in error
    assert error.count("left out: ") == 2
    code, _, error = run_here(*LEARNING[verb], "-o", tmp_path / "again" / "made", cwd=studio)
    assert code == 0, error
    assert files_in(output) == files_in(tmp_path / "again" / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "made"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["made"]


@posix
def test_calibrating_in_place_starts_again_if_told(studio, tmp_path):
    shutil.copytree(studio / "fitted", tmp_path / "fitted")
    before = files_in(tmp_path / "fitted")
    part = tmp_path / "fitted.views.part"
    command = ["calibrate", studio / "calibration", "--copies", "1", "--jobs", "1", "--bundle", "fitted"]
    code, error = killed(tmp_path / "x", part, signal.SIGINT, *command)
    assert code == 130
    assert re.search(r"fitted.views.part: [1-9][0-9]* looks at pictures are kept: the same", error)
    assert files_in(tmp_path / "fitted") == before
    code, _, error = run_here(*command, "--seed", "1", cwd=tmp_path)
    assert (code, part.exists()) == (2, True)
    code, _, error = run_here(*command, "--overwrite", cwd=tmp_path)
    assert code == 0, error
    assert "going on" not in error
    assert "calibration.csv" in files_in(tmp_path / "fitted")
    assert [path.name for path in tmp_path.iterdir()] == ["fitted"]
    code, _, error = run_here(*command, cwd=tmp_path)
    assert (code, "fitted: is calibrated already: give -o, or --overwrite" in error) == (2, True)


def test_options_that_change_no_view_may_change_when_a_fit_goes_on(studio, tmp_path):
    command = [*LEARNING["fit"], "-o", tmp_path / "made"]
    code, _, error = run_here(*command, "--components", "20", cwd=studio)
    assert (code, error.count("\n")) == (2, 1)
    assert "26 photographs are too few for 20 Gaussians" in error  # before any was looked at
    few = ("--components", "13", "--covariance", "diag")  # which need 26
    code, _, error = run_here(*command, *few, cwd=studio)
    assert code == 2
    assert "24 photographs are too few for 13 Gaussians" in error
    assert "made.views.part: 25 looks at pictures are kept" in error
    code, _, error = run_here(*command, cwd=studio)
    assert code == 0, error
    assert "looks at pictures done already: 25" in error
    code, _, error = run_here(*command[:-1], tmp_path / "again" / "made", cwd=studio)
    assert code == 0, error
    assert files_in(tmp_path / "made") == files_in(tmp_path / "again" / "made")


def test_too_few_photographs_leave_no_riddle_to_another_verb(studio, tmp_path):
    part = tmp_path / "made.views.part"
    # Of 26 files 24 have a face, and 13 dimensions need 26 photographs.
    too_many = ["--components", "1", "-o", tmp_path / "made"]
    code, _, error = run_here(*instead(LEARNING["fit"], "--dimensions", "13"), *too_many, cwd=studio)
    assert (code, "the same command, also with more photographs, goes on" in error) == (2, True)
    kept = part.read_bytes()
    command = [*LEARNING["calibrate"], "-o", tmp_path / "made"]
    code, _, error = run_here(*command, cwd=studio)
    assert (code, error.count("\n"), part.read_bytes()) == (2, 1, kept)
    assert (
        "made.views.part: kept by 'fit', which did not end: give that command again, or --overwrite" in error
    )
    code, _, error = run_here(*command, "--overwrite", cwd=studio)
    assert code == 0, error
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize("verb", LEARNING)
def test_a_folder_that_is_no_bundle_is_refused_before_the_work(studio, tmp_path, verb):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("what somebody cares for")
    code, _, error = run_here(*LEARNING[verb], "-o", tmp_path / "thesis", "--overwrite", cwd=studio)
    assert (code, error.count("\n")) == (2, 1)  # no photograph was looked at
    assert "thesis: exists and is not a bundle: give another folder" in error
    assert (tmp_path / "thesis" / "one.txt").exists()


@posix
@pytest.mark.parametrize(
    ("command", "product"),
    [
        (["data", "import", "folder", "ALBUM", "--faces", "-o", "faces.jsonl"], "faces.jsonl"),
        (
            ["audit", "set.jsonl", "--equalise", "equal", "-o", "audit.json", "--overwrite"],
            "equal/manifest.jsonl",
        ),
        (["data", "manipulate", "set.jsonl", "-o", "made"], "made/manifest.jsonl"),
        (["bench", "bench.toml"], "bench/scores.csv"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_long_verbs_survive_a_kill(album, tmp_path, command, product):
    run_here("data", "import", "folder", album, "-o", "set.jsonl", cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "set.jsonl").read_text().splitlines()]
    generated = sorted({row["sha256"] for row in rows})[::2]
    rows = [row | ({"label": "generated"} if row["sha256"] in generated else {}) for row in rows]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bench.toml").write_text(
        'output = "bench"\ndetectors = ["sharpness", "brightness"]\ndegradations = ["none", "jpeg:75"]\n'
        '[[sets]]\nname = "a"\nmanifest = "set.jsonl"\n'
    )
    command = [word.replace("ALBUM", str(album)) for word in command]
    rng = random.Random(command[0])
    for _ in range(2):
        process = subprocess.Popen(
            [CAMERABORN, *command], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE
        )
        time.sleep(1 + 3 * rng.random())
        process.kill()
        process.communicate(timeout=60)
        if process.returncode == 0:
            break
    code, _, error = run(*command, cwd=tmp_path)
    finished = process.returncode == 0
    assert code == 0 or (finished and "is there already" in error), error
    made = (tmp_path / product).read_bytes()
    shutil.rmtree(tmp_path / product.split("/")[0], ignore_errors=True)
    (tmp_path / product).unlink(missing_ok=True)
    code, _, error = run_here(*command, cwd=tmp_path)
    assert code == 0, error
    if command[0] == "bench":  # its rows have the time that each took
        made, again = (
            sorted(line.rsplit(b",", 1)[0] for line in data.splitlines())
            for data in (made, (tmp_path / product).read_bytes())
        )
        assert len(made) == len(again)
    else:
        assert made == (tmp_path / product).read_bytes()
    assert not list(tmp_path.rglob("*.part*"))
