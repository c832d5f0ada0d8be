"""How far the p-value of a face moves with the share of it that damage to the file affects.

    python benchmarks/damaged_faces.py data2/faces data2/sources data/portraits --every 4

Every nth photograph is judged as it is and after damage that `damage.py` does, of a kind, in a format and at a place
drawn at random, as if no damage were known: until so many damaged files of it (`--each`) touch its largest face. So
this tells what abstaining is good for.

A row tells of the faces whose share lies in (above, up_to]. `share_of`:

- `box`: the share of the face's box that `photo.damage` says is affected, of files whose damage was noted; by it the
  detector abstains (`detect.abstain.DAMAGED_SHARE`);
- `not noted`: the share of the box's blocks of 8 x 8 pixels that differ from the sound file, of files whose damage
  nobody noticed;
- `as a check`: sound files, saved again at JPEG quality 90, which no detector should mind, and 60.

Columns: files; photographs they are of; how far their p-values moved (median and 90 % quantile of the absolute
difference to the sound file of the same format); which share is flagged at 5 %, before and after, and by how many
standard errors (of the pairs) more. A last row for each format: of so many damaged files how many were refused, noted,
and neither.
"""

from __future__ import annotations

import argparse
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from common import processor, show, write_table
from damage import DAMAGES, compressed, differing, variant
from PIL import Image

from cameraborn.detect.detector import Detector
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import PictureError
from cameraborn.files import Box, Pixels
from cameraborn.library import load
from cameraborn.photo.damage import Damage
from cameraborn.photo.decode import Picture, open_picture

RESULTS = Path(__file__).resolve().parent / "results" / "damaged_faces.csv"
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
RATE = 0.05
LEAST_BYTES = 1100  # of compressed data: some kinds of damage are 512 bytes long
DRAWS = 6  # for each damaged file that is wanted: many miss the face


@dataclass(frozen=True)
class Moved:
    """One damaged face: of which photograph, the share affected, whether noted, its p-value before and after."""

    photograph: int
    share: float
    noted: bool
    before: float
    after: float


def judged(detector: Detector, picture: Picture) -> Verdict | None:
    """The verdict on the largest face as if the file were sound."""
    sound = replace(picture, damage=Damage())
    if not (seen := detector.observe(sound, most=1)):
        return None
    (verdict,) = detector.verdicts(sound, seen, path="", false_alarm_rate=RATE, face_notes=False)
    return verdict if verdict.p_value is not None else None


class Damaged:
    """One photograph in the formats, each judged when it is asked for."""

    def __init__(self, detector: Detector, data: bytes) -> None:
        self._detector, self._data = detector, data
        self._image = Image.open(io.BytesIO(data)).convert("RGB")
        self._sound: dict[str, tuple[bytes, Picture, Verdict] | None] = {}

    def sound(self, name: str) -> tuple[bytes, Picture, Verdict] | None:
        """The undamaged file of a format, decoded and judged; None if nothing can be said of it."""
        if name not in self._sound:
            self._sound[name] = self._judged(variant(name, self._data, self._image))
        return self._sound[name]

    def _judged(self, whole: bytes | None) -> tuple[bytes, Picture, Verdict] | None:
        if whole is None:
            return None
        begin, end = compressed(bytearray(whole))
        picture = open_picture(whole)
        verdict = judged(self._detector, picture) if end - begin > LEAST_BYTES else None
        return None if verdict is None else (whole, picture, verdict)


def moves(
    detector: Detector, number: int, data: bytes, options: argparse.Namespace, rng: np.random.Generator
) -> Iterator[tuple[str, str, Moved | None]]:
    """Format, what became of the file, and the face, if it was touched, of each damaged file."""
    damaged, found = Damaged(detector, data), 0
    for _ in range(DRAWS * options.each):
        name = str(rng.choice(options.format))
        if found == options.each or (sound := damaged.sound(name)) is None:
            return
        whole, before, verdict = sound
        changed = bytearray(whole)
        DAMAGES[name][str(rng.choice(list(DAMAGES[name])))](changed, rng)
        try:
            picture = open_picture(bytes(changed))
        except PictureError:
            yield name, "refused", None
            continue
        fate = "noted" if picture.damage.notes else "not noted"
        share = share_of_face(picture, before, verdict.box or (0, 0, 0, 0))
        after = judged(detector, picture) if share else None
        if after is None or after.box is None or not same_face(after.box, verdict.box or after.box):
            yield name, fate, None
            continue
        found += 1
        yield (
            name,
            fate,
            Moved(number, share, fate == "noted", verdict.p_value or 0.0, after.p_value or 0.0),
        )


def share_of_face(picture: Picture, sound: Picture, box: Box) -> float:
    """The share of a face that is affected: what the picture says of itself, or else how much of it differs."""
    if picture.damage.notes:
        return picture.damage.share_of(box)
    if picture.pixels.shape != sound.pixels.shape:
        return 1.0
    inside = tuple(slice(max(0, int(box[i])), max(8, int(box[i + 2]))) for i in (1, 0))
    return float(differing(cut(picture.pixels, inside), cut(sound.pixels, inside)).mean())


def cut(pixels: Pixels, inside: tuple[slice, ...]) -> Pixels:
    return pixels[inside]


def same_face(a: Box, b: Box) -> bool:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0) > 0.5 * (a[2] - a[0]) * (a[3] - a[1])


def saved_again(detector: Detector, number: int, data: bytes, quality: int) -> Iterator[Moved]:
    stream = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(stream, "JPEG", quality=quality)
    before, after = (judged(detector, open_picture(one)) for one in (data, stream.getvalue()))
    if before is not None and after is not None:
        yield Moved(number, 0.0, noted=False, before=before.p_value or 0.0, after=after.p_value or 0.0)


def row(share_of: str, above: float | str, up_to: float | str, some: Sequence[Moved]) -> dict[str, object]:
    told: dict[str, object] = {"share_of": share_of, "above": above, "up_to": up_to, "files": len(some)}
    if not some:
        return told
    before, after = (np.array([getattr(one, name) for one in some]) for name in ("before", "after"))
    far, more = np.abs(after - before), (after <= RATE).astype(float) - (before <= RATE)
    error = more.std() / np.sqrt(len(more))
    return told | {
        "photographs": len({one.photograph for one in some}),
        "moved_median": f"{np.median(far):.3f}",
        "moved_90": f"{np.quantile(far, 0.9):.3f}",
        "flagged_before": f"{np.mean(before <= RATE):.3f}",
        "flagged_after": f"{np.mean(after <= RATE):.3f}",
        "standard_errors_more": f"{more.mean() / error:.1f}" if error else "0.0",
    }


def table(
    found: Sequence[Moved], checks: dict[str, list[Moved]], fates: Counter[tuple[str, str]]
) -> Iterator[dict[str, object]]:
    for name, some in checks.items():
        yield row(f"as a check: {name}", "", "", some)
    for share_of in ("box", "not noted"):
        those = [one for one in found if one.noted == (share_of == "box")]
        for above, up_to in pairwise(EDGES):
            yield row(share_of, above, up_to, [one for one in those if above < one.share <= up_to + 1e-9])
    for name in sorted({format for format, _ in fates}):
        counts = {fate: fates[name, fate] for fate in ("refused", "noted", "not noted")}
        yield {
            "share_of": f"format: {name}",
            "files": sum(counts.values()),
            **{fate.replace(" ", "_"): count for fate, count in counts.items()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders of photographs")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every nth photograph")
    parser.add_argument(
        "--each", type=int, default=5, help="damaged files of a photograph that touch its face"
    )
    parser.add_argument("--format", nargs="+", choices=DAMAGES, default=list(DAMAGES), help="of `damage.py`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    detector, rng = load(options.bundle), np.random.default_rng(options.seed)
    found: list[Moved] = []
    fates: Counter[tuple[str, str]] = Counter()
    checks: dict[str, list[Moved]] = {"saved again at quality 90": [], "saved again at quality 60": []}
    paths = [path for folder in options.folders for path in sorted(folder.iterdir())[:: options.every]]
    for number, path in enumerate(paths):
        data = path.read_bytes()
        for name, fate, moved in moves(detector, number, data, options, rng):
            fates[name, fate] += 1
            found += [] if moved is None else [moved]
        for some, quality in zip(checks.values(), (90, 60), strict=True):
            some += saved_again(detector, number, data, quality)
        if number % 10 == 0:
            print(f"{number} of {len(paths)} photographs, {len(found)} damaged faces", flush=True)
    rows = list(table(found, checks, fates))
    for one in rows:
        show(one)
    write_table(rows, options.output, machine=f"{os.cpu_count()} cores, {processor()}")


if __name__ == "__main__":
    main()
