"""What is said of the work of a long verb that was interrupted, and that the same command goes on from it."""

import json
import re
import shutil
import signal

import pytest
from PIL import Image

from tests.cli.test_resume import killed
from tests.command import EXAMPLES, ROOT, posix, run, run_here
from tests.pseudo.test_decoders import write_tiny

DEGRADATIONS = ["none", "jpeg:75", "blur:1"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder of small portraits, their manifest, decoders, and a benchmark that takes some seconds."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "album").mkdir()
    for number in range(24):
        with Image.open(EXAMPLES / f"photo-{number % 5 + 1}.jpg") as picture:
            side = 260 + 3 * number
            picture.resize((side, side)).save(folder / "album" / f"{number:02}.jpg")
    code, _, error = run_here("data", "import", "folder", "album", "-o", "set.jsonl", cwd=folder)
    assert code == 0, error
    write_tiny(folder / "decoders")
    (folder / "bench.toml").write_text(
        f'output = "bench"\ndetectors = [{str(ROOT / "models" / "default")!r}]\ndegradations = {DEGRADATIONS}\n'
        '[[sets]]\nname = "a"\nphotographs = { one = "album" }\nlimit = 8\n'
    )
    return folder


TINY = ["--smallest-side", "64", "--largest-side", "96"]
VERBS = {
    "audit": (
        ["audit", "set.jsonl", "-o", "OUT/audit.json"],
        "audit.json.part",
        r"audit\.json\.part: [1-9]\d* measured pictures? (is|are) kept",
    ),
    "import": (
        ["data", "import", "folder", "album", "--faces", "-o", "OUT/faces.jsonl"],
        "faces.jsonl.unfinished",
        r"faces\.jsonl\.unfinished: [1-9]\d* pictures? (is|are) kept",
    ),
    "manipulate": (
        ["data", "manipulate", "set.jsonl", "-o", "OUT"],
        "manifest.jsonl.part",
        r": [1-9]\d* faces? (is|are) kept",
    ),
    "reconstruct": (
        ["data", "reconstruct", "set.jsonl", "--decoders", "decoders", "--copies", "3", "-o", "OUT", *TINY],
        "manifest.jsonl.part",
        r": [1-9]\d* cop(y is|ies are) kept",
    ),
}


@posix
@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_kept_is_said(desk, tmp_path, verb, sent, code, word):
    if verb == "reconstruct" and sent == signal.SIGTERM:
        pytest.skip("it goes the way of manipulate, and torch takes a while")
    command, part, says = VERBS[verb]
    command = [one.replace("OUT", str(tmp_path)) for one in command]
    lines = (
        12 if verb in ("manipulate", "reconstruct") else 3
    )  # the last face is made again, and so not counted
    got, error = killed(desk / "album", tmp_path / part, sent, *command, "--jobs", "1", lines=lines)
    assert got == code, error
    assert error.splitlines()[-1] == f"cameraborn: {word}"
    assert re.search(f"{says}: the same command goes on\n", error), error


@posix
def test_an_audit_that_was_killed_goes_on_and_ends_in_the_same_bytes(desk, tmp_path):
    made, again = tmp_path / "made.json", tmp_path / "again.json"
    part = tmp_path / "made.json.part"
    command = ["audit", "set.jsonl", "-o"]
    code, _ = killed(desk / "album", part, signal.SIGKILL, *command, made, "--jobs", "1", lines=4)
    assert code == -signal.SIGKILL
    assert not made.exists()
    lines = part.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].partition(b"[")[0] + b'["spoilt"]\n'
    part.write_bytes(b"".join(lines) + b"0123456789abcdef 12")
    code, _, error = run_here(*command, made, cwd=desk)
    assert code == 0, error
    assert re.search(r"made\.json\.part: going on; measured pictures done already: [1-9]", error)
    assert run_here(*command, again, cwd=desk)[0] == 0
    assert made.read_bytes() == again.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"made.json", "again.json"}


@posix
@pytest.mark.long
def test_a_reconstruction_that_was_killed_goes_on(desk, tmp_path):
    def command(output):
        return [one.replace("OUT", str(output)) for one in VERBS["reconstruct"][0]]

    made, again = tmp_path / "made", tmp_path / "again"
    part = made / "manifest.jsonl.part"
    code, _ = killed(desk / "album", part, signal.SIGKILL, *command(made), lines=8)
    assert code == -signal.SIGKILL
    assert not (made / "manifest.jsonl").exists()
    part.write_bytes(part.read_bytes() + b'{"path": "originals/cut o')
    code, _, error = run_here(*command(made), cwd=desk)
    assert code == 0, error
    assert re.search(r"made: going on; copies done already: [1-9]", error)
    code, _, error = run_here(*command(again), cwd=desk)
    assert code == 0, error
    files = sorted(path.relative_to(again) for path in again.rglob("*.*"))
    assert sorted(path.relative_to(made) for path in made.rglob("*.*")) == files
    assert all((made / path).read_bytes() == (again / path).read_bytes() for path in files)


@posix
def test_a_benchmark_that_was_killed_says_so_in_its_report(desk, tmp_path):
    shutil.copytree(desk, tmp_path / "desk")
    here, scores = tmp_path / "desk", tmp_path / "desk" / "bench" / "scores.csv"
    command = ["bench", "bench.toml", "--jobs", "1"]
    code, _ = killed(here / "album", scores, signal.SIGKILL, *command, lines=1 + len(DEGRADATIONS))
    assert code == -signal.SIGKILL
    code, error = killed(here / "album", scores, signal.SIGINT, *command, lines=1 + 3 * len(DEGRADATIONS))
    assert code == 130
    assert re.search(r"bench/scores\.csv: [1-9]\d* rows are kept: the same command goes on\n", error), error
    assert not json.loads((here / "bench" / "run.json").read_text())["finished"]
    not_finished = "this run is not finished, and its figures are of the rows that are there"
    code, _, error = run_here("bench", "report", "bench", "--quiet", cwd=here)
    assert (code, error.startswith(f"bench: {not_finished}")) == (0, True), error
    for page in ("report.html", "report.md"):
        assert not_finished[1:] in (here / "bench" / page).read_text()
    code, _, error = run(*command, cwd=here)
    assert code == 0, error
    code, _, error = run_here("bench", "report", "bench", "--quiet", cwd=here)
    assert (code, error) == (0, "")
    assert not_finished[1:] not in (here / "bench" / "report.md").read_text()


def test_a_benchmark_of_before_is_taken_as_finished(desk, tmp_path):
    (tmp_path / "bench.toml").write_text(
        'output = "bench"\ndetectors = ["sharpness"]\n'
        f'[[sets]]\nname = "a"\nphotographs = {{ one = {str(desk / "album")!r} }}\n'
    )
    assert run_here("bench", "bench.toml", cwd=tmp_path)[0] == 0
    record = tmp_path / "bench" / "run.json"
    fields = json.loads(record.read_text())
    assert fields.pop("finished")
    record.write_text(json.dumps(fields))
    code, _, error = run_here("bench", "report", "bench", "--quiet", cwd=tmp_path)
    assert (code, error) == (0, "")
