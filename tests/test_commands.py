"""Every command that the README and docs/ print runs as printed, as far as it can in a fresh clone."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .command import CAMERABORN, ENVIRONMENT, EXAMPLES

ROOT = Path(__file__).resolve().parents[1]
# What a page's commands need that no clone has, or no test can wait for.
NOT_RUN = {
    "python3 -m venv": "installs packages; the continuous integration runs it",
    "cameraborn calibrate my-photographs/": "needs some hundred photographs",
}
PAGES = {  # how many blocks of each page are run, from the first; the others name data that are not in the repository
    "README.md": None,
    "docs/tutorials/analyst.md": None,
    "docs/tutorials/engineer.md": None,
    "docs/tutorials/researcher.md": None,
    "docs/benchmark.md": 1,
    "docs/data.md": 1,
    "docs/provenance.md": 1,
}
ASKS_BY_CURL = "docs/tutorials/engineer.md"


def blocks(page):
    """The blocks of a page that are run: their language and text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(bash|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def clone(tmp_path):
    """What a clone holds, and a folder of photographs that a reader is taken to have."""
    for name in ("examples", "models", "configs", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    for number, path in enumerate(sorted(EXAMPLES.glob("photo-*.jpg"))):
        (place := tmp_path / "photographs" / f"camera{number}").mkdir(parents=True)
        shutil.copy(path, place)
    return tmp_path


@pytest.fixture
def run(clone):
    """Run a block in the clone, and give what it said; what it leaves running is ended with the test."""
    path = f"{Path(CAMERABORN).parent}{os.pathsep}{os.environ['PATH']}"
    environment = ENVIRONMENT | {"PATH": path, "OMP_NUM_THREADS": "1"}
    groups, log = [], clone / "said.log"

    def run(language, text):
        command = ["sh", "-ec", text] if language == "bash" else [sys.executable, "-c", text]
        with log.open("wb") as said:  # a pipe would be held open by a server that goes on
            process = subprocess.Popen(
                command, cwd=clone, env=environment, stdout=said, stderr=said, start_new_session=True
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
def test_commands_of_a_page_run_as_printed(run, page):
    if page == ASKS_BY_CURL and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    ran = 0
    for language, block in blocks(page)[: PAGES[page]]:
        text = re.sub(rf"^(?:{'|'.join(map(re.escape, NOT_RUN))}).*\n", "", block, flags=re.MULTILINE)
        if not text.strip():
            continue
        code, said = run(language, text)
        assert code == 0, f"{text}\n{said}"
        assert "Traceback" not in said, f"{text}\n{said}"
        ran += text.count("cameraborn")
    assert ran >= 1


def test_a_tutorial_has_no_command_that_is_not_run():
    """Blocks of other languages (`sh`) are for pages whose data no clone has."""
    for page in (ROOT / "docs" / "tutorials").glob("*.md"):
        assert f"docs/tutorials/{page.name}" in PAGES
        fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert {language for language in fences if language} <= {"bash", "python"}
        assert not any(beginning in page.read_text(encoding="utf-8") for beginning in NOT_RUN)


def test_what_is_not_run_is_still_printed():
    commands = [line for page in PAGES for _, block in blocks(page) for line in block.splitlines()]
    for beginning in NOT_RUN:
        assert any(command.startswith(beginning) for command in commands), beginning
