"""How far score and p-value of a face move under changes that should not matter: the documented invariances.

    python benchmarks/invariances.py PHOTOGRAPHS -o benchmarks/results/invariances.csv --every 5

Each photograph is judged as it is, and after one change that leaves the face what it was:

- mirrored: left and right change places, in a PNG; compared with the same pixels in a PNG;
- as PNG, WebP, TIFF, BMP: the same pixels in another container without loss; compared with the file as it is, whose
  JPEG quality they do not tell any more;
- from PNG to WebP: the same pixels in two containers without loss;
- EXIF orientation N: stored turned or mirrored, with the tag that turns it back, in a PNG; compared with the PNG;
- padded: one pixel more on each side, which repeats the edge, in a PNG; compared with the PNG;
- crop 5 % smaller, larger: the same face cut out at .95 and 1.05 of the bundle's scale, from the file as it is.

Columns: faces judged both times; median, 90 % quantile and largest absolute difference of the score, over the spread
(standard deviation) of the photographs' scores, and of the p-value; share of the faces whose flag changes at 5 %.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import parser_of_photographs, show, some_photographs, write_table
from PIL import Image, ImageOps

from cameraborn.detect.detector import Detector
from cameraborn.detect.observe import Observation, longer_side
from cameraborn.detect.verdict import Verdict
from cameraborn.files import Box, Pixels
from cameraborn.library import load
from cameraborn.photo.decode import Picture, open_picture

RATE = 0.05
ORIENTATION = 0x0112
STORED = {  # value of the tag -> what is done to a picture that it is to undo
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
Pair = tuple[Verdict, Verdict]


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def largest(detector: Detector, picture: Picture) -> tuple[Observation, Verdict] | None:
    """The largest face of a picture, and the verdict on it, if there is one."""
    seen = detector.observe(picture, most=1)
    verdicts = detector.verdicts(picture, seen, path=picture.name, false_alarm_rate=RATE, face_notes=False)
    return (seen[0], verdicts[0]) if seen and verdicts[0].p_value is not None else None


def changed(pixels: Pixels) -> Iterator[tuple[str, bytes]]:
    """The picture after each change to the whole of it."""
    image = Image.fromarray(pixels)
    yield "mirrored", encoded(ImageOps.mirror(image), "PNG")
    yield "from PNG to WebP", encoded(image, "WEBP", lossless=True, exact=True)
    yield "padded", encoded(Image.fromarray(np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "edge")), "PNG")
    for tag, turn in STORED.items():
        exif = Image.Exif()
        exif[ORIENTATION] = tag
        yield f"EXIF orientation {tag}", encoded(image.transpose(turn), "PNG", exif=exif)


def scaled(box: Box, scale: float) -> Box:
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, scale * longer_side(box) / 2
    return (x - half, y - half, x + half, y + half)


def pairs_of(detector: Detector, path: Path) -> Iterator[tuple[str, Pair]]:
    """A photograph before and after each change, where both are judged."""
    as_it_is = open_picture(path)
    png = open_picture(encoded(Image.fromarray(as_it_is.pixels), "PNG"))
    found, in_png = largest(detector, as_it_is), largest(detector, png)
    if found is None or in_png is None:
        return
    seen, first = found
    for format, options in {
        "PNG": {},
        "WEBP": {"lossless": True, "exact": True},
        "TIFF": {},
        "BMP": {},
    }.items():
        again = largest(detector, open_picture(encoded(Image.fromarray(as_it_is.pixels), format, **options)))
        if again is not None:
            yield f"as {format}", (first, again[1])
    for name, data in changed(as_it_is.pixels):
        again = largest(detector, open_picture(data))
        if again is not None:
            yield name, (in_png[1], again[1])
    for name, scale in (("crop 5 % smaller", 0.95), ("crop 5 % larger", 1.05)):
        crop = detector.crop(as_it_is.pixels, scaled(seen.box, scale), whole_image=False)
        if detector.observer.is_large_enough(crop):
            measured = detector.observer.measure(crop, longer_side(seen.box), as_it_is.jpeg_quality)
            other = [replace(seen, crop=crop, measured=measured)]
            (verdict,) = detector.verdicts(as_it_is, other, path="", false_alarm_rate=RATE, face_notes=False)
            if verdict.p_value is not None:
                yield name, (first, verdict)


def row(change: str, pairs: list[Pair], spread: float) -> dict[str, object]:
    scores = np.array([abs((a.score or 0) - (b.score or 0)) for a, b in pairs]) / spread
    p = np.array([abs((a.p_value or 0) - (b.p_value or 0)) for a, b in pairs])
    return {
        "change": change,
        "faces": len(pairs),
        "score_median": f"{np.median(scores):.3f}",
        "score_90": f"{np.quantile(scores, 0.9):.3f}",
        "score_largest": f"{scores.max():.3f}",
        "p_median": f"{np.median(p):.3f}",
        "p_90": f"{np.quantile(p, 0.9):.3f}",
        "p_largest": f"{p.max():.3f}",
        "flag_changes": f"{np.mean([a.flagged != b.flagged for a, b in pairs]):.3f}",
    }


def main() -> None:
    options = parser_of_photographs(__doc__).parse_args()
    detector = load(options.bundle)
    found: dict[str, list[Pair]] = defaultdict(list)
    for path in some_photographs(options):
        for change, pair in pairs_of(detector, path):
            found[change].append(pair)
    spread = float(np.std([before.score or 0 for before, _ in found["as PNG"]]))
    rows = [row(change, pairs, spread) for change, pairs in found.items()]
    for one in rows:
        show(one)
    write_table(rows, options.output, bundle=detector.bundle.info.name)


if __name__ == "__main__":
    main()
