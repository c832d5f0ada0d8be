"""Install what a release is, as a stranger would: python tools/check_install.py

Build the source archive and the wheel, install each into a clean environment without the repository's folder in sight,
and score a picture. Packages are installed as their constraints say, which needs the network.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build, install, score."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ROOT, stdout=2)
        (wheel,), (sdist,) = (list((folder / "dist").glob(ending)) for ending in ("*.whl", "*.tar.gz"))
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        shutil.copy(ROOT / "examples" / "photo-1.jpg", folder / "picture.jpg")
        run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
        scores(folder, python)
        run(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", sdist)
        scores(folder, python)
    print(f"{wheel.name}, {sdist.name}: installed alone, each scores a picture without a training framework")


def scores(folder: Path, python: Path) -> None:
    """Score a picture by the installed command, and have its bundle checked."""
    run(python, "-m", "pip", "check", stdout=2)
    command = python.with_name("cameraborn")
    run(command, "verify", cwd=folder)
    (row,) = json.loads(run(command, "score", "picture.jpg", "--format", "json", cwd=folder))
    assert row["scope"] == "ok", row
    for absent in ("torch", "cv2", "matplotlib"):
        assert run(python, "-c", f"import importlib.util as u; print(u.find_spec('{absent}'))") == "None\n", (
            absent
        )


def run(*command: str | Path, cwd: Path | None = None, stdout: int = subprocess.PIPE) -> str:
    """Standard output of a program, which finds nothing of this repository by itself."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CAMERABORN"))
    }
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=stdout, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
