"""How near faces lie to FFHQ's alignment, and how often `score` says so: python benchmarks/alignment.py DATA_DIR

`portraits` are the photographs behind the note's p-values (`cameraborn.photo.alignment`): official portraits of office
holders, which nobody aligned. The column `nearest` lists their smallest distances, cut off after four places, which
stand in that file. `avatars` are portraits by others. DATA_DIR also holds the development tracks, whose photographs
are FFHQ's, and generated pictures by generator, some of them cut from sheets of samples without their frame. `noted` is
the share of pictures in which the largest face gets the note. A picture without a face, or whose landmarks are
doubtful, counts and gets none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from common import show, write_table

from cameraborn.photo.alignment import RARE, alignment_note, misalignment
from cameraborn.photo.decode import open_picture
from cameraborn.photo.face_points import points_of
from cameraborn.photo.faces import FaceFinder

RESULTS = Path(__file__).resolve().parent / "results" / "alignment.csv"
LISTS = ("data/portraits.jsonl", "data/avatars.jsonl", "data/dev.jsonl", "fakes/fakes.jsonl")


def sets(root: Path) -> dict[str, list[Path]]:
    """The pictures of each set; of each generator at most 60."""
    found: dict[str, list[Path]] = {}
    for name in LISTS:
        path = root / name
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "track" not in row:
                of = path.stem
            elif path.stem == "dev":
                of = f"dev, {row['track']}, {row['label']}"
            else:
                of = f"generated, {row['generator']}, {row['kind']}"
            found.setdefault(of, []).append(path.parent / row["path"])
    return {of: paths if of in ("portraits", "avatars") else paths[:60] for of, paths in found.items()}


def measured(of: str, paths: Iterable[Path], finder: FaceFinder) -> dict[str, object]:
    """A row of the table."""
    distances, notes, pictures = [], 0, 0
    for path in paths:
        pictures += 1
        pixels = open_picture(path).pixels
        for face in finder.find(pixels)[:1]:
            note = alignment_note(finder, pixels, face)
            notes += note is not None
            if (points := points_of(finder, pixels, face)) is not None:
                distances.append(misalignment(points, pixels.shape[1], pixels.shape[0]))
    nearest = np.sort(distances)
    return {
        "set": of,
        "pictures": pictures,
        "with landmarks": len(distances),
        "distance, median": f"{np.median(nearest):.4f}",
        "distance, 90 %": f"{np.quantile(nearest, 0.9):.4f}",
        "nearest": " ".join(f"{one:.4f}" for one in np.floor(nearest[:5] * 1e4) / 1e4),
        "noted": f"{notes / pictures:.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, metavar="DATA_DIR")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    finder, rows = FaceFinder(), []
    for of, paths in sets(options.root).items():
        rows.append(measured(of, paths, finder))
        show(rows[-1])
    write_table(rows, options.output, rare=RARE)


if __name__ == "__main__":
    main()
