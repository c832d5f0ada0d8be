"""What is noticed in videos: cuts from one person to another at the same place, and damage in the middle of a file.

    python benchmarks/videos.py DATA/portraits -o benchmarks/results/videos.csv

A cut is a pair of portraits, whose faces lie at about the same place of 320 x 320 pixels. A person in motion is a
portrait that is shifted, turned, squeezed, tilted, enlarged, lit otherwise and compressed, once as far as may happen in
half a second, and once twice as far; its face is found anew. Damage is 300 random bytes at a random place of a film of
two seconds, in which a portrait moves; counted is what changes a frame by more than three grey levels.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import av
import numpy as np
from common import show, write_table
from PIL import Image

from cameraborn.detect.video import _CUT, _SMALL, _difference, _is_like, _look_at
from cameraborn.errors import PictureError
from cameraborn.files import Box, Pixels
from cameraborn.photo.faces import FaceFinder
from cameraborn.photo.video import Video

PORTRAITS, CUTS, FILES = 240, 5000, 40
RATE, SECONDS = 25, 2
CODECS = {
    "H.264": ("libx264", "mp4"),
    "HEVC": ("libx265", "mp4"),
    "AV1": ("libsvtav1", "mp4"),
    "MPEG-4": ("mpeg4", "avi"),
    "MPEG-2": ("mpeg2video", "mpeg"),
    "VP8": ("libvpx", "webm"),
    "VP9": ("libvpx-vp9", "webm"),
}


def moved(picture: Image.Image, far: float, rng: np.random.Generator) -> Image.Image:
    """A portrait as another frame might show it."""
    width = picture.width
    turn = np.deg2rad(rng.uniform(-12, 12) * far)
    squeeze, zoom, slant = 1 + far * rng.uniform((-0.2, -0.12, -0.12), (0.05, 0.12, 0.12))
    turned = np.array([[np.cos(turn) * squeeze, -np.sin(turn)], [np.sin(turn) * squeeze, np.cos(turn)]])
    back = np.linalg.inv(turned @ [[1, slant - 1], [0, 1]] * zoom)
    middle = np.full(2, width / 2)
    offset = middle - back @ (middle + far * width * rng.uniform(-0.12, 0.12, 2))
    affine = (*back[0], offset[0], *back[1], offset[1])
    tilted = (1, 0, 0, 0, 1, 0, *(far / width * rng.uniform(-0.2, 0.2, 2)))
    for kind, numbers in ((Image.Transform.AFFINE, affine), (Image.Transform.PERSPECTIVE, tilted)):
        picture = picture.transform(
            picture.size, kind, numbers, Image.Resampling.BILINEAR, fillcolor=(110, 110, 110)
        )
    side = np.linspace(-1, 1, width)[None, :, None] * 0.25 * far * rng.uniform(-1, 1)
    lit = np.asarray(picture) * (1 + side) * (1 + 0.3 * far * rng.uniform(-1, 1))
    written = io.BytesIO()
    Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).save(
        written, "JPEG", quality=int(rng.integers(30, 80))
    )
    return Image.open(written).convert("RGB")


def largest_face(finder: FaceFinder, picture: Image.Image) -> Box | None:
    faces = finder.find(np.asarray(picture))
    return max(faces, key=lambda face: face.box[2] - face.box[0]).box if faces else None


def cuts_and_motion(pictures: list[Image.Image], rng: np.random.Generator) -> list[dict[str, object]]:
    finder = FaceFinder()
    shown = [(picture, box) for picture in pictures if (box := largest_face(finder, picture))]
    looks = [_look_at(picture, box) for picture, box in shown]
    small = [np.asarray(picture.convert("L").resize(_SMALL, Image.Resampling.BOX)) for picture, _ in shown]
    pairs = [rng.choice(len(shown), 2, replace=False) for _ in range(CUTS)]
    scene = np.array([_difference(small[i], small[j]) > _CUT for i, j in pairs])
    face = np.array([not _is_like(looks[i], looks[j]) for i, j in pairs])
    rows = [
        {"what": "cut", "kind": kind, "cases": CUTS, "noticed": int(seen.sum())}
        for kind, seen in (("the scene", scene), ("the face", face), ("either", scene | face))
    ]
    for kind, far in (("half a second", 0.5), ("twice as far", 1.0)):
        again = [moved(picture, far, rng) for picture, _ in shown]
        boxes = [largest_face(finder, picture) for picture in again]
        seen = [
            not _is_like(look, _look_at(picture, box))
            for look, picture, box in zip(looks, again, boxes, strict=True)
            if box
        ]
        rows.append({"what": "motion", "kind": kind, "cases": len(seen), "noticed": sum(seen)})
    return rows


def film(picture: Image.Image, codec: str, container: str) -> bytes:
    pixels = np.asarray(picture)
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
        for number in range(RATE * SECONDS):
            frame = np.ascontiguousarray(np.roll(pixels, 3 * number, 1))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return out.getvalue()


def frames_of(data: bytes) -> tuple[dict[float, Pixels], bool]:
    """What is shown at each time, and whether anything is said of damage."""
    video = Video("film", 1 / RATE, data=data)
    try:
        found = {round(time, 2): picture.pixels for time, picture in video.frames()}
    except PictureError:
        return {}, True
    return found, bool(video.notes)


def damage(picture: Image.Image, name: str, rng: np.random.Generator) -> dict[str, object]:
    data = film(picture, *CODECS[name])
    sound, _ = frames_of(data)
    harmful = noticed = 0
    for at in (len(data) * rng.uniform(0.1, 0.9, FILES)).astype(int):
        found, said = frames_of(data[:at] + rng.bytes(300) + data[at + 300 :])
        changed = [
            np.abs(pixels - sound[time].astype(int)).mean() > 3
            for time, pixels in found.items()
            if time in sound
        ]
        if any(changed) or len(found) < len(sound):
            harmful, noticed = harmful + 1, noticed + said
    return {"what": "damage", "kind": name, "cases": harmful, "noticed": noticed}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("portraits", type=Path, help="folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pictures = [Image.open(path).convert("RGB") for path in sorted(options.portraits.iterdir())[:PORTRAITS]]
    rows = cuts_and_motion(pictures, rng)
    rows += [damage(pictures[0], name, rng) for name in CODECS]
    for row in rows:
        show(row)
    write_table(rows, options.output)


if __name__ == "__main__":
    main()
