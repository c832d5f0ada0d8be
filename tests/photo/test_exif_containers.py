"""EXIF in every container, in the first directory of TIFF/EP and DNG, and ISO by its other names: against exiftool."""

import json
import shutil
import struct
import subprocess
import zlib
from io import BytesIO

import pytest
from PIL import Image

from cameraborn.photo.decode import heic_available, open_picture
from cameraborn.photo.exif import Exif
from tests.photo.test_exif import (
    EXPOSURE,
    FNUMBER,
    FOCAL,
    ISO,
    LONG,
    RATIONAL,
    SHORT,
    TYPICAL,
    TYPICAL_VALUES,
    block,
    ifd_bytes,
)

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="the oracle is exiftool: apt-get install libimage-exiftool-perl"
)
SENSITIVITY_TYPE, SOS, REI, ISO_SPEED = 0x8830, 0x8831, 0x8832, 0x8833
NAMES = {
    "iso": "ISO",
    "fnumber": "FNumber",
    "exposure_time_s": "ExposureTime",
    "focal_length_mm": "FocalLength",
    "focal_35mm": "FocalLengthIn35mmFormat",
    "exposure_bias_ev": "ExposureCompensation",
    "brightness_ev": "BrightnessValue",
    "make": "Make",
    "model": "Model",
    "flash": "Flash",
    "metering": "MeteringMode",
    "exposure_mode": "ExposureMode",
    "white_balance": "WhiteBalance",
    "exposure_program": "ExposureProgram",
    "scene_type": "SceneCaptureType",
    "software": "Software",
}


def exiftool(path):
    run = subprocess.run(["exiftool", "-j", "-n", path], capture_output=True, check=True, text=True)
    return json.loads(run.stdout)[0]


def agrees(path, found):
    theirs = exiftool(path)
    values = found.to_mapping()
    assert values
    for name, ours in values.items():
        assert theirs[NAMES[name]] == (ours if isinstance(ours, str) else pytest.approx(ours, rel=1e-6)), name


def encoded(format, exif):
    image = Image.new("RGB", (64, 64), "grey")
    stream = BytesIO()
    if format == "HEIF":
        from pillow_heif import from_pillow

        from_pillow(image).save(stream, exif=exif)
    else:
        image.save(stream, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    return stream.getvalue()


@needs_exiftool
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_every_container(format, tmp_path):
    if format == "HEIF" and not heic_available():
        pytest.skip("pillow-heif is not installed: pip install 'cameraborn[heic]'")
    path = tmp_path / "picture.bin"
    path.write_bytes(encoded(format, TYPICAL))
    picture = open_picture(path)
    assert (picture.format, picture.has_exif) == (format, True)
    assert picture.exif.to_mapping() == TYPICAL_VALUES
    agrees(path, picture.exif)


@needs_exiftool
@pytest.mark.parametrize("place", ["before the pixels", "behind the pixels"])
@pytest.mark.parametrize("kind", ["eXIf", "raw profile"])
def test_png_chunks(place, kind, tmp_path):
    stream = BytesIO()
    Image.new("RGB", (64, 64), "grey").save(stream, "PNG")
    data = stream.getvalue()
    if kind == "eXIf":
        name, body = b"eXIf", TYPICAL.removeprefix(b"Exif\0\0")
    else:  # as ImageMagick writes it
        text = f"\nexif\n{len(TYPICAL):8}\n{TYPICAL.hex()}\n".encode()
        name, body = b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)
    chunk = struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))
    at = 33 if place == "before the pixels" else len(data) - 12
    path = tmp_path / "picture.png"
    path.write_bytes(data[:at] + chunk + data[at:])
    picture = open_picture(path)
    assert picture.exif.to_mapping() == TYPICAL_VALUES
    agrees(path, picture.exif)


def tiff(entries, order="<"):
    """A grey TIFF of 64 x 64 pixels, uncompressed, with more entries in its first directory."""
    pixels = bytes(64 * 64)
    own = [
        (256, SHORT, [64]),
        (257, SHORT, [64]),
        (258, SHORT, [8]),
        (259, SHORT, [1]),
        (262, SHORT, [1]),
        (273, LONG, [8]),
        (277, SHORT, [1]),
        (278, SHORT, [64]),
        (279, LONG, [len(pixels)]),
    ]
    start = 8 + len(pixels)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "L", start) + pixels + ifd_bytes(order, [*own, *entries], start)


EXPOSED = [
    (EXPOSURE, RATIONAL, [(1, 125)]),
    (FNUMBER, RATIONAL, [(56, 10)]),
    (ISO, SHORT, [200]),
    (FOCAL, RATIONAL, [(35, 1)]),
]
STANDARDS = {
    "TIFF/EP": [(0x9216, LONG, [0x00000001])],
    "DNG": [(0xC612, LONG, [0x00000401])],
    "none": [],
}


@needs_exiftool
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("standard", STANDARDS)
def test_tags_in_the_first_directory(standard, order, tmp_path):
    path = tmp_path / "picture.tif"
    path.write_bytes(tiff([*EXPOSED, *STANDARDS[standard]], order))
    found = open_picture(path).exif
    assert found == Exif(iso=200.0, fnumber=5.6, exposure_time_s=1 / 125, focal_length_mm=35.0)
    agrees(path, found)


def with_exif_ifd(tags, ifd0):
    """A DNG whose Exif directory follows the first."""
    pointer = 0x8769
    length = len(tiff([*ifd0, (pointer, LONG, [0])]))
    return tiff([*ifd0, (pointer, LONG, [length])]) + ifd_bytes("<", tags, length)


def test_the_exif_directory_goes_first(tmp_path):
    path = tmp_path / "picture.tif"
    path.write_bytes(with_exif_ifd([(ISO, SHORT, [800])], [*EXPOSED, *STANDARDS["DNG"]]))
    found = open_picture(path).exif
    assert (found.iso, found.fnumber) == (800.0, 5.6)


CASES = {
    "recommended": ([(SENSITIVITY_TYPE, SHORT, [2]), (REI, LONG, [400])], 400.0),
    "standard output": ([(SENSITIVITY_TYPE, SHORT, [1]), (SOS, LONG, [320])], 320.0),
    "speed": ([(SENSITIVITY_TYPE, SHORT, [3]), (ISO_SPEED, LONG, [250])], 250.0),
    "both": ([(SENSITIVITY_TYPE, SHORT, [4]), (SOS, LONG, [102400]), (REI, LONG, [102400])], 102400.0),
    "too large for 16 bits": (
        [(ISO, SHORT, [65535]), (SENSITIVITY_TYPE, SHORT, [2]), (REI, LONG, [204800])],
        204800.0,
    ),
    "no type": ([(REI, LONG, [100])], 100.0),
    "the tag itself goes first": ([(ISO, SHORT, [100]), (REI, LONG, [400])], 100.0),
    "of another type": ([(SENSITIVITY_TYPE, SHORT, [1]), (REI, LONG, [400])], None),
    "nought": ([(SENSITIVITY_TYPE, SHORT, [2]), (REI, LONG, [0])], None),
    "too large and nothing else": ([(ISO, SHORT, [65535])], None),
    "unusable is not replaced": ([(ISO, SHORT, [0]), (REI, LONG, [400])], None),
}


@needs_exiftool
@pytest.mark.parametrize(("entries", "iso"), CASES.values(), ids=CASES)
def test_iso_by_its_other_names(entries, iso, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded("JPEG", block(entries)))
    assert open_picture(path).exif.iso == iso
    names = ("ISO", "RecommendedExposureIndex", "StandardOutputSensitivity", "ISOSpeed")
    theirs = {value for name, value in exiftool(path).items() if name in names}
    assert iso is None or iso in theirs
