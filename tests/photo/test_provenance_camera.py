"""A camera's EXIF: what agrees, what contradicts, what was lost, and what is known of the model."""

import csv
import struct
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo import provenance_camera
from cameraborn.photo.exif import Exif
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_camera import camera_name, known_cameras
from tests.photo.provenance_files import PICTURE, ascii_tag, jpeg
from tests.photo.test_exif import (
    APERTURE_VALUE,
    BRIGHTNESS,
    EXPOSURE,
    FNUMBER,
    FOCAL,
    FOCAL_35,
    ISO,
    LONG,
    RATIONAL,
    SHORT,
    SHUTTER_SPEED_VALUE,
    SRATIONAL,
    UNDEFINED,
    block,
)

CANON = (ascii_tag(0x10F, "Canon"), ascii_tag(0x110, "Canon EOS 30D"))
LENS, MAKER_NOTE, TAKEN, CHANGED, WIDTH, HEIGHT = 0xA432, 0x927C, 0x9003, 0x0132, 0xA002, 0xA003
LENS_MODEL, PROGRAM, MODE, FLASH = 0xA434, 0x8822, 0xA402, 0x9209
# f/8, 1/250 s, ISO 100: brightness = 6 + 7.97 - 5
TAGS = {
    FNUMBER: (RATIONAL, ((8, 1),)),
    EXPOSURE: (RATIONAL, ((1, 250),)),
    ISO: (SHORT, (100,)),
    APERTURE_VALUE: (RATIONAL, ((6, 1),)),
    SHUTTER_SPEED_VALUE: (SRATIONAL, ((797, 100),)),
    BRIGHTNESS: (SRATIONAL, ((90, 10),)),
    FOCAL: (RATIONAL, ((35, 1),)),
    FOCAL_35: (SHORT, (56,)),
    LENS: (RATIONAL, ((17, 1), (55, 1), (28, 10), (56, 10))),
    MAKER_NOTE: (UNDEFINED, b"note"),
    WIDTH: (LONG, (64,)),
    HEIGHT: (LONG, (48,)),
}


def tagged(changes=(), ifd0=CANON):
    tags = {**TAGS, **dict(changes)}
    return block([(tag, *value) for tag, value in tags.items() if value], list(ifd0))


def read(changes=(), ifd0=CANON, **more):
    return read_provenance(jpeg(exif=tagged(changes, ifd0), **more))


def test_a_camera_that_agrees_with_itself():
    found = read()
    assert (found.says, found.camera, found.camera_check) == ("camera", "Canon EOS 30D", "plausible")
    assert found.doubts == ()
    assert "EXIF can be forged" in found.summary


@pytest.mark.parametrize("missing", [FNUMBER, EXPOSURE, ISO])
def test_an_exposure_that_is_incomplete(missing):
    # An aperture or speed value stands for a tag that is absent.
    found = read({missing: None, APERTURE_VALUE: None, SHUTTER_SPEED_VALUE: None})
    assert (found.says, found.camera_check) == ("camera", "incomplete")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {APERTURE_VALUE: (RATIONAL, ((2, 1),))},
            "f-number 8 contradicts the aperture value, which is f/2.0",
        ),
        ({SHUTTER_SPEED_VALUE: (SRATIONAL, ((-1, 1),))}, "contradicts the shutter speed value, which is 2 s"),
        ({BRIGHTNESS: (SRATIONAL, ((-5, 1),))}, "brightness -5.0 EV is far from the 9.0 EV"),
        (
            {FOCAL: (RATIONAL, ((200, 1),)), FOCAL_35: None},
            "focal length 200 mm is none of a lens of 17 to 55 mm",
        ),
        (
            {LENS: (RATIONAL, ((17, 1), (55, 1), (11, 1), (11, 1)))},
            "f-number 8 is none of a lens that opens to f/11",
        ),
        ({FOCAL_35: (SHORT, (5,))}, "focal length 35 mm cannot be that of 5 mm on 35 mm film"),
        (
            {TAKEN: (2, b"2021:05:09 10:00:00\0")},
            "taken on 2021-05-09, after the file was changed on 2019-01-01",
        ),
        ({TAKEN: (2, b"1995:01:01 00:00:00\0")}, "dated 1995-01-01, before cameras wrote EXIF"),
        ({BRIGHTNESS: (SRATIONAL, ((32, 10),))}, "brightness 3.2 EV is far from the 9.0 EV"),
    ],
)
def test_contradictions(changes, words):
    found = read(changes, (*CANON, ascii_tag(CHANGED, "2019:01:01 00:00:00")))
    assert (found.says, found.camera_check) == ("contradictory", "contradictory")
    (doubt,) = found.doubts
    assert words in doubt
    assert doubt in found.summary


@pytest.mark.parametrize(
    "changes",
    [
        {APERTURE_VALUE: (RATIONAL, ((0, 1),))},  # the camera does not know its lens
        {APERTURE_VALUE: (RATIONAL, ((59, 10),)), SHUTTER_SPEED_VALUE: (SRATIONAL, ((8, 1),))},  # rounded
        {LENS: (RATIONAL, ((0, 0), (0, 0), (0, 0), (0, 0)))},
        {LENS: (RATIONAL, ((35, 1), (35, 1), (0, 0), (0, 0)))},
        {LENS: (RATIONAL, ((1, 1),))},
        {BRIGHTNESS: (SRATIONAL, ((0, 1),))},  # phones write it where they have measured none
        {BRIGHTNESS: (SRATIONAL, ((52, 10),))},  # 3.8 steps, a little more than the most that was seen
        {BRIGHTNESS: (SRATIONAL, ((2, 1),)), MODE: (SHORT, (1,))},  # set by hand
        {BRIGHTNESS: (SRATIONAL, ((2, 1),)), PROGRAM: (SHORT, (1,))},
        {BRIGHTNESS: (SRATIONAL, ((2, 1),)), FLASH: (SHORT, (9,))},
        {TAKEN: (2, b"1980:01:01 00:00:00\0")},  # a clock that nobody has set
        {TAKEN: (2, b"1996:11:04 14:55:52\0")},  # of a genuine photograph
        {FOCAL_35: (SHORT, (700,))},  # digital zoom
        {TAKEN: (2, b"0000:00:00 00:00:00\0")},
        {TAKEN: (2, b"2019:01:02 03:00:00\0")},  # a time zone
        {TAKEN: (2, b"yesterday\0")},
    ],
)
def test_what_cameras_write_is_no_contradiction(changes):
    assert read(changes, (*CANON, ascii_tag(CHANGED, "2019:01:01 23:00:00"))).doubts == ()


def test_an_editor_may_have_put_exposures_together():
    changes = {BRIGHTNESS: (SRATIONAL, ((2, 1),))}
    assert read(changes, (*CANON, ascii_tag(0x131, "Adobe Photoshop Lightroom 6.6.1"))).doubts == ()
    assert len(read(changes, (*CANON, ascii_tag(0x131, "Firmware 1.0"))).doubts) == 1


@pytest.mark.parametrize(
    ("taken", "changed"),
    [("2019:03:01", "2019:02:28"), ("2019:12:01", "2019:11:30"), ("2019:13:45", "2019:01:01")],
)
def test_days_are_those_of_the_calendar(taken, changed):
    found = read(
        {TAKEN: (2, f"{taken} 01:00:00\0".encode())}, (*CANON, ascii_tag(CHANGED, f"{changed} 23:00:00"))
    )
    assert found.doubts == ()


@pytest.mark.parametrize("tag", [TAKEN, CHANGED])
def test_a_date_in_the_future(tag):
    def found(day):
        text = f"{day:%Y:%m:%d} 12:00:00"
        return read(
            {TAKEN: (2, text.encode() + b"\0")} if tag == TAKEN else {}, (*CANON, ascii_tag(CHANGED, text))
        )

    today = date.today()
    assert found(today).doubts == ()
    assert found(today + timedelta(days=1)).doubts == ()  # a time zone
    far = today + timedelta(days=400)
    assert found(far).doubts == (f"dated {far}, which is in the future",)


PHONE = (ascii_tag(0x10F, "Apple"), ascii_tag(0x110, "iPhone 13"))
ON_A_PHONE = {FOCAL: (RATIONAL, ((57, 10),)), FOCAL_35: (SHORT, (26,)), LENS: None}


@pytest.mark.parametrize(
    "name",
    ["iPhone 13 back dual wide camera 5.1mm f/1.6", "Pixel 6a back camera 4.38mm f/1.73", "5.7 mm", ""],
)
def test_lenses_of_phones(name):
    assert read({**ON_A_PHONE, LENS_MODEL: (2, name.encode() + b"\0")}, PHONE).doubts == ()


@pytest.mark.parametrize(
    "name",
    [
        "EF24-70mm f/2.8L II USM",
        "EF-S18-55mm f/3.5-5.6 IS",
        "RF50mm F1.8 STM",
        "AF-S DX NIKKOR 18-55mm f/3.5-5.6G",
        "NIKKOR Z 24-70mm f/4 S",
        "XF35mmF1.4 R",
        "FE 85mm F1.8",
        "OLYMPUS M.Zuiko Digital ED 12-40mm F2.8",
        "LUMIX G VARIO 14-42mm/F3.5-5.6",
    ],
)
def test_a_lens_that_no_phone_takes(name):
    changes = {**ON_A_PHONE, FOCAL: (RATIONAL, ((35, 1),)), LENS_MODEL: (2, name.encode() + b"\0")}
    assert f"lens {name} cannot be put onto a phone" in read(changes, PHONE).doubts
    assert not any("phone" in doubt for doubt in read(changes).doubts)


@pytest.mark.parametrize(
    ("make", "model"),
    [("Apple", "iPhone 13"), ("samsung", "SM-G991B"), ("Xiaomi", "MI 8"), ("Google", "Pixel 5")],
)
def test_a_focal_length_that_no_phone_has(make, model):
    phone = (ascii_tag(0x10F, make), ascii_tag(0x110, model))
    changes = {**ON_A_PHONE, FOCAL_35: None}
    assert read({**changes, FOCAL: (RATIONAL, ((28, 1),))}, phone).doubts == ()
    long = read({**changes, FOCAL: (RATIONAL, ((200, 1),))}, phone)
    assert long.doubts == ("focal length 200 mm is none of a phone",)


@pytest.mark.parametrize(
    ("make", "lacks"),
    [("LEICA CAMERA AG", True), ("EASTMAN KODAK COMPANY", True), ("SIGMA", True), ("samsung", False)],
)
def test_makers_whose_cameras_write_a_note(make, lacks):
    found = read({MAKER_NOTE: None}, (ascii_tag(0x10F, make), ascii_tag(0x110, "X")))
    assert any(note.startswith("no maker note") for note in found.notes) == lacks


def with_thumbnail(thumbnail, picture=PICTURE):
    """A JPEG whose EXIF has a second directory with a thumbnail."""
    encoded = BytesIO()
    thumbnail.save(encoded, "JPEG")
    first = tagged()
    second_at = len(first) - 6
    data_at = second_at + 2 + 24 + 4
    second = struct.pack("<H", 2) + struct.pack("<HHLL", 0x201, LONG, 1, data_at)
    second += struct.pack("<HHLL", 0x202, LONG, 1, len(encoded.getvalue())) + bytes(4)
    tiff = bytearray(first[6:])
    count = struct.unpack("<H", tiff[8:10])[0]
    tiff[10 + 12 * count : 14 + 12 * count] = struct.pack("<L", second_at)
    return jpeg(exif=b"Exif\0\0" + bytes(tiff) + second + encoded.getvalue(), picture=picture)


SCENE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (6, 9, 3), dtype=np.uint8)).resize(
    (960, 640)  # so large that it is decoded smaller
)


def barred(picture):
    frame = Image.new("RGB", (160, 120))
    frame.paste(picture.resize((160, 107)), (0, 6))
    return frame


@pytest.mark.parametrize(
    "thumbnail",
    [
        SCENE.resize((120, 80)),
        barred(SCENE),
        SCENE.resize((120, 80)).rotate(90, expand=True),
        SCENE.convert("L"),
    ],
    ids=["same", "with bars", "turned", "grey"],
)
def test_a_thumbnail_of_the_picture(thumbnail):
    assert read_provenance(with_thumbnail(thumbnail, SCENE)).doubts == ()


def test_a_thumbnail_of_another_picture():
    other = Image.fromarray(np.random.default_rng(2).integers(0, 255, (6, 9, 3), dtype=np.uint8)).resize(
        (120, 80)
    )
    assert read_provenance(with_thumbnail(other, SCENE)).doubts == ("the thumbnail shows another picture",)


def test_a_thumbnail_that_says_nothing():
    assert read_provenance(with_thumbnail(Image.new("RGB", (120, 80)), SCENE)).doubts == ()


def test_what_saving_again_loses_is_a_note():
    found = read({MAKER_NOTE: None, WIDTH: (LONG, (4000,)), HEIGHT: (LONG, (3000,))})
    assert found.says == "camera"
    assert found.notes[0].startswith("no maker note")
    assert found.notes[1] == "EXIF says 4000 x 3000 pixels, the picture has 64 x 48"


def test_the_stated_size_of_a_turned_picture_agrees():
    assert not any("pixels" in note for note in read({WIDTH: (LONG, (48,)), HEIGHT: (LONG, (64,))}).notes)


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 30D", "Canon EOS 30D"),
        ("NIKON CORPORATION", "NIKON D3", "NIKON D3"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        (None, "X100", "X100"),
        ("SONY", None, "SONY"),
        (None, None, None),
        ('workflow:{"nodes": []}', None, None),
        ("x" * 100, None, None),
    ],
)
def test_names(make, model, name):
    assert camera_name(Exif(make=make, model=model)) == name


def test_the_table_of_cameras():
    assert len(known_cameras()) > 200
    for known in known_cameras().values():
        assert known.photographs > 0
        assert all(short <= long for short, long in known.sizes)
        assert all(len(table) == 6 and int(table, 16) >= 0 for table in known.tables)


def test_no_text_of_a_photograph_is_in_the_table():
    with Path(provenance_camera.__file__).with_name("cameras.csv").open(encoding="utf-8") as file:
        assert csv.DictReader(file).fieldnames == ["make", "model", "photographs", "sizes", "tables"]


def test_a_known_model_is_compared():
    make, model = next(camera for camera, known in known_cameras().items() if known.photographs > 1)
    photographs = known_cameras()[make, model].photographs
    found = read(ifd0=(ascii_tag(0x10F, make.upper()), ascii_tag(0x110, model)))
    assert (
        f"quantisation tables in none of the {photographs} photographs of this model that we know"
        in found.notes[-1]
    )
    assert "size 64 x 48 in none of them" in found.notes[-1]
