"""The scripts outside the package import only what the package has."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path for folder in ("benchmarks", "tools", "fuzz") for path in (ROOT / folder).rglob("*.py"))


def imported(path):
    """Module and name of each thing that is imported from the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cameraborn":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "cameraborn")


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.relative_to(ROOT).as_posix() for path in SCRIPTS])
def test_what_a_script_imports_is_there(script):
    for module, name in imported(script):
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")


def test_imports_are_seen():
    seen = {name for script in SCRIPTS for name in imported(script)}
    assert ("cameraborn.data.manifest", "read_manifest") in seen
    assert len(seen) > 100
