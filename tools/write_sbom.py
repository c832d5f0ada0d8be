"""Write the software bill of materials of an installed cameraborn: python tools/write_sbom.py VENV -o FILE

CycloneDX, JSON. Packages are what `cyclonedx-py` (extra `release`) finds in the environment; what no package manager
knows is added: the networks in the wheel, with SHA-256 and licences, as components of the type machine-learning-model.
"""

import argparse
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FACE_MODELS_LICENCE = "Apache-2.0"  # NOTICE


def main() -> None:
    """Ask cyclonedx-py, add the networks, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path, help="Environment in which the wheel is installed.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="File to write.")
    given = parser.parse_args()
    document = packages(given.venv)
    (package,) = given.venv.glob("lib/python*/site-packages/cameraborn")
    document.setdefault("components", []).extend(networks(package))
    given.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def packages(venv: Path) -> dict[str, Any]:
    """The document of an environment's packages, the same each time."""
    command = ["cyclonedx-py", "environment", "--output-reproducible", "--pyproject", ROOT / "pyproject.toml"]
    options = ["--mc-type", "application", "--output-format", "JSON", "--spec-version", "1.6", venv]
    done = subprocess.run([*command, *options], check=True, capture_output=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def networks(package: Path) -> Iterator[dict[str, Any]]:
    """A component for each network that an installed package holds."""
    bundle = package / "models" / "default"
    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    for path in sorted(bundle / network["file"] for network in info["networks"]):
        yield component(path, info["name"], info["licences"]["weights"])
    for path in sorted((package / "models" / "faces").glob("*.onnx")):
        yield component(path, "cameraborn", FACE_MODELS_LICENCE)


def component(path: Path, group: str, licence: str) -> dict[str, Any]:
    """A file of a network as CycloneDX names it."""
    return {
        "type": "machine-learning-model",
        "bom-ref": f"{group}/{path.name}",
        "group": group,
        "name": path.name,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        "licenses": [{"license": {"name": licence}}],
    }


if __name__ == "__main__":
    main()
