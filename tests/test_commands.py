"""Every command that the documents print runs as printed; what cannot is listed with the reason."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from . import given
from .command import CAMERABORN, ENVIRONMENT, ROOT
from .test_docs import PROSE

# What a page's commands need that no clone has, or no test can wait for, by how a line begins.
NOT_RUN = {
    "python3 -m venv": "installs packages; the continuous integration runs it",
    "pip install": "the tests' environment has every extra",
    "cameraborn serve  ": "the tutorial for engineers starts it, at a port of its own",
    "torchrun": "needs eight devices",
    "cameraborn train configs/autoencoders.toml": "needs some hundred photographs, and minutes",
    "cameraborn data reconstruct photographs.jsonl --autoencoders": "needs what the line before it makes",
    "cameraborn train configs/rivals/gramnet.toml": "takes hours",
    "cameraborn bench tables configs/bench_rivals.toml": "needs the authors' weights",
    "cameraborn bench table2 configs/bench_dev.toml": "needs the authors' weights and test sets",
}
PAGES = {  # and what its reader is taken to have besides a clone
    "README.md": given.own_photographs,
    "docs/benchmark.md": None,
    "docs/data.md": given.data,
    "docs/howto/add_decoder.md": given.decoders,
    "docs/howto/add_degradation.md": given.benchmark,
    "docs/howto/add_rival.md": given.benchmark,
    "docs/howto/own_fakes.md": given.own_fakes,
    "docs/own_photographs.md": given.own_photographs,
    "docs/provenance.md": given.face,
    "docs/rivals.md": given.checkpoint,
    "docs/training.md": given.tagged,
    "docs/tutorials/analyst.md": None,
    "docs/tutorials/engineer.md": None,
    "docs/tutorials/researcher.md": given.photographs,
    "docs/video.md": given.video,
}
# Pages of which no command can run in a clone, or that another test runs.
NOT_RUN_HERE = {
    "CONTRIBUTING.md": "installs packages, and runs these very tests",
    "benchmarks/README.md": "data that are not in the repository, and hours",
    "benchmarks/campaign/README.md": "data that are not in the repository, and hours",
    "docs/container.md": "a container engine; tools/check_container.py runs the Dockerfile's steps",
    "docs/default_bundle.md": "data that are not in the repository, and seven hours",
    "docs/measured.md": "data that are not in the repository, and hours",
    "docs/reliability.md": "atheris, which is no part of a test's environment; tests/test_fuzz.py runs each target",
    "docs/releasing.md": "a release; tools/check_install.py makes one in the continuous integration",
    "docs/scale.md": "a storage and a cluster; tests/test_scale.py has its own",
    "docs/serve.md": "a server; tests/serve/test_jobs.py runs the examples against its own",
}
# Options, by their environment variables: a test's few photographs support no rate of 5 % and no rich density.
FEW_PHOTOGRAPHS = {
    "docs/own_photographs.md": {"CAMERABORN_SCORE_FALSE_ALARM": "0.5"},
    "docs/howto/own_fakes.md": {
        "CAMERABORN_FIT_BINARY_COMPONENTS": "1",
        "CAMERABORN_FIT_BINARY_DIMENSIONS": "1",
        "CAMERABORN_FIT_BINARY_SHRINKAGE": "0.5",
    },
}
ASKS_BY_CURL = "docs/tutorials/engineer.md"
SHELL = ("bash", "sh")


def blocks(page):
    """The commands of a page: language and text of each block, without lines that no test runs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    skipped = re.compile(rf"^(?:{'|'.join(map(re.escape, NOT_RUN))}).*\n", re.MULTILINE)
    for language, block in re.findall(r"^ *```(bash|sh|python)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        yield language, skipped.sub("", block)


@pytest.fixture
def clone(tmp_path):
    """What a clone holds."""
    for name in ("examples", "models", "configs", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def run(clone):
    """Run a block in the clone, and give what it said; what it leaves running is ended with the test."""
    path = f"{Path(CAMERABORN).parent}{os.pathsep}{os.environ['PATH']}"
    environment = ENVIRONMENT | {"PATH": path, "OMP_NUM_THREADS": "1"}
    groups, log = [], clone / "said.log"

    def run(language, text, **defaults):
        command = ["sh", "-ec", text] if language in SHELL else [sys.executable, "-c", text]
        with log.open("wb") as said:  # a pipe would be held open by a server that goes on
            process = subprocess.Popen(
                command,
                cwd=clone,
                env=environment | defaults,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            groups.append(process.pid)
            process.wait(600)
        return process.returncode, log.read_text(encoding="utf-8", errors="replace")

    yield run
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="the pages are written for a POSIX shell")
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run_as_printed(run, clone, page):
    if page == ASKS_BY_CURL and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if prepare := PAGES[page]:
        prepare(clone)
    ran = 0
    for language, text in blocks(page):
        if text.strip():
            code, said = run(language, text, **FEW_PHOTOGRAPHS.get(page, {}))
            assert code == 0, f"{text}\n{said}"
            assert "Traceback" not in said, f"{text}\n{said}"
            ran += text.count("cameraborn")
    assert ran >= 1


def test_no_page_prints_commands_that_nothing_runs():
    printed = {
        page.relative_to(ROOT).as_posix()
        for page in PROSE
        if re.search(r"^ *```(bash|sh|python)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not PAGES.keys() & NOT_RUN_HERE.keys()
    assert PAGES.keys() | NOT_RUN_HERE.keys() == printed


COMMAND = re.compile(r"^ *(?:\$ )?(?:cameraborn|python3?|pip|torchrun|docker|podman|curl|git) ", re.MULTILINE)
FENCE = re.compile(r"^ *```([^\n`]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def test_no_command_stands_in_a_block_whose_language_nothing_runs():
    for page in PROSE:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language.strip() in ("", "shell", "console"):
                assert not COMMAND.search(block), f"{page}: mark the block bash, or sh:\n{block}"


def test_a_tutorial_has_no_command_that_is_not_run():
    for page in (ROOT / "docs" / "tutorials").glob("*.md"):
        assert f"docs/tutorials/{page.name}" in PAGES
        lines = page.read_text(encoding="utf-8").splitlines()
        assert not any(line.startswith(tuple(NOT_RUN)) for line in lines)


def test_what_is_not_run_is_still_printed():
    lines = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES | NOT_RUN_HERE).splitlines()
    for beginning in NOT_RUN:
        assert any(line.startswith(beginning) for line in lines), beginning
