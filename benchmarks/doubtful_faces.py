"""Which bar on the face finder's confidence keeps faces, and keeps out what is no face.

    python benchmarks/doubtful_faces.py DATA_DIR -o benchmarks/results/doubtful_faces.csv

`face_labels.csv` lists what the finder found in photographs of many sources and in generated pictures, each looked at
by eye: a human face (also drawn, in profile, half hidden or out of focus), none (flowers, buildings, animals, toys), or
unclear, which is left out. DATA_DIR holds the pictures. Measures that could tell:

- first look: the confidence with which the finder found the box (at least .5);
- second look: that of its full-range detector, shown the box alone, a quarter of the frame wide;
- landmarks: 1 where the landmark network finds it likelier that it was shown a whole face, else 0.

Columns: recall, the share of faces at or above the bar; kept, the share of what is no face; precision, the share of
faces among what is at or above it. Rows of one set have the bar that ships, `detect.abstain.SURE_FACE`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common import show, write_table

from cameraborn.detect.abstain import SURE_FACE
from cameraborn.photo.candidates import overlap
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import FaceFinder

LABELS = Path(__file__).with_name("face_labels.csv")
BARS = {
    "first look": (0.55, 0.6, 0.65, 0.7, 0.75, 0.8),
    "second look": (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7),
    "landmarks": (1.0,),
}


@dataclass(frozen=True)
class Measured:
    of: str
    is_face: bool
    by: dict[str, float]


def measured(root: Path) -> Iterator[Measured]:
    finder = FaceFinder()
    with LABELS.open(encoding="utf-8") as lines:
        labelled = list(csv.DictReader(lines))
    for picture, rows in itertools.groupby(labelled, lambda row: row["picture"]):
        pixels = open_picture(root / picture).pixels
        faces = finder.find(pixels)
        for row in rows:
            box = tuple(map(float, row["box"].split()))
            face = max(faces, key=lambda face: overlap(face.box, box), default=None)
            if row["human_face"] == "unclear" or face is None or overlap(face.box, box) < 0.5:
                continue
            by = {
                "first look": face.confidence,
                "second look": finder.second_look(pixels, face),
                "landmarks": float(finder.landmarks_if_sure(pixels, face) is not None),
            }
            yield Measured(row["set"], row["human_face"] == "yes", by)


def row(measure: str, bar: float, of: str, some: list[Measured]) -> dict[str, object]:
    faces, others = (
        [one.by[measure] >= bar for one in some if one.is_face == kind] for kind in (True, False)
    )
    above = sum(faces) + sum(others)
    return {
        "measure": measure,
        "bar": bar,
        "set": of,
        "faces": len(faces),
        "no_faces": len(others),
        "recall": f"{sum(faces) / len(faces):.3f}" if faces else "",
        "kept": f"{sum(others) / len(others):.3f}" if others else "",
        "precision": f"{sum(faces) / above:.3f}" if above else "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    found = list(measured(options.data))
    rows = [row(measure, bar, "all", found) for measure, bars in BARS.items() for bar in bars]
    for name in sorted({one.of for one in found}):
        rows.append(row("second look", SURE_FACE, name, [one for one in found if one.of == name]))
    for one in rows:
        show(one)
    write_table(rows, options.output)


if __name__ == "__main__":
    main()
