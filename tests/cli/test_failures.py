"""Whatever the machine lacks: one line, and the exit code that is documented."""

import os
import shutil
import subprocess
import sys

import matplotlib
import pytest

from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES, ROOT, posix, run, run_here
from tests.pseudo.test_decoders import write_tiny

DEFAULT = ROOT / "models" / "default"
# Verbs that write to standard output.
SPEAKING = [
    ["score", "a.jpg"],
    ["verify"],
    ["info"],
    ["audit", "set.jsonl"],
    ["data", "stats", "set.jsonl"],
    ["--help"],
    ["--version"],
    ["bench", "run", "-h"],
]
full_disk = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")  # noqa: PTH110


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failures")
    for name, kind in (("a.jpg", "photo"), ("b.jpg", "generated")):
        shutil.copy(EXAMPLES / f"{kind}-1.jpg", folder / name)
    (folder / "list.csv").write_text("path,label\na.jpg,photo\nb.jpg,fake\n")
    code, _, error = run_here("data", "import", "csv", "list.csv", "-o", "set.jsonl", cwd=folder)
    assert code == 0, error
    return folder


def shell(line, cwd, **environment):
    """Exit code and standard error of a line of a shell, in which `$C` is the program."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env=ENVIRONMENT | {"C": CAMERABORN} | environment,
        capture_output=True,
        timeout=300,
    )
    error = done.stderr.decode()
    assert "Traceback" not in error, error
    assert "Exception ignored" not in error, error
    return done.returncode, error


@posix
@full_disk
@pytest.mark.parametrize("command", SPEAKING, ids=" ".join)
def test_a_full_disk_on_standard_output(desk, command):
    code, error = shell(f"$C {' '.join(command)} > /dev/full", desk)
    assert code == 2
    assert "cameraborn: standard output: No space left on device: free some space" in error.splitlines()[-1]


@posix
@pytest.mark.parametrize("command", [*SPEAKING[:2], *SPEAKING[-3:], ["score", "-h"]], ids=" ".join)
def test_a_reader_that_has_gone(desk, command):
    # The reader closes its end at once; the writer starts when it has.
    code, error = shell(f"{{ sleep 0.2; $C {' '.join(command)}; echo $? >&2; }} | true", desk)
    assert error.splitlines()[-1] == "141"
    assert len(error.splitlines()) == 1, error
    assert code == 0  # of `true`


@posix
def test_closed_streams(desk):
    code, error = shell("$C info >&-", desk)
    assert (code, error) == (
        2,
        "cameraborn: standard output is closed: open it, if only as '> /dev/null'\n",
    )
    code, error = shell("$C score - <&-", desk)
    assert (code, error.count("\n")) == (2, 1)
    assert "standard input is closed" in error
    assert shell("$C score a.jpg 2>&- > rows; [ $(wc -l < rows) = 2 ]", desk)[0] == 0
    assert shell("$C score a.jpg 2>/dev/full > rows && [ $(wc -l < rows) = 2 ]", desk)[0] == 0


@posix
@pytest.mark.parametrize(
    "megabytes", [128, 200, 256, 300, 500]
)  # with less, libraries of others end the process
def test_memory_that_does_not_suffice(desk, megabytes):
    code, error = shell(f"ulimit -v {megabytes * 1024}; $C score a.jpg", desk)
    assert code in (0, 1, 2), error  # 1: the picture is unreadable, and its row says so
    assert error.count("\n") <= 1, error
    assert "get the bundle again" not in error


@posix
@pytest.mark.long  # what lacks at how many megabytes is another thing on each machine
@pytest.mark.parametrize(
    ("megabytes", "command"),
    [
        (
            156,
            ["score", "a.jpg"],
        ),  # libraries cannot be mapped at some of these, threads not started at others
        (250, ["explain", "a.jpg", "-o", "why.png"]),
        (254, ["fit", ".", "-o", "bundle", "--dimensions", "1"]),
        (200, ["serve", "--port", "0"]),
        (250, ["bench", "bench.toml"]),
        (488, ["train", ROOT / "configs" / "tiny.toml"]),
        (488, ["data", "reconstruct", "set.jsonl", "--decoders", "decoders", "-o", "made"]),
        (976, ["data", "reconstruct", "set.jsonl", "--decoders", "decoders", "-o", "made"]),
    ],
    ids=lambda value: " ".join(map(str, value[:2])) if isinstance(value, list) else str(value),
)
def test_memory_that_does_not_suffice_for_a_library(desk, megabytes, command):
    write_tiny(desk / "decoders")
    (desk / "bench.toml").write_text(
        f'output = "bench"\ndetectors = [{str(DEFAULT)!r}]\n[[sets]]\nname = "a"\nmanifest = "set.jsonl"\n'
    )
    code, error = shell(f"ulimit -v {megabytes * 1024}; $C {' '.join(map(str, command))} > rows", desk)
    assert (code, error.count("\n")) == (2, 1), error
    assert "get it again" not in error


@posix
@pytest.mark.parametrize(("limit", "threads"), [("ulimit -v 900000;", "1"), ("", "None")])
def test_with_little_memory_no_thread_of_openblas_waits_for_more(desk, limit, threads):
    asked = (
        "import os, cameraborn.__main__ as main; main._ask_for_few_threads(); "
        "print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    command = f'unset OPENBLAS_NUM_THREADS; {limit} {sys.executable} -c "{asked}" > said'
    code, error = shell(command, desk)
    assert (code, error, (desk / "said").read_text().strip()) == (0, "", threads)


@posix
def test_no_home_and_a_home_that_cannot_be_written(desk):
    code, error = shell("unset HOME; $C score a.jpg > rows", desk)
    assert (code, error.count("\n")) == (0, 1)
    # Its fonts are known already: to look for them takes Matplotlib some ten seconds.
    fonts = matplotlib.get_cachedir()
    code, error = shell("$C explain a.jpg -o why.png", desk, HOME="/proc", MPLCONFIGDIR=fonts)
    assert (code, error.splitlines()[-1]) == (0, "why.png: drawn")


@posix
def test_matplotlib_says_nothing_of_a_home_that_cannot_be_written(desk):
    code = (
        "import sys; from cameraborn.cli import main; sys.argv = ['cameraborn', '--version']\n"
        "try: main()\n"
        "except SystemExit: import matplotlib; matplotlib.get_cachedir(), matplotlib.get_configdir()"
    )
    environment = {name: value for name, value in ENVIRONMENT.items() if name[:3] not in ("MPL", "XDG")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk, env=environment | {"HOME": "/proc"}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


@posix
@pytest.mark.parametrize(
    "command",
    [
        ["score", "a.jpg", "-o", "/proc/rows.csv"],
        ["explain", "a.jpg", "-o", "/proc/why.png"],
        ["audit", "set.jsonl", "-o", "/proc/audit.csv"],
        ["audit", "set.jsonl", "--equalise", "/proc/equal"],
        ["data", "import", "folder", ".", "-o", "/proc/set.jsonl"],
        ["data", "stats", "set.jsonl", "-o", "/proc/stats.png"],
        ["data", "manipulate", "set.jsonl", "-o", "/proc/made"],
        ["convert", DEFAULT, "-o", "/proc/bundle"],
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_a_folder_that_cannot_be_written_to(desk, command):
    code, _, error = run_here(*command, cwd=desk)
    assert code == 2
    assert error.count("\n") == 1, error
    assert error.startswith("cameraborn: ")


@posix
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["score", "."], 0),
        (["data", "import", "folder", ".", "-o", "../new.jsonl"], 0),
        (["fit", ".", "-o", "bundle", "--copies", "0"], 2),  # too few photographs
    ],
    ids=lambda value: str(value),
)
def test_pipes_in_folders_do_not_hang(tmp_path, command, code):
    (folder := tmp_path / "album").mkdir()
    shutil.copy(EXAMPLES / "photo-1.jpg", folder / "a.jpg")
    for name in ("pipe", "pipe.jpg"):
        os.mkfifo(folder / name)
    got, _, error = run(*command, cwd=folder, timeout=100)
    assert got == code, error
    if code == 0:
        assert "2 files passed over: 2 not regular files\n" in error


@posix
@pytest.mark.parametrize(
    "command",
    [
        ["train", "PIPE"],
        ["bench", "PIPE"],
        ["data", "verify", "PIPE"],
        ["data", "import", "csv", "PIPE", "-o", "new.jsonl"],
        ["data", "import", "rows", "PIPE", "-o", "new.jsonl"],
        ["import-checkpoint", "PIPE", "--layout", "resnet50", "-o", "new.safetensors"],
        ["import-checkpoint", "PIPE", "--layout", "taesd-decoder", "-o", "new.safetensors"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_a_pipe_is_not_taken_for_a_file_that_is_read_twice(tmp_path, command):
    os.mkfifo(pipe := tmp_path / "pipe")
    code, _, error = run_here(*(str(pipe) if word == "PIPE" else word for word in command), cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert f"{pipe}: a pipe or a device, and it is read more than once: write it into a file" in error


@posix
def test_defaults_come_from_a_pipe(tmp_path):
    shutil.copy(EXAMPLES / "photo-1.jpg", tmp_path / "a.jpg")
    code, error = shell(
        "$C --config <(printf '[score]\\nfalse-alarm = 0.02\\n') score a.jpg > rows", tmp_path
    )
    assert (code, "a false-alarm rate of 0.02" in error) == (0, True), error


@posix
def test_a_pipe_that_is_named_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with subprocess.Popen(["cp", EXAMPLES / "photo-1.jpg", tmp_path / "pipe.jpg"]):
        code, out, error = run("score", "pipe.jpg", cwd=tmp_path)
    assert code == 0, error
    assert out.count("\n") == 2


def test_a_folder_that_cannot_be_opened_is_counted_apart(tmp_path, monkeypatch):
    (tmp_path / "album" / "locked").mkdir(parents=True)
    shutil.copy(EXAMPLES / "photo-1.jpg", tmp_path / "album")
    (tmp_path / "album" / "broken.jpg").write_text("no picture")
    scandir = os.scandir

    def locked(path="."):
        if str(path).endswith("locked"):  # who tests as root may open everything
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    code, _, error = run_here("score", "album", cwd=tmp_path)
    assert code == 4
    assert error.startswith("2 pictures, 1 unreadable, 1 folder that cannot be opened; 1 face: "), error
    code, _, error = run_here("score", "album/locked", cwd=tmp_path)
    assert code == 1
    assert error.startswith("0 pictures, 1 folder that cannot be opened; 0 faces: "), error
