"""Small data sets with a leak, or without."""

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageCms

from cameraborn.data.manifest import Row, sha256_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@dataclass
class Storage:
    """How the pictures of one label are made and stored."""

    format: str = "JPEG"
    side: int = 64
    width: int | None = None
    gain: float = 0.0
    options: dict = field(default_factory=lambda: {"quality": 85})


def texture(rng, side, width=None, gain=0.0):
    """Pixels of a random soft pattern."""
    coarse = Image.fromarray(rng.integers(30, 200, (8, 8, 3), np.uint8))
    soft = np.asarray(coarse.resize((width or side, side), Image.Resampling.BICUBIC), np.float64)
    return (soft + rng.normal(gain, 4, soft.shape)).clip(0, 255).astype(np.uint8)


def store(pixels, path, format, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    path.write_bytes(buffer.getvalue())
    return path


def dataset(folder, *, count=40, photo=None, generated=None, seed=0):
    """Rows of `count` pictures of each label."""
    rng = np.random.default_rng(seed)
    rows = []
    for label, storage in (("photo", photo or Storage()), ("generated", generated or Storage())):
        for number in range(count):
            pixels = texture(rng, storage.side, storage.width, storage.gain)
            path = store(pixels, folder / label / str(number), storage.format, **storage.options)
            rows.append(Row(path=str(path), sha256=sha256_of(path), label=label))
    return rows


def exif():
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    return tags


LEAKS = {
    "format": Storage(format="PNG", options={}),
    "dimensions": Storage(side=96),
    "aspect": Storage(width=80),
    "JPEG quality": Storage(options={"quality": 70}),
    "chroma subsampling": Storage(options={"quality": 85, "subsampling": "4:4:4"}),
    "ICC profile": Storage(options={"quality": 85, "icc_profile": SRGB}),
    "EXIF": Storage(options={"quality": 85, "exif": exif()}),
    "brightness": Storage(gain=25),
    "bytes a pixel": Storage(options={"quality": 30}),
}
