"""Write src/cameraborn/photo/cameras.csv: what photographs straight from a camera look like, a row a model.

    python tools/write_cameras.py DATA/camera.jsonl [...]

Taken are native crops, which keep the quantisation tables of the camera's file, and the size of the whole photograph;
of manifest rows that are neither `research_only` nor edited nor resized. No picture and no text of one is kept.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cameraborn.photo.jpeg import jpeg_tables

TABLE = Path(__file__).resolve().parents[1] / "src" / "cameraborn" / "photo" / "cameras.csv"
COLUMNS = ("make", "model", "photographs", "sizes", "tables")


def rows(manifests: list[Path]) -> list[tuple[str, str, int, str, str]]:
    photographs, sizes, tables = defaultdict(set), defaultdict(set), defaultdict(set)
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            camera = tuple(str(row["exif"].get(tag) or "").strip() for tag in ("make", "model"))
            straight = not (row["research_only"] or row["edited"] or row.get("resized"))
            if not straight or row["kind"] != "native-crop" or not all(camera):
                continue
            with Image.open(manifest.parent / row["path"]) as crop:
                if isinstance(crop, JpegImageFile):
                    photographs[camera].add(row.get("photo") or f"{manifest}:{row['path']}")
                    sizes[camera].add(tuple(sorted((row["width"], row["height"]))))
                    tables[camera].add(jpeg_tables(crop))
    return [
        (
            *camera,
            len(photographs[camera]),
            " ".join(f"{short}x{long}" for short, long in sorted(sizes[camera])),
            " ".join(sorted(tables[camera])),
        )
        for camera in sorted(photographs)
    ]


if __name__ == "__main__":
    found = rows([Path(name) for name in sys.argv[1:]])
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(found)
    print(f"{len(found)} models, {sum(row[2] for row in found)} photographs: {TABLE}")
