"""Every command that the README and docs/ print runs as printed, as far as it can in a fresh clone."""

import os
import re
import shutil
import subprocess
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
    "docs/data.md": 1,
    "docs/benchmark.md": 1,
}


def blocks(page):
    return re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a clone holds, and the folders that a reader is taken to have."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "models", "configs"):
        (folder / name).symlink_to(ROOT / name)
    for number, path in enumerate(sorted(EXAMPLES.glob("photo-*.jpg"))):
        for place in (folder / "uploads", folder / "photographs" / f"camera{number}"):
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    shutil.copy(EXAMPLES / "photo-1.jpg", folder / "face.jpg")
    return folder


@pytest.mark.skipif(os.name != "posix", reason="the pages are written for a POSIX shell")
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run_as_printed(clone, page):
    path = f"{Path(CAMERABORN).parent}{os.pathsep}{os.environ['PATH']}"
    ran = 0
    for block in blocks(page)[: PAGES[page]]:
        for command in re.sub(r"\\\n\s*", "", block).splitlines():
            if not command.strip() or command.startswith(tuple(NOT_RUN)):
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=clone,
                env=ENVIRONMENT | {"PATH": path, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            ran += 1
    assert ran >= 2


def test_what_is_not_run_is_still_printed():
    commands = [line for page in PAGES for block in blocks(page) for line in block.splitlines()]
    for beginning in NOT_RUN:
        assert any(command.startswith(beginning) for command in commands), beginning
