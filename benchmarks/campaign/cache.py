"""Every face once, as pixels in one flat file: what experiments read instead of thousands of picture files.

    WORK/cache/pixels.npy     uint8, all pictures one after the other (memory-mapped)
    WORK/cache/index.jsonl    a row a picture: where it lies, its size, the face's box in it, label, set, group, family

A picture is the square of `REGION` times the face's box where the file holds as much, native pixels, at most
`LARGEST` px (then Lanczos). Native crops of photographs without a face are kept whole.

    python benchmarks/campaign/cache.py --shared SHARED --work WORK
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.photo.crops import square_window
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import FaceFinder

Pixels = NDArray[np.uint8]
Row = dict[str, Any]
REGION = 1.6
LARGEST = 640
SETS = {  # name: manifest, folder of its paths
    "camera": ("data/camera.jsonl", "data"),
    "camera2": ("data2/camera.jsonl", "data2"),
    "faces2": ("data2/faces.jsonl", "data2"),
    "portraits": ("data/portraits.jsonl", "data"),
    "sources": ("data2/sources.jsonl", "data2"),
    "avatars": ("data/avatars.jsonl", "data"),
    "fakes": ("fakes/fakes.jsonl", "fakes"),
    "dev": ("data/dev.jsonl", "data"),
}
FAMILIES = (  # the first prefix of a generator's name that fits
    ("gan", ("stylegan2", "styleswin", "stylenat", "cips", "mobilestylegan")),
    ("sd12", ("sd15", "sd21")),
    ("sd3flux", ("stable-diffusion-3", "flux1", "infinity", "sdxl")),
    ("gpt", ("gpt-image",)),
    ("score", ("ncsnpp", "vdvae", "diffusevae", "ldm")),
)


def family_of(generator: str) -> str:
    """Of which family a generator is; the issue's five."""
    return next(family for family, names in FAMILIES if generator.startswith(names))


def rows_of(shared: Path) -> Iterator[tuple[str, Path, Row]]:
    """Set, file and row of every picture."""
    for name, (manifest, folder) in SETS.items():
        for line in (shared / manifest).read_text().splitlines():
            row = json.loads(line)
            yield name, shared / folder / row["path"], row
    for line in (shared / "cases/genuine.csv").read_text().splitlines()[1:]:
        file, _, box, human, *_ = line.split(",")
        (path,) = (shared / "cases/genuine").glob(file)
        row = {"label": "photo", "box": [float(edge) for edge in box.split()], "kind": f"human-{human}"}
        yield "genuine", path, row | {"group": file, "source": "genuine", "path": f"{file}#{box}"}


def region_of(pixels: Pixels, box: list[float] | None) -> tuple[Pixels, list[float] | None]:
    """The part that is kept, and the box in it."""
    height, width = pixels.shape[:2]
    if box is None:
        return pixels, None
    x0, y0, x1, y1 = square_window(width, height, (box[0], box[1], box[2], box[3]), REGION)
    part = pixels[y0:y1, x0:x1]
    moved = [box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0]
    if (side := part.shape[0]) > LARGEST:
        part = np.asarray(Image.fromarray(part).resize((LARGEST, LARGEST), Image.Resampling.LANCZOS))
        moved = [edge * LARGEST / side for edge in moved]
    return np.ascontiguousarray(part), moved


def build(shared: Path, work: Path) -> None:
    """Write the cache."""
    finder = FaceFinder()
    folder = work / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    index: list[Row] = []
    end = 0
    with (folder / "pixels.bin").open("wb") as out:
        for name, path, row in rows_of(shared):
            pixels = open_picture(path).pixels
            box = row.get("box")
            if box is None and row.get("kind") != "native-crop":
                found = finder.find(pixels)
                if not found:
                    print("no face:", path)
                    continue
                box = list(found[0].box)
            if name != "genuine" and row.get("kind") == "native-crop":
                box = None  # a crop of a photograph, of whatever it shows
            kept, moved = region_of(pixels, box)
            out.write(kept.tobytes())
            H, W, _ = kept.shape
            label = row["label"]
            index.append(
                {
                    "at": end,
                    "H": H,
                    "W": W,
                    "box": moved,
                    "label": label,
                    "set": name,
                    "kind": row.get("kind") or row.get("track"),
                    "style": row.get("style"),
                    "group": row.get("group") or row.get("source"),
                    "generator": row.get("generator") if label == "generated" else None,
                    "family": family_of(row["generator"])
                    if label == "generated" and name == "fakes"
                    else None,
                    "track": row.get("track"),
                    "trains": name in ("camera", "camera2", "faces2", "portraits", "fakes")
                    and not row.get("research_only", False)
                    and row.get("may_train", True),
                    "format": path.suffix[1:],
                    "grey": bool(row.get("grey")),
                    "path": row["path"],
                }
            )
            end += kept.nbytes
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in index))
    print(len(index), "pictures,", end >> 20, "MiB")


class Cache:
    """Rows, and their pixels on demand."""

    def __init__(self, folder: Path) -> None:
        self.rows: list[Row] = [
            json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()
        ]
        self.flat = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")

    def pixels(self, number: int) -> Pixels:
        """Picture [H W 3] of a row."""
        row = self.rows[number]
        size = row["H"] * row["W"] * 3
        return np.asarray(self.flat[row["at"] : row["at"] + size]).reshape(row["H"], row["W"], 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    build(options.shared, options.work)
