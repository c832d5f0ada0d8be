"""EXIF as texts: every form that AIGFD-EXIF's parser misreads, exactly, and nonsense as missing."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.photo.exif import TAGS, Exif
from cameraborn.photo.exif_text import parse_number, tags_of_texts

NUMBERS = [tag.name for tag in TAGS if tag.kind == "ordinal"]


# The authors' code makes 60, 2, 2, 30 (which for it is 1/30), 10, 100 and 1/60 of the first seven.
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1/60sec", Fraction(1, 60)),
        ("2sec", Fraction(2)),
        ("1/2sec", Fraction(1, 2)),
        ("30sec", Fraction(30)),
        ("11/10sec", Fraction(11, 10)),
        ("21/100sec", Fraction(21, 100)),
        ("10/600sec", Fraction(1, 60)),
        ("1/60 sec", Fraction(1, 60)),
        ("1/60 s", Fraction(1, 60)),
        ("1/60", Fraction(1, 60)),
        ("0.5 sec.", Fraction(1, 2)),
        ("1 / 1000 seconds", Fraction(1, 1000)),
        ("2.5e-3", Fraction(1, 400)),
        (" 0.005 sec\0", Fraction(1, 200)),
        ("300000/10000000sec", Fraction(3, 100)),
    ],
)
def test_exposure_times(text, seconds):
    assert parse_number("exposure_time_s", text) == seconds
    assert Exif.from_mapping({"exposure_time_s": text}).exposure_time_s == float(seconds)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("F2.8", Fraction(28, 10)),
        ("f/2.8", Fraction(28, 10)),
        ("F/2.8", Fraction(28, 10)),
        ("f2.8", Fraction(28, 10)),
        ("2.8", Fraction(28, 10)),
        ("ƒ/1.8", Fraction(18, 10)),
        ("F28/10", Fraction(28, 10)),
        ("F11", Fraction(11)),
        ("f/ 4.0", Fraction(4)),
    ],
)
def test_f_numbers(text, n):
    assert parse_number("fnumber", text) == n
    assert Exif.from_mapping({"fnumber": text}).fnumber == float(n)


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("focal_length_mm", "50.0 mm", 50),
        ("focal_length_mm", "50 mm", 50),
        ("focal_length_mm", "50mm", 50),
        ("focal_length_mm", "185/10", Fraction(37, 2)),
        ("focal_35mm", "28 mm", 28),
        ("iso", "400", 400),
        ("iso", "ISO 400", 400),
        ("flash", "16", 16),
    ],
)
def test_other_numbers(tag, text, value):
    assert parse_number(tag, text) == value


@pytest.mark.parametrize("tag", NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "F",
            "f/",
            "sec",
            "mm",
            "Unknown",
            "fast",
            "1/0",
            "1/",
            "/2",
            "1/2/3",
            "-1",
            "nan",
            "inf",
            "1_000",
            "0x10",
        ),
        *(
            "1,5",
            "100 200",
            "2.8 4.0",
            "1/60 sec (0.017)",
            "1e999999999",
            "9" * 400,
            "٣",
            "F2.8sec",
            "50 sec mm",
            "--1",
        ),
    ],
)
def test_nonsense_is_missing(tag, text):
    assert parse_number(tag, text) is None


@pytest.mark.parametrize(
    ("tag", "text"),
    [("fnumber", "50 mm"), ("fnumber", "2sec"), ("focal_length_mm", "F2.8"), ("iso", "100 mm")],
)
def test_another_tags_unit_is_nonsense(tag, text):
    assert parse_number(tag, text) is None


@given(
    tag=st.sampled_from(["exposure_time_s", "fnumber", "focal_length_mm"]),
    above=st.integers(1, 10**9),
    below=st.integers(1, 10**9),
    space=st.sampled_from(["", " "]),
)
def test_any_ratio_is_exact(tag, above, below, space):
    before, after = {
        "exposure_time_s": ("", "sec"),
        "fnumber": ("F", ""),
        "focal_length_mm": ("", "mm"),
    }[tag]
    text = f"{before}{above}/{below}{space}{after}"
    assert parse_number(tag, text) == Fraction(above, below)


@given(
    tag=st.sampled_from([tag.name for tag in TAGS]), text=st.text("0123456789./ eE+-fFsmcISOx,√", max_size=12)
)
def test_any_text_is_a_finite_number_or_missing(tag, text):
    found = parse_number(tag, text)
    assert found is None or (found >= 0 and math.isfinite(found))
    believed = Exif.from_mapping({tag: text}).to_mapping().get(tag)
    if isinstance(believed, float):
        assert math.isfinite(believed)
        assert believed == float(found)


def believed(**texts):
    return Exif.from_mapping(
        tags_of_texts({name.replace("_", " "): text for name, text in texts.items()})
    ).to_mapping()


def test_a_photographs_names_and_texts():
    assert believed(
        Make="Canon",
        Model="Canon EOS 40D",
        ISO_Speed_Ratings="400",
        Exposure_Time="1/60 sec",
        Focal_Length="50.0 mm",
        Focal_Length_35="80 mm",
        Metering_Mode="Center weighted average",
        Exposure_Mode="Auto bracket",
        White_Balance_Mode="Manual white balance",
        White_Balance="Daylight",
        Exposure_Program="Aperture priority",
        Scene_Capture_Type="Night scene",
        Flash="Flash fired",
        Orientation="Top, left side",
    ) == {
        "make": "Canon",
        "model": "Canon EOS 40D",
        "iso": 400.0,
        "exposure_time_s": 1 / 60,
        "focal_length_mm": 50.0,
        "focal_35mm": 80.0,
        "metering": 2,
        "exposure_mode": 2,
        "white_balance": 1,
        "exposure_program": 3,
        "scene_type": 3,
        "flash": 1,
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"F-Number": "F5.6", "Aperture Value": "F2.8"}, 5.6),
        ({"F-Number": "F", "Aperture Value": "F2.8"}, None),  # a camera that does not know its lens
        ({"Aperture Value": "F2.8"}, 2.8),
        ({"ApertureValue": "2.8"}, 2.8),
        ({"Aperture Value": "F"}, None),
        ({"Aperture Value": "4/1"}, 4.0),  # a ratio is APEX: N = 2^(AV/2)
        ({"Aperture Value": "6/1"}, 8.0),
        ({"Aperture Value": "297/100"}, 2 ** (2.97 / 2)),
        ({"Aperture Value": "1/0"}, None),
        ({"Aperture Value": "9999999999/1"}, None),
    ],
)
def test_apertures(names, expected):
    assert Exif.from_mapping(tags_of_texts(names)).fnumber == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"Exposure Time": "1/100 sec", "Shutter Speed Value": "1/64 sec"}, 1 / 100),
        ({"Shutter Speed Value": "1/64 sec"}, 1 / 64),
        ({"Shutter Speed Value": "6/1"}, 1 / 64),  # a ratio is APEX: t = 2^-TV
        ({"Shutter Speed Value": "-1/1"}, 2.0),
    ],
)
def test_shutter_speeds(names, expected):
    assert Exif.from_mapping(tags_of_texts(names)).exposure_time_s == expected


def test_words_that_fit_two_codes_or_none_are_missing():
    assert (
        believed(Flash="Flash did not fire, auto", Metering_Mode="(Unknown)", Exposure_Program="7x", ISO="")
        == {}
    )
    assert believed(Metering_Mode="5", Flash=16) == {"metering": 5, "flash": 16}
    assert believed(Make=3, Exposure_Time=None, ISO=[100]) == {}
