"""How far the p-value of a face moves with the share of it that damage to the file affects.

    python benchmarks/damaged_faces.py PHOTOGRAPHS -o benchmarks/results/damaged_faces.csv --every 5

Every nth photograph is judged as it is and after each kind of damage that `damage.py` does to JPEG and
PNG files, at places drawn at random, as if no damage were known. A row tells of the faces whose affected share lies in
(above, up_to]: of the face's box, or of the crop that the network sees. Rows of `as a check` are sound files: saved
again at JPEG quality 90, which no detector should mind, and 60.

Columns: faces; how far their p-values moved (median and 90 % quantile of the absolute difference to the photograph as
it is); which share is flagged at 5 %, before and after. The detector abstains (`damaged`) above a tenth of the box
(`detect.abstain.DAMAGED_SHARE`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from common import parser_of_photographs, show, some_photographs, write_table
from damage import DAMAGES, compressed, variants
from PIL import Image

from cameraborn.detect.detector import Detector, load
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import PictureError
from cameraborn.files import Box
from cameraborn.photo.crops import square_window
from cameraborn.photo.damage import Damage
from cameraborn.photo.decode import open_picture

EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
RATE = 0.05
LEAST_BYTES = 1100  # of compressed data: some kinds of damage are 512 bytes long


@dataclass(frozen=True)
class Moved:
    """One damaged face: shares affected, and its p-value before and after."""

    box: float
    crop: float
    before: float
    after: float


def judged(detector: Detector, data: bytes) -> tuple[Verdict | None, Damage]:
    """The verdict on the largest face as if the file were sound, and what is known of its damage."""
    picture = open_picture(data)
    sound = replace(picture, damage=Damage())
    seen = detector.observe(sound, most=1)
    if not seen:
        return None, picture.damage
    (verdict,) = detector.verdicts_on(sound, seen, path="", false_alarm_rate=RATE)
    return (verdict if verdict.p_value is not None else None), picture.damage


def damaged(data: bytes, formats: Sequence[str], rng: np.random.Generator) -> Iterator[bytes]:
    """The file after each kind of damage, in some formats."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    for variant, whole in variants(data, image, all_of_them=list(formats) != ["baseline"]):
        if variant not in formats:
            continue
        begin, end = compressed(bytearray(whole))
        if end - begin > LEAST_BYTES:
            for damage in DAMAGES[variant].values():
                changed = bytearray(whole)
                damage(changed, rng)
                yield bytes(changed)


def same_face(a: Box, b: Box) -> bool:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0) > 0.5 * (a[2] - a[0]) * (a[3] - a[1])


def moves(
    detector: Detector, data: bytes, formats: Sequence[str], rng: np.random.Generator
) -> Iterator[Moved]:
    before, _ = judged(detector, data)
    if before is None or before.p_value is None or before.box is None:
        return
    scale = detector.bundle.info.crop_scale
    for changed in damaged(data, formats, rng):
        try:
            after, damage = judged(detector, changed)
        except PictureError:
            continue
        if (
            not damage.notes
            or after is None
            or after.p_value is None
            or after.box is None
            or not same_face(after.box, before.box)
        ):
            continue
        window = square_window(after.width or 0, after.height or 0, after.box, scale)
        crop = damage.share_of((window[0], window[1], window[2], window[3]))
        yield Moved(damage.share_of(after.box), crop, before.p_value, after.p_value)


def saved_again(detector: Detector, data: bytes, quality: int) -> Iterator[Moved]:
    stream = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(stream, "JPEG", quality=quality)
    before, after = judged(detector, data)[0], judged(detector, stream.getvalue())[0]
    if before is not None and after is not None:
        yield Moved(0.0, 0.0, before.p_value or 0.0, after.p_value or 0.0)


def row(share_of: str, above: float | str, up_to: float | str, some: list[Moved]) -> dict[str, object]:
    far = np.array([abs(one.after - one.before) for one in some])
    return {
        "share_of": share_of,
        "above": above,
        "up_to": up_to,
        "faces": len(some),
        "moved_median": f"{np.median(far):.3f}" if some else "",
        "moved_90": f"{np.quantile(far, 0.9):.3f}" if some else "",
        "flagged_before": f"{np.mean([one.before <= RATE for one in some]):.3f}" if some else "",
        "flagged_after": f"{np.mean([one.after <= RATE for one in some]):.3f}" if some else "",
    }


def table(found: list[Moved], checks: dict[str, list[Moved]]) -> Iterator[dict[str, object]]:
    for name, some in checks.items():
        yield row(f"as a check: {name}", "", "", some)
    for share_of in ("box", "crop"):
        shares = np.array([getattr(one, share_of) for one in found])
        yield row(share_of, "", 0.0, [one for one, share in zip(found, shares, strict=True) if share == 0])
        for above, up_to in pairwise(EDGES):
            inside = (shares > above) & (shares <= up_to + 1e-9)
            yield row(share_of, above, up_to, [one for one, here in zip(found, inside, strict=True) if here])


def main() -> None:
    parser = parser_of_photographs(__doc__)
    parser.add_argument("--format", nargs="+", choices=DAMAGES, default=list(DAMAGES), help="of `damage.py`")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    detector, rng = load(options.bundle), np.random.default_rng(options.seed)
    found: list[Moved] = []
    checks: dict[str, list[Moved]] = {"saved again at quality 90": [], "saved again at quality 60": []}
    paths = some_photographs(options)
    for number, path in enumerate(paths):
        data = path.read_bytes()
        found += moves(detector, data, options.format, rng)
        for some, quality in zip(checks.values(), (90, 60), strict=True):
            some += saved_again(detector, data, quality)
        if number % 5 == 0:
            print(f"{number} of {len(paths)} photographs, {len(found)} damaged faces", flush=True)
    rows = list(table(found, checks))
    for one in rows:
        show(one)
    write_table(rows, options.output)


if __name__ == "__main__":
    main()
