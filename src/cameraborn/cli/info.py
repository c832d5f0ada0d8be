"""`cameraborn info`: what a bundle is and what can be asked of it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from cameraborn import __version__
from cameraborn.cli.common import Argument, Option, app
from cameraborn.cli.failures import printable
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle
from cameraborn.errors import counted


class InfoFormat(StrEnum):
    """How the facts are written."""

    text = "text"
    json = "json"


@app.command()
def info(
    bundle: Annotated[
        Path | None, Argument(help="Bundle, a folder or zip.", show_default="the one that ships")
    ] = None,
    format: Annotated[InfoFormat, Option(help="Output format.")] = InfoFormat.text,
) -> None:
    """Tell what a bundle is: versions, channels of evidence, calibration, and the false-alarm rates that it allows.

    Example: cameraborn info my-bundle --format json
    """
    path = bundle or default_bundle()
    facts = facts_of(read_bundle(path), path)
    if format is InfoFormat.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    for name, value in facts.items():
        print(f"{name}: {printable(_as_text(value))}")
        for line in value if isinstance(value, list) else ():
            print(f"  {printable(_as_text(line))}")


def facts_of(bundle: Bundle, path: Path) -> dict[str, Any]:
    """What is said of a bundle, by name."""
    told = bundle.info
    facts: dict[str, Any] = {
        "bundle": str(path),
        "name": told.name,
        "cameraborn": __version__,
        "schema version": told.schema_version,
        "made with": told.versions,
        "licences": told.licences,
        "networks": [
            {"description": network.description, "learnt": " ".join(network.tasks)}
            for network in told.networks
        ],
        "smallest crop, px": told.smallest_side,
        "channels": [
            {"name": channel.name, "kind": channel.kind, "fitted": channel.file is not None}
            for channel in told.channels
        ],
        "combined score": ", ".join(told.combined),
    }
    return facts | _calibration(bundle)


def _calibration(bundle: Bundle) -> dict[str, Any]:
    """How many photographs stand behind the p-values, and what can be asked of them."""
    coverage = bundle.info.coverage
    if coverage is None:
        return {"calibration": "none yet: run 'cameraborn calibrate'"}
    calibration = bundle.calibration
    categories = zip(calibration.taxonomy.categories, calibration.scores, strict=True)
    return {
        "judges": "whole pictures" if coverage.whole_image else "faces",
        "JPEG qualities": list(coverage.jpeg_quality),
        "calibration": [
            f"{counted(len(scores), 'photograph')} for {describe_category(cells, calibration.taxonomy)}"
            for cells, scores in categories
        ],
        "smallest false-alarm rate": smallest_rate(calibration.smallest, calibration.tail),
    }


def _as_text(value: Any) -> str:  # noqa: ANN401 (whatever the facts are)
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return f"{value:.2g}" if isinstance(value, float) else str(value)
