"""How the same bundle does on small and large faces, dark and bright ones, and after common degradations.

    python benchmarks/by_condition.py runs/dev.jsonl runs/sources.jsonl ... --bundle models/default \
        -o benchmarks/results/by_condition.csv

Rows and faces are those of `headline.py`. `size` is the longer side of the face box in pixels, `luminance` the mean
grey level of the pixels in the box; photographs and generated faces of all manifests are counted apart. `degradation`
puts the whole picture through a named degradation first; the AUC is the mean over the tracks (`kind`) that hold both
classes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import show, write_table
from headline import face_of, judge, line_of
from sklearn.metrics import roc_auc_score

from cameraborn import Detector, Verdict, load
from cameraborn.data.manifest import Row, read_manifest
from cameraborn.degrade.named import degrade_bytes
from cameraborn.photo.crops import longer_side
from cameraborn.photo.decode import open_picture

SIZES = (130, 200, 300)  # px
LUMINANCES = (70, 110, 150)  # grey levels
DEGRADATIONS = ("jpeg:75", "resize:0.5:bicubic", "webp:80")

Judged = Sequence[tuple[Row, Verdict | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    detector = load(arguments.bundle)
    rows = [row for manifest in arguments.manifests for row in read_manifest(manifest)]
    plain = list(zip(rows, judge(detector, rows), strict=True))
    sizes, luminances = [], []
    for row, verdict in plain:
        if verdict is not None and verdict.box is not None:
            sizes.append((between(longer_side(verdict.box), SIZES, "px"), (row, verdict)))
            luminances.append((between(luminance(verdict), LUMINANCES, "grey levels"), (row, verdict)))
    lines = [
        line
        for what, labelled in (("size", sizes), ("luminance", luminances))
        for line in grouped(what, labelled)
    ]
    lines += degraded("none", plain)
    for name in DEGRADATIONS:
        lines += degraded(name, [(row, after(detector, row, name)) for row in rows])
    for line in lines:
        show(line)
    write_table(lines, arguments.output, bundle=detector.bundle.info.name)


def between(value: float, edges: Sequence[int], unit: str) -> str:
    """The part that a value is in, in words."""
    place = int(np.searchsorted(edges, value, side="right"))
    if place == 0:
        return f"under {edges[0]} {unit}"
    if place == len(edges):
        return f"from {edges[-1]} {unit}"
    return f"{edges[place - 1]} to {edges[place]} {unit}"


def luminance(verdict: Verdict) -> float:
    """The mean grey level of the pixels in the box."""
    assert verdict.box is not None
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in verdict.box)
    return float(open_picture(verdict.path).pixels[y0:y1, x0:x1].mean())


def grouped(what: str, labelled: Sequence[tuple[str, tuple[Row, Verdict]]]) -> list[dict[str, object]]:
    """Counts and shares of each part, photographs and generated faces apart."""
    parts: dict[tuple[str, str], list[Verdict | None]] = defaultdict(list)
    for part, (row, verdict) in labelled:
        parts[part, row.label].append(verdict)
    return [line_of(what, part, label, of) | {"auc": ""} for (part, label), of in sorted(parts.items())]


def degraded(name: str, judged: Judged) -> list[dict[str, object]]:
    """Counts and shares of each class, and the mean AUC of the tracks."""
    tracks: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for row, verdict in judged:
        if verdict is not None and verdict.p_value is not None and verdict.score is not None:
            tracks[row.kind].append((row.label == "generated", verdict.score))
    aucs = [
        roc_auc_score(*zip(*of, strict=True))
        for of in tracks.values()
        if len({label for label, _ in of}) == 2
    ]
    lines = []
    for label in sorted({row.label for row, _ in judged}):
        of = [verdict for row, verdict in judged if row.label == label]
        lines.append(line_of("degradation", name, label, of) | {"auc": round(float(np.mean(aucs)), 3)})
    return lines


def after(detector: Detector, row: Row, name: str) -> Verdict | None:
    """The verdict on a row's face after a degradation of the whole picture; its box moves with the pixels."""
    picture = open_picture(row.path)
    encoded = degrade_bytes(picture.pixels, name, key=row.path)
    verdicts = detector.score(encoded)
    if row.box is None:
        return verdicts[0]
    scale = open_picture(encoded).pixels.shape[0] / picture.pixels.shape[0]
    box = tuple(edge * scale for edge in row.box)
    return face_of(row.model_copy(update={"box": box}), verdicts)


if __name__ == "__main__":
    main()
