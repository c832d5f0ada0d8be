"""How much of the damage done to picture files is noticed, how well it is placed, and how often a sound file is blamed.

    python benchmarks/damage.py portraits/ faces/ -o benchmarks/results/damage.csv

Four minutes on one core. Every file is decoded as it is; every nth is also saved anew as a
progressive JPEG, as one with restart markers, as one with codes of its own (optimised), as PNG, WebP, AVIF and GIF, and
as TIFF in strips that are JPEGs, deflated, or compressed with LZW; each of these is damaged in every way that applies,
at a random place. Columns:

- files, refused: how many there were, and of how many `open_picture` made an error;
- noted: how many of the rest have a note;
- visible: of how many of the rest at least 1 % of the 8-pixel blocks differ from the undamaged by 4 levels or more;
- found: which share of the visible ones has boxes; covered: which share of the differing blocks lies in them;
- spared: which share of the blocks that do not differ lies outside;
- unnoticed: which share of all files gives a plain verdict on a face of which more than a tenth differs, for a face in
  the middle half of the picture.

Undamaged files are counted in the same columns: there, every note is a false alarm.
"""

from __future__ import annotations

import argparse
import io
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from common import processor, write_table
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.files import Pixels
from cameraborn.photo.decode import Picture, open_picture
from cameraborn.photo.jpeg_parts import jpeg_parts

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "damage.csv"
Damager = Callable[[bytearray, np.random.Generator], None]
LEVELS, VISIBLE, MANY = 4, 0.01, 0.1


def compressed(data: bytearray, margin: int = 0) -> tuple[int, int]:
    """Where the compressed data lie, of a JPEG those of its largest scan."""
    if data[:4] == b"II*\0":
        tags = Image.open(io.BytesIO(data)).tag_v2  # type: ignore[attr-defined]
        return tags[273][0], max(tags[273][0] + 1, tags[273][-1] + tags[279][-1] - margin)
    if data[:3] == b"GIF":
        return 800, len(data) - 2 - margin  # behind the palette
    if data[:2] != b"\xff\xd8":
        start = next(data.index(name) for name in (b"IDAT", b"VP8", b"mdat") if name in data) + 8
        end = data.rindex(b"IEND") - 8 if data[:4] == b"\x89PNG" else len(data)
        return start, max(start + 1, end - margin)
    scans = jpeg_parts(bytes(data)).scans
    scan = max(scans, key=lambda scan: scan.end - scan.start)
    return scan.start, max(scan.start + 1, scan.end - margin)


def overwrite(length: int, random: bool) -> Damager:
    def damage(data: bytearray, rng: np.random.Generator) -> None:
        at = int(rng.integers(*compressed(data, length)))
        data[at : at + length] = rng.bytes(length) if random else bytes(length)

    return damage


def lose(length: int) -> Damager:
    def damage(data: bytearray, rng: np.random.Generator) -> None:
        at = int(rng.integers(*compressed(data, length)))
        del data[at : at + length]

    return damage


def cut(ended: bool) -> Damager:
    def damage(data: bytearray, rng: np.random.Generator) -> None:
        del data[int(rng.integers(*compressed(data))) :]
        data += b"\xff\xd9" if ended else b""

    return damage


def without_end(data: bytearray, rng: np.random.Generator) -> None:
    del data[-2 if data[:2] == b"\xff\xd8" else -12 :]


def lose_restart(data: bytearray, rng: np.random.Generator) -> None:
    at, _ = restarts(data)[int(rng.integers(len(restarts(data))))]
    del data[at : at + 2]


def swap_restarts(data: bytearray, rng: np.random.Generator) -> None:
    marks = restarts(data)
    place = int(rng.integers(len(marks) - 1))
    for (at, _), (_, number) in zip(marks[place : place + 2], marks[place : place + 2][::-1], strict=True):
        data[at + 1] = 0xD0 + number


def restarts(data: bytearray) -> tuple[tuple[int, int], ...]:
    return jpeg_parts(bytes(data)).scans[0].restarts


def lose_scans(data: bytearray, rng: np.random.Generator) -> None:
    scans = jpeg_parts(bytes(data)).scans
    data[scans[int(rng.integers(len(scans) - 1))].end :] = b"\xff\xd9"


def lose_scan(data: bytearray, rng: np.random.Generator) -> None:
    scans = jpeg_parts(bytes(data)).scans
    scan = scans[int(rng.integers(len(scans)))]
    del data[data.rindex(b"\xff\xda", 0, scan.start) : scan.end]


def lose_rows(data: bytearray, rng: np.random.Generator) -> None:
    """All rows from one on, in a file that is in order otherwise."""
    start = data.index(b"IDAT") - 4
    compressed, at = b"", start
    while data[at + 4 : at + 8] == b"IDAT":
        length = int.from_bytes(data[at : at + 4], "big")
        compressed += data[at + 8 : at + 8 + length]
        at += 12 + length
    rows = zlib.decompress(compressed)
    height = int.from_bytes(data[20:24], "big")
    kept = zlib.compress(rows[: len(rows) // height * int(rng.integers(1, height))])
    chunk = b"IDAT" + kept
    data[start:at] = len(kept).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


def wrong_checksum(data: bytearray, rng: np.random.Generator) -> None:
    at = data.index(b"IDAT")
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1


BYTES: dict[str, Damager] = {
    "one byte changed": overwrite(1, True),
    "16 random bytes": overwrite(16, True),
    "512 random bytes": overwrite(512, True),
    "64 zeros": overwrite(64, False),
    "512 zeros": overwrite(512, False),
    "512 bytes lost": lose(512),
    "cut": cut(False),
    "without its end": without_end,
}
JPEG = BYTES | {"cut, with an end marker": cut(True)}
DAMAGES: dict[str, dict[str, Damager]] = {
    "baseline": JPEG,
    "optimised": {name: JPEG[name] for name in ("one byte changed", "512 random bytes", "512 zeros")},
    "restarts": {"restart marker lost": lose_restart, "restart markers swapped": swap_restarts}
    | {
        name: JPEG[name]
        for name in ("16 random bytes", "512 zeros", "512 bytes lost", "cut, with an end marker")
    },
    "progressive": {"scans lost": lose_scans, "one scan lost": lose_scan} | JPEG,
    "PNG": BYTES | {"wrong checksum": wrong_checksum, "rows lost": lose_rows},
    "WebP": BYTES,
    "AVIF": BYTES,
    "GIF": BYTES,
    "TIFF, JPEG": BYTES,
    "TIFF, deflate": BYTES,
    "TIFF, LZW": BYTES,
}
SAVED: dict[str, dict[str, object]] = {
    "optimised": {"format": "JPEG", "quality": 85, "optimize": True},
    "restarts": {"format": "JPEG", "quality": 85, "restart_marker_rows": 1},
    "progressive": {"format": "JPEG", "quality": 85, "progressive": True},
    "PNG": {"format": "PNG"},
    "WebP": {"format": "WEBP", "quality": 85},
    "AVIF": {"format": "AVIF", "quality": 75, "speed": 9},
    "GIF": {"format": "GIF"},
    "TIFF, JPEG": {"format": "TIFF", "compression": "jpeg", "quality": 85},
    "TIFF, deflate": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "TIFF, LZW": {"format": "TIFF", "compression": "tiff_lzw"},
}


def variant(name: str, data: bytes, image: Image.Image) -> bytes | None:
    """A file in one of the formats; None if it would be `baseline` and is not."""
    if name == "baseline":
        return data if data[:2] == b"\xff\xd8" and len(jpeg_parts(data).scans) == 1 else None
    stream = io.BytesIO()
    image.save(stream, **SAVED[name])  # type: ignore[arg-type]
    return stream.getvalue()


def variants(data: bytes, image: Image.Image, all_of_them: bool) -> Iterator[tuple[str, bytes]]:
    for name in DAMAGES if all_of_them else ("baseline",):
        if (whole := variant(name, data, image)) is not None:
            yield name, whole


@dataclass
class Tally:
    files: int = 0
    refused: int = 0
    noted: int = 0
    visible: int = 0
    found: int = 0
    unnoticed: int = 0
    covered: list[float] = field(default_factory=list)
    spared: list[float] = field(default_factory=list)

    def add(self, data: bytes, sound: Picture) -> None:
        self.files += 1
        try:
            picture = open_picture(data)
        except PictureError:
            self.refused += 1
            return
        self.noted += bool(picture.damage.notes)
        if picture.pixels.shape != sound.pixels.shape:
            return
        differs, marked = differing(picture.pixels, sound.pixels), blocks_in_boxes(picture)
        rows, columns = differs.shape
        middle = differs[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
        height, width = sound.pixels.shape[:2]
        face = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        self.unnoticed += bool(middle.mean() > MANY and picture.damage.share_of(face) <= MANY)
        if differs.mean() < VISIBLE:
            return
        self.visible += 1
        if picture.damage.boxes:
            self.found += 1
            self.covered.append(float(marked[differs].mean()))
            if not differs.all():
                self.spared.append(float(1 - marked[~differs].mean()))

    def row(self, **names: str) -> dict[str, object]:
        def mean(values: list[float]) -> str:
            return f"{np.mean(values):.3f}" if values else ""

        return {
            **names,
            "files": self.files,
            "refused": self.refused,
            "noted": self.noted,
            "visible": self.visible,
            "found": f"{self.found / self.visible:.3f}" if self.visible else "",
            "covered": mean(self.covered),
            "spared": mean(self.spared),
            "unnoticed": f"{self.unnoticed / self.files:.4f}",
        }


def differing(pixels: Pixels, others: Pixels) -> np.ndarray:
    """Whether each block of 8 x 8 pixels differs, [R C]."""
    far = np.abs(pixels.astype(np.int16) - others).mean(axis=-1)
    rows, columns = far.shape[0] // 8, far.shape[1] // 8
    return far[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8).mean(axis=(1, 3)) >= LEVELS


def blocks_in_boxes(picture: Picture) -> np.ndarray:
    rows, columns = picture.pixels.shape[0] // 8, picture.pixels.shape[1] // 8
    marked = np.zeros((rows, columns), bool)
    for x0, y0, x1, y1 in picture.damage.boxes:
        marked[int(y0) // 8 : -int(-y1 // 8), int(x0) // 8 : -int(-x1 // 8)] = True
    return marked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="save anew and damage every nth file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    started = time.perf_counter()
    paths = [path for folder in options.folders for path in sorted(folder.glob("*.*"))]
    for number, path in enumerate(paths):
        data = path.read_bytes()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for variant, whole in variants(data, image, all_of_them=number % options.every == 0):
            sound = open_picture(whole)
            tallies[variant, "undamaged"].add(whole, sound)
            if number % options.every:
                continue
            for name, damage in DAMAGES[variant].items():
                damaged = bytearray(whole)
                if compressed(damaged, 0)[1] - compressed(damaged, 0)[0] > 1100:
                    damage(damaged, rng)
                    tallies[variant, name].add(bytes(damaged), sound)
        if number % 100 == 0:
            print(f"{number} of {len(paths)} files, {time.perf_counter() - started:.0f} s", flush=True)
    rows = [tally.row(format=variant, damage=name) for (variant, name), tally in sorted(tallies.items())]
    for row in rows:
        print(row)
    write_table(rows, options.output, machine=processor())


if __name__ == "__main__":
    main()
