"""`CARD.md`, for people: what a bundle is, where it comes from, under which licences, what its calibration covers.

It is not hashed, so that its owner may add what was measured.
"""

from __future__ import annotations

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.describe import category_rows
from cameraborn.detect.evidence.kinds import KINDS
from cameraborn.detect.schema import BundleInfo, Channel, Network


def card_text(bundle: Bundle) -> str:
    """The card of a bundle."""
    info = bundle.info
    networks = "\n".join(map(_network, info.networks))
    licences = "\n".join(f"- {what}: {licence}" for what, licence in info.licences.items())
    return f"""# {info.name}

{_kind(info)}

{networks}
- The detector abstains where the square of {info.crop_scale:g} times the face is under {info.smallest_side} px
- Calibration: {_covered(info)}
{_evidence(info)}{_categories(bundle)}
## Licences and origin

{licences}

`seen.txt` holds the beginnings of the SHA-256 of every photograph that was learnt from: none of them may calibrate.

## What it does not tell

A small p-value says that the picture is surprising for a photograph. It does not say who made it, or how, and a
retouched, printed, screenshotted or heavily filtered photograph can be surprising too. A large one does not prove a
camera.
"""


def _network(network: Network) -> str:
    crop = network.preprocessing
    sides = " and to ".join(map(str, crop.sides))
    manifest = (
        f"; SHA-256 of its training manifest `{network.manifest_sha256}`" if network.manifest_sha256 else ""
    )
    return (
        f"- Network: {network.description}, trained to predict {', '.join(network.tasks) or 'nothing'}; it sees a "
        f"square of {crop.crop_scale:g} times the face, shrunk to {sides} px{manifest}"
    )


def _kind(info: BundleInfo) -> str:
    if not info.channels:
        return "A network for cameraborn, without evidence: `cameraborn fit` gives it some."
    innocent = [record.name for record in info.channels if not KINDS[record.kind].has_seen_fakes]
    if len(innocent) < len(info.channels):
        text = (
            "A classifier for cameraborn: it has seen photographs and generated pictures, and flags what looks more "
            "like generated pictures than photographs do."
        )
        beside = f" Of its channels, {' and '.join(innocent)} saw none: `--evidence` judges by one of them."
        return text + beside * bool(innocent)
    text = (
        "A one-class detector for cameraborn: it models what photographs look like, and flags what is too unlikely. It "
        "has seen no generated picture."
    )
    if len(info.combined) > 1:
        text += " It also tells photographs from their reconstructions by our own autoencoders, and adds those odds."
    return text


def _evidence(info: BundleInfo) -> str:
    if not info.channels:
        return ""
    lines = [
        f"| {record.name} | {record.kind} | {', '.join(f'{a}-{b - 1}' for a, b in record.columns)} | "
        f"{_part(record) if record.name in info.combined else 'no'} |"
        for record in info.channels
    ]
    head = "| channel | kind | feature columns | part of the score |\n|---|---|---|---|"
    return f"\n## Evidence\n\n{head}\n" + "\n".join(lines) + "\n"


def _part(record: Channel) -> str:
    return "yes" if record.weight is None else f"weight {record.weight:g}"


def _covered(info: BundleInfo) -> str:
    if info.coverage is None:
        return "none yet"
    low, high = info.coverage.jpeg_quality
    what = "whole pictures" if info.coverage.whole_image else "faces"
    colour = "colour pictures only" if info.coverage.colour else "colour and colourless pictures"
    return f"{what}, JPEG quality {low} to {high} and other formats, {colour}"


def _categories(bundle: Bundle) -> str:
    """The categories of condition as a table; lines of one number are one category."""
    if bundle.info.coverage is None:
        return ""
    taxonomy, calibration = bundle.info.coverage.taxonomy, bundle.calibration
    lines = []
    for number, cells in enumerate(taxonomy.categories):
        for line, (size, quality, noise, operation) in enumerate(category_rows(cells, taxonomy)):
            n = "" if line else str(len(calibration.scores[number]))
            lines.append(f"| {number + 1} | {size} | {quality} | {noise} | {operation} | {n} |")
    head = "| category | size of the face | quality | noise | operation | photographs |\n|---|---|---|---|---|---|"
    return (
        "\n## Categories of condition\n\nA face is compared with the photographs of its category. Lines with the same "
        f"number are one category.\n\n{head}\n" + "\n".join(lines) + "\n"
    )
