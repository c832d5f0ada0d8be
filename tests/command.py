"""The command line as users meet it: its entry point, in a process of its own or in this one."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from cameraborn.cli import main

CAMERABORN = shutil.which("cameraborn", path=sysconfig.get_path("scripts")) or "cameraborn"
EXAMPLES = Path(__file__).resolve().parent / "pictures"
ROOT = Path(__file__).resolve().parents[1]
# COLUMNS is what a terminal would set; the rest of the environment decides nothing here.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("COLUMNS", "NO_COLOR") and not name.startswith("CAMERABORN")
}
posix = pytest.mark.skipif(
    os.name != "posix", reason="signals, pseudo-terminals and odd file names are POSIX"
)


def run(*args, cwd, stdin=b"", timeout=120, **environment):
    """Exit code, standard output, standard error."""
    done = subprocess.run(
        [CAMERABORN, *map(os.fspath, args)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        env=ENVIRONMENT | environment,
    )
    error = done.stderr.decode("utf-8")
    assert "Traceback" not in error, error
    return done.returncode, done.stdout.decode("utf-8"), error


def run_here(*args, cwd, stdin=b"", **environment):
    """The same of the entry point in this process, because a start takes a while."""
    out, error = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.chdir(cwd)
        patch.setattr(sys, "stdin", given)
        patch.setattr(sys, "argv", ["cameraborn", *map(os.fspath, args)])
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    signal.signal(signal.SIGTERM, handler)
    return ended.value.code or 0, out.getvalue(), error.getvalue()


@contextmanager
def pipe(path):
    """A pipe there, and whether somebody opened it to read; who does is given an end, so that no test waits."""
    os.mkfifo(path)
    opened, over = threading.Event(), threading.Event()

    def watch():
        while not over.wait(0.01):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads
                continue
            opened.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield opened
    finally:
        over.set()
        watcher.join()


def rows_of(jsonl):
    return [json.loads(line) for line in jsonl.splitlines()]


def wait_until(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)
