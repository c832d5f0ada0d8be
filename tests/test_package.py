"""What a stranger gets: the source archive, and the wheel that is built from it, with no repository around.

`.ci/run` also installs the wheel into a clean environment and scores a picture (tools/check_install.py).
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

import cameraborn

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = [*(ROOT / "models" / "default").glob("*.onnx*"), *(ROOT / "src").rglob("*.onnx")]


def built(root, target, folder):
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}  # else the time is in the archive
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def described(wheel):
    """The wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def test_the_source_archive_builds_the_very_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sources", filter="data")
    (sources,) = (tmp_path / "sources").iterdir()
    assert built(sources, "wheel", tmp_path / "wheel").read_bytes() == wheel.read_bytes()


def test_the_source_archive_holds_no_tests_results_or_documents(sdist):
    with tarfile.open(sdist) as archive:
        inside = {member.name.split("/", 1)[1] for member in archive.getmembers()}
    top = {name.split("/")[0] for name in inside}
    assert top == {
        *("src", "models", "examples", "constraints.txt", "pyproject.toml", "PKG-INFO", ".gitignore"),
        *("README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE"),
    }


def test_the_wheel_holds_every_file_of_the_package_and_the_bundle(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = [
        path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    bundle = [path for path in (ROOT / "models" / "default").iterdir() if path.is_file()]
    assert inside == {
        *(path.relative_to(ROOT / "src").as_posix() for path in package),
        *(f"cameraborn/models/default/{path.name}" for path in bundle),
    }
    assert "cameraborn/py.typed" in inside


def test_the_wheel_is_little_more_than_its_networks(wheel):
    with zipfile.ZipFile(wheel) as archive:
        others = [info for info in archive.infolist() if "/models/" not in info.filename]
        assert sum(info.compress_size for info in others) < 1e6
        networks = sum(file.stat().st_size for file in NETWORKS)
        assert sum(info.compress_size for info in archive.infolist()) < networks + 1.5e6


def test_the_wheel_names_its_licences_and_its_command(wheel, described):
    assert described["License-Expression"] == "Apache-2.0"
    assert described.get_all("License-File") == ["LICENSE", "NOTICE"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for licence in ("LICENSE", "NOTICE"):
            (held,) = (name for name in names if name.endswith(f".dist-info/licenses/{licence}"))
            assert archive.read(held) == (ROOT / licence).read_bytes()
        (entries,) = (name for name in names if name.endswith("entry_points.txt"))
        assert archive.read(entries).decode() == "[console_scripts]\ncameraborn = cameraborn.__main__:main\n"


def test_all_say_the_same_version(described):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert described["Version"] == cameraborn.__version__
    assert f"\nversion: {cameraborn.__version__}\n" in citation


def test_scoring_asks_for_no_training_framework(described):
    plain = [need for need in described.get_all("Requires-Dist") if "extra ==" not in need]
    names = {re.match(r"[\w-]+", need)[0] for need in plain}
    assert names == {
        *(
            "numpy",
            "pillow",
            "simplejpeg",
            "onnxruntime",
            "safetensors",
            "scikit-learn",
            "pydantic",
            "typer",
            "rich",
        ),
    }


def named(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_everything_that_the_tests_install_is_pinned(described):
    """What cannot be followed is what is not installed here: an extra of another package, another system's."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {named(line) for line in lines if not line.startswith("#")}
    seen = {"cameraborn", "pip", "setuptools"}
    waiting = [need for need in described.get_all("Requires-Dist") if not re.search("ncnn|atheris", need)]
    while waiting:
        name = named(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        assert name in pinned, f"{name}: constraints.txt has no version of it"
        waiting += [need for need in needs if "extra ==" not in need]
    assert {"mkdocs", "starlette", "torch"} <= seen


def test_the_bill_of_materials_names_the_package_and_its_networks(wheel, tmp_path):
    schema = pytest.importorskip("cyclonedx.schema")
    validation = pytest.importorskip("cyclonedx.validation.json")
    venv.create(tmp_path / "venv", with_pip=False)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    command = [sys.executable, "tools/write_sbom.py", tmp_path / "venv", "-o", tmp_path / "sbom.json"]
    scripts = {"PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, cwd=ROOT, env=os.environ | scripts, check=True)
    text = (tmp_path / "sbom.json").read_text(encoding="utf-8")
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "cameraborn"
    networks = {
        part["name"]: part["hashes"][0]["content"]
        for part in document["components"]
        if part["type"] == "machine-learning-model"
    }
    files = [*(ROOT / "models" / "default").glob("*.onnx*"), *(ROOT / "src").rglob("models/faces/*.onnx")]
    assert networks == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
