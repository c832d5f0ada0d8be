"""Whether the EXIF of a camera is there, complete, and agrees with itself, with the picture and with that camera.

EXIF 2.32 (CIPA DC-008) says how its values hang together. A *doubt* is a contradiction that cameras do not write,
though old editors do; a *note* is what saving again explains just as well, or what photographs of the same camera show.
A forger can write values that agree: this is a look at a claim, no proof.

Limits are wider than what photographs show whose cameras we know (`tools/write_cameras.py` reads the same ones). 441
write a brightness that is not 0, which phones write where they measured none. It is up to 3.7 steps away from f-number,
time and ISO in the 323 that were exposed automatically and without a flash, but for two of one photographer's that
Lightroom saved, which are 8.1 and 9.4 steps away; and up to 6.6 in the others, as who sets the exposure by hand or
lights the scene leaves the meter alone. A focal length of 35 mm film is up to 20 times the real one, with digital zoom.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cameraborn.photo.exif import MALFORMED, Exif, pillow_warnings_silenced, read_exif, read_ifds
from cameraborn.photo.jpeg import jpeg_tables
from cameraborn.photo.provenance_editors import EDITORS
from cameraborn.photo.provenance_fields import thumbnail_of
from cameraborn.photo.provenance_lens import lens_doubts, number_of

CameraCheck = Literal["plausible", "incomplete", "contradictory"]
_APEX_STEPS = 0.5  # EV; values are rounded to thirds
_BRIGHTNESS_STEPS, _METERED_STEPS = 10.0, 5.0  # EV; where the camera exposed by what it measured
_MANUAL = 1  # of the exposure's program and mode alike
_FLASH_FIRED = 1  # bit
_SAME_SCENE = 0.5  # correlation of thumbnail and picture, 24 x 24 grey
_FLAT = 4.0  # grey levels of standard deviation, below which a correlation says nothing
_APERTURE_VALUE, _SHUTTER_VALUE, _MAKER_NOTE = 0x9202, 0x9201, 0x927C
_WIDTH, _HEIGHT, _CHANGED, _TAKEN = 0xA002, 0xA003, 0x0132, 0x9003
_MAKERS_WITH_NOTES = re.compile(
    r"(?i)^(?:apple|canon|casio|eastman kodak|fuji|hasselblad|jvc|konica|leica|minolta|nikon|olympus|om digital|"
    r"panasonic|pentax|ricoh|sanyo|sigma|sony)"  # of Samsung's phones many write none
)
_FIRST_EXIF = date(1995, 10, 1)  # version 1.0 was published in that month
_EPOCHS = (1904, 1969, 1970, 1979, 1980)  # years in which clocks begin that nobody has set
_LAST_KNOWN = date(2026, 11, 1)  # a computer's clock that is earlier is wrong itself
_A_DAY = timedelta(days=1)
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) \d\d:\d\d:\d\d", re.ASCII)


@dataclass(frozen=True)
class Camera:
    """What EXIF says of a camera."""

    name: str  # make and model
    check: CameraCheck
    doubts: tuple[str, ...]  # contradictions
    notes: tuple[str, ...]


@dataclass(frozen=True)
class KnownCamera:
    """What photographs straight from one model look like."""

    photographs: int
    sizes: frozenset[tuple[int, int]]  # shorter and longer side, pixels
    tables: frozenset[str]  # fingerprints of quantisation tables (`photo.jpeg.jpeg_tables`)


def camera_of(image: Image.Image) -> Camera | None:
    """The camera that EXIF names, and what speaks against it; None where no make or model is named.

    Args:
        image: the opened file; its thumbnail is compared only if it is a JPEG that is not loaded yet.
    """
    exif = read_exif(image)
    name = camera_name(exif)
    if name is None:
        return None
    with pillow_warnings_silenced():
        ifds = read_ifds(image)
    tags = {**ifds["IFD0"], **ifds["Exif"]}
    notes = (*_lost(exif, tags, image), *_as_others(exif, image))
    # The thumbnail comes last: the picture is opened smaller for it.
    doubts = (*_exposure(exif, tags), *lens_doubts(exif, tags), *_dates(tags), *_thumbnail(image))
    complete = None not in (exif.fnumber, exif.exposure_time_s, exif.iso)
    check: CameraCheck = "contradictory" if doubts else "plausible" if complete else "incomplete"
    return Camera(name, check, doubts, notes)


def camera_name(exif: Exif) -> str | None:
    """Make and model as people say them; None where both are missing, or are no name but a text of a generator's."""
    make, model = exif.make or "", exif.model or ""
    if len(make) > 60 or len(model) > 60 or "{" in make + model:
        return None
    repeated = model.lower().startswith(make.split(" ")[0].lower())
    return (model if repeated else f"{make} {model}").strip() or None


def _exposure(exif: Exif, tags: Mapping[int, object]) -> Iterator[str]:
    """Aperture and time are often written twice, and hang together with brightness (Exif 2.32, annex C)."""
    n, t = exif.fnumber, exif.exposure_time_s
    aperture, shutter = number_of(tags.get(_APERTURE_VALUE)), number_of(tags.get(_SHUTTER_VALUE))
    # 0 stands for a lens that the camera does not know.
    if n is not None and aperture and abs(2 * math.log2(n) - aperture) > _APEX_STEPS:
        yield f"f-number {n:g} contradicts the aperture value, which is f/{2 ** (aperture / 2):.1f}"
    if t is not None and shutter and abs(-math.log2(t) - shutter) > _APEX_STEPS:
        yield f"exposure time {t:.4g} s contradicts the shutter speed value, which is {2.0**-shutter:.4g} s"
    if n is None or t is None or exif.iso is None or not exif.brightness_ev:  # 0 is written for unknown
        return
    brightness = 2 * math.log2(n) - math.log2(t) - math.log2(exif.iso / 3.125)
    if abs(brightness - exif.brightness_ev) > (_METERED_STEPS if _is_metered(exif) else _BRIGHTNESS_STEPS):
        yield (
            f"brightness {exif.brightness_ev:.1f} EV is far from the {brightness:.1f} EV "
            "of f-number, exposure time and ISO"
        )


def _is_metered(exif: Exif) -> bool:
    """Whether the camera set the exposure by the light that it found, and no editor is named."""
    manual = _MANUAL in (exif.exposure_program, exif.exposure_mode)
    return not manual and not (exif.flash or 0) & _FLASH_FIRED and not EDITORS.search(exif.software or "")


def _dates(tags: Mapping[int, object]) -> Iterator[str]:
    taken, changed = _date(tags.get(_TAKEN)), _date(tags.get(_CHANGED))
    if (first := taken or changed) is None:
        return
    # A day apart may be a time zone.
    if first - max(date.today(), _LAST_KNOWN) > _A_DAY:
        yield f"dated {first}, which is in the future"
    if first < _FIRST_EXIF and first.year not in _EPOCHS:
        yield f"dated {first}, before cameras wrote EXIF"
    if taken and changed and taken - changed > _A_DAY:
        yield f"taken on {taken}, after the file was changed on {changed}"


def _date(value: object) -> date | None:
    match = _DATE.match(value) if isinstance(value, str) else None
    try:
        return None if match is None else date(*map(int, match.groups()))
    except ValueError:  # 0000:00:00 is unknown
        return None


def _thumbnail(image: Image.Image) -> Iterator[str]:
    """A picture that was put into the file of another keeps the other's thumbnail."""
    encoded = thumbnail_of(image) if isinstance(image, JpegImageFile) else None
    if encoded is None:
        return
    size = image.size
    try:
        with pillow_warnings_silenced(), JpegImageFile(io.BytesIO(encoded)) as small:
            small.draft("L", (160, 160))
            thumbnail = small.convert("L")
            image.draft("L", (160, 160))
            picture = image.convert("L")
    except (*MALFORMED, EOFError, Image.DecompressionBombError):
        return  # damage is told elsewhere
    if max(_likenesses(picture, thumbnail, size), default=1.0) < _SAME_SCENE:
        yield "the thumbnail shows another picture"


def _likenesses(picture: Image.Image, thumbnail: Image.Image, size: tuple[int, int]) -> Iterator[float]:
    """Correlations with the thumbnail, turned each way, with and without bars at two of its sides."""
    wanted = _grey(picture)
    for turned in (thumbnail.rotate(angle, expand=True) for angle in (0, 90, 180, 270)):
        for candidate in (turned, _without_bars(turned, size[0] / size[1])):
            found = _grey(candidate)
            if min(wanted.std(), found.std()) < _FLAT:
                yield 1.0
            else:
                yield float(np.corrcoef(wanted.ravel(), found.ravel())[0, 1])


def _grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((24, 24), Image.Resampling.BOX), dtype=np.float64)


def _without_bars(image: Image.Image, ratio: float) -> Image.Image:
    width = min(image.width, round(image.height * ratio))
    height = min(image.height, round(image.width / ratio))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + max(1, width), top + max(1, height)))


def _lost(exif: Exif, tags: Mapping[int, object], image: Image.Image) -> Iterator[str]:
    """What saving again changes."""
    if _MAKER_NOTE not in tags and _MAKERS_WITH_NOTES.match(exif.make or ""):
        yield "no maker note, which this maker's cameras write: saved again, or never written by one"
    stated = (tags.get(_WIDTH), tags.get(_HEIGHT))
    if all(type(side) is int and side > 0 for side in stated) and stated not in (
        image.size,
        image.size[::-1],
    ):
        yield f"EXIF says {stated[0]} x {stated[1]} pixels, the picture has {image.size[0]} x {image.size[1]}"


def _as_others(exif: Exif, image: Image.Image) -> Iterator[str]:
    """Compared with photographs straight from the same model, if we know any."""
    known = known_cameras().get(_key(exif.make or "", exif.model or ""))
    if known is None or not isinstance(image, JpegImageFile):
        return
    count = f"{known.photographs} photograph{'s' * (known.photographs > 1)} of this model that we know"
    size = (min(image.size), max(image.size))
    alike = jpeg_tables(image) in known.tables
    yield f"quantisation tables {'as in' if alike else 'in none of the'} {count}" + (
        "" if size in known.sizes else f"; size {size[1]} x {size[0]} in none of them"
    )


def _key(make: str, model: str) -> tuple[str, str]:
    return make.strip().lower(), model.strip().lower()


@lru_cache(maxsize=1)
def known_cameras() -> Mapping[tuple[str, str], KnownCamera]:
    """Make and model, in small letters -> what is known; written by `tools/write_cameras.py`."""
    table = Path(__file__).with_name("cameras.csv").read_text(encoding="utf-8")
    return {
        _key(row["make"], row["model"]): KnownCamera(
            int(row["photographs"]),
            frozenset(_size(size) for size in row["sizes"].split()),
            frozenset(row["tables"].split()),
        )
        for row in csv.DictReader(table.splitlines())
    }


def _size(text: str) -> tuple[int, int]:
    short, _, long = text.partition("x")
    return int(short), int(long)
