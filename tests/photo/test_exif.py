"""EXIF against exiftool, on blocks laid out by hand: well-formed, malformed and mutated."""

import json
import math
import shutil
import struct
import subprocess
import sys
import threading
import warnings
from fractions import Fraction
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from cameraborn.photo.exif import TAGS, Exif, pillow_warnings_silenced, read_exif, read_orientation

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, FLOAT, DOUBLE = 2, 3, 4, 5, 7, 10, 11, 12
ISO, FNUMBER, EXPOSURE, FOCAL, FOCAL_35 = 0x8827, 0x829D, 0x829A, 0x920A, 0xA405
APERTURE_VALUE, SHUTTER_SPEED_VALUE = 0x9202, 0x9201
BIAS, BRIGHTNESS = 0x9204, 0x9203
FLASH, METERING, EXPOSURE_MODE, WHITE_BALANCE, PROGRAM, SCENE = 0x9209, 0x9207, 0xA402, 0xA403, 0x8822, 0xA406
MAKE, MODEL, SOFTWARE, ORIENTATION, EXIF_IFD = 0x010F, 0x0110, 0x0131, 0x0112, 0x8769


def pack(order, kind, values):
    """Return (count, bytes) of one tag's values; text and bytes as they are."""
    if isinstance(values, bytes):
        return len(values), values
    if kind in (RATIONAL, SRATIONAL):
        letter = "L" if kind == RATIONAL else "l"
        return len(values), b"".join(struct.pack(f"{order}2{letter}", *pair) for pair in values)
    letter = {SHORT: "H", LONG: "L", FLOAT: "f", DOUBLE: "d"}[kind]
    return len(values), struct.pack(f"{order}{len(values)}{letter}", *values)


def ifd_bytes(order, entries, start):
    """Lay out one IFD at offset `start`: entries are (tag, type, values), in ascending order of tag."""
    head, tail = struct.pack(order + "H", len(entries)), b""
    data_at = start + 2 + 12 * len(entries) + 4
    for tag, kind, values in sorted(entries, key=lambda entry: entry[0]):
        count, data = pack(order, kind, values)
        if len(data) > 4:
            field = struct.pack(order + "L", data_at + len(tail))
            tail += data + b"\0" * (len(data) % 2)
        else:
            field = data.ljust(4, b"\0")
        head += struct.pack(order + "HHL", tag, kind, count) + field
    return head + struct.pack(order + "L", 0) + tail


def block(exif=(), ifd0=(), order="<"):
    """Return an EXIF block, "Exif\\0\\0" and a TIFF, written without Pillow."""
    start = 8
    pointer = (EXIF_IFD, LONG, (0,))
    length = len(ifd_bytes(order, [*ifd0, pointer], start))
    first = ifd_bytes(order, [*ifd0, (EXIF_IFD, LONG, (start + length,))], start)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    second = ifd_bytes(order, list(exif), start + length)
    return b"Exif\0\0" + magic + struct.pack(order + "L", start) + first + second


def jpeg(exif_block):
    stream = BytesIO()
    Image.new("RGB", (16, 16), "grey").save(stream, "JPEG", exif=exif_block)
    return stream.getvalue()


def read(exif_block):
    with Image.open(BytesIO(jpeg(exif_block))) as image:
        return read_exif(image)


def exiftool(path):
    """Return what exiftool reads in the standard's IFDs, by our names."""
    if shutil.which("exiftool") is None:
        pytest.skip(
            "exiftool, the oracle of these tests, is not on PATH: apt-get install libimage-exiftool-perl"
        )
    names = {
        "iso": "ExifIFD:ISO",
        "fnumber": "ExifIFD:FNumber",
        "exposure_time_s": "ExifIFD:ExposureTime",
        "focal_length_mm": "ExifIFD:FocalLength",
        "focal_35mm": "ExifIFD:FocalLengthIn35mmFormat",
        "exposure_bias_ev": "ExifIFD:ExposureCompensation",
        "brightness_ev": "ExifIFD:BrightnessValue",
        "make": "IFD0:Make",
        "model": "IFD0:Model",
        "software": "IFD0:Software",
        "flash": "ExifIFD:Flash",
        "metering": "ExifIFD:MeteringMode",
        "exposure_mode": "ExifIFD:ExposureMode",
        "white_balance": "ExifIFD:WhiteBalance",
        "exposure_program": "ExifIFD:ExposureProgram",
        "scene_type": "ExifIFD:SceneCaptureType",
        "aperture_value": "ExifIFD:ApertureValue",  # exiftool gives N and t, not the APEX exponents
        "shutter_speed_value": "ExifIFD:ShutterSpeedValue",
    }
    run = subprocess.run(["exiftool", "-j", "-n", "-G1", path], capture_output=True, check=False, text=True)
    found = json.loads(run.stdout)[0]
    return {ours: found[theirs] for ours, theirs in names.items() if theirs in found}


TYPICAL = block(
    exif=[
        (EXPOSURE, RATIONAL, [(1, 250)]),
        (FNUMBER, RATIONAL, [(28, 10)]),
        (PROGRAM, SHORT, [3]),
        (ISO, SHORT, [400]),
        (SHUTTER_SPEED_VALUE, SRATIONAL, [(7965784, 1000000)]),
        (APERTURE_VALUE, RATIONAL, [(2970854, 1000000)]),
        (BRIGHTNESS, SRATIONAL, [(-45, 10)]),
        (BIAS, SRATIONAL, [(-1, 3)]),
        (METERING, SHORT, [5]),
        (FLASH, SHORT, [16]),
        (FOCAL, RATIONAL, [(50, 1)]),
        (EXPOSURE_MODE, SHORT, [0]),
        (WHITE_BALANCE, SHORT, [1]),
        (FOCAL_35, SHORT, [75]),
        (SCENE, SHORT, [2]),
    ],
    ifd0=[(MAKE, ASCII, b"Canon\0"), (MODEL, ASCII, b"EOS R6\0"), (SOFTWARE, ASCII, b"Ver 1.0\0")],
)
TYPICAL_VALUES = {
    "iso": 400.0,
    "fnumber": 2.8,
    "exposure_time_s": 1 / 250,
    "focal_length_mm": 50.0,
    "focal_35mm": 75.0,
    "exposure_bias_ev": -1 / 3,
    "brightness_ev": -4.5,
    "make": "Canon",
    "model": "EOS R6",
    "flash": 16,
    "metering": 5,
    "exposure_mode": 0,
    "white_balance": 1,
    "exposure_program": 3,
    "scene_type": 2,
    "software": "Ver 1.0",
}


def test_the_table_and_the_record_have_the_same_names():
    assert [tag.name for tag in TAGS] == list(Exif.__dataclass_fields__)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_typical_block_in_every_container(format):
    stream = BytesIO()
    Image.new("RGB", (16, 16), "grey").save(stream, format, exif=TYPICAL)
    with Image.open(stream) as image:
        image.load()
        assert read_exif(image).to_mapping() == TYPICAL_VALUES


def test_typical_block_agrees_with_exiftool(tmp_path):
    path = tmp_path / "typical.jpg"
    path.write_bytes(jpeg(TYPICAL))
    theirs = exiftool(path)
    for name, ours in read(TYPICAL).to_mapping().items():
        assert theirs[name] == (ours if isinstance(ours, str) else pytest.approx(ours, rel=1e-6)), name


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order):
    made = block([(EXPOSURE, RATIONAL, [(1, 3)]), (ISO, SHORT, [800])], [(MAKE, ASCII, b"Sony\0")], order)
    assert read(made) == Exif(iso=800.0, exposure_time_s=1 / 3, make="Sony")


@pytest.mark.parametrize("fraction", [(1, 3), (1, 8000), (10, 4000), (4294967295, 4294967), (30, 1), (1, 60)])
def test_exposure_time_is_the_nearest_float_to_the_rational(fraction):
    assert read(block([(EXPOSURE, RATIONAL, [fraction])])).exposure_time_s == float(Fraction(*fraction))


@pytest.mark.parametrize(
    ("values", "iso"), [([100, 200], 100), ([65535, 100], None), ([0, 200], None), ([400] * 3, 400)]
)
def test_the_first_of_several_isos_counts(values, iso):
    """Exif 2.32 allows any number of them; exiftool prints all."""
    assert read(block([(ISO, SHORT, values)])).iso == iso


# Each case: entries of the Exif IFD, our field, what we must read, and which of REASONS applies if None.
CASES = {
    "iso": ([(ISO, SHORT, [100])], "iso", 100.0, ""),
    "iso-long": ([(ISO, LONG, [102400])], "iso", 102400.0, ""),
    "iso-overflow": ([(ISO, SHORT, [65535])], "iso", None, "overflow"),
    "iso-zero": ([(ISO, SHORT, [0])], "iso", None, "outside the range"),
    "iso-ascii": ([(ISO, ASCII, b"100\0")], "iso", None, "wrong type"),
    "iso-absurd": ([(ISO, LONG, [10_000_001])], "iso", None, "outside the range"),
    "iso-undefined": ([(ISO, UNDEFINED, b"\x64\0")], "iso", None, "wrong type"),
    "f-zero-over-zero": ([(FNUMBER, RATIONAL, [(0, 0)])], "fnumber", None, "no single number"),
    "f-over-zero": ([(FNUMBER, RATIONAL, [(28, 0)])], "fnumber", None, "no single number"),
    "f-zero": ([(FNUMBER, RATIONAL, [(0, 1)])], "fnumber", None, "outside the range"),
    "f-negative": ([(FNUMBER, SRATIONAL, [(-28, 10)])], "fnumber", None, "outside the range"),
    "f-absurd": ([(FNUMBER, RATIONAL, [(5000, 1)])], "fnumber", None, "outside the range"),
    "f-ascii": ([(FNUMBER, ASCII, b"2.8\0")], "fnumber", None, "wrong type"),
    "f-lowest": ([(FNUMBER, RATIONAL, [(3, 10)])], "fnumber", 0.3, ""),
    "f-integer": ([(FNUMBER, SHORT, [4])], "fnumber", 4.0, ""),
    "f-double": ([(FNUMBER, DOUBLE, [2.8])], "fnumber", 2.8, ""),
    "f-nan": ([(FNUMBER, DOUBLE, [math.nan])], "fnumber", None, "no single number"),
    "f-infinite": ([(FNUMBER, FLOAT, [math.inf])], "fnumber", None, "no single number"),
    "f-two-valued": ([(FNUMBER, RATIONAL, [(28, 10), (4, 1)])], "fnumber", None, "no single number"),
    "t-absurd": ([(EXPOSURE, RATIONAL, [(100001, 1)])], "exposure_time_s", None, "outside the range"),
    "t-lowest": ([(EXPOSURE, RATIONAL, [(1, 10_000_000)])], "exposure_time_s", 1e-7, ""),
    "t-too-short": ([(EXPOSURE, RATIONAL, [(1, 11_000_000)])], "exposure_time_s", None, "outside the range"),
    "t-both-negative": ([(EXPOSURE, SRATIONAL, [(-1, -50)])], "exposure_time_s", 0.02, ""),
    "focal-lowest": ([(FOCAL, RATIONAL, [(1, 10)])], "focal_length_mm", 0.1, ""),
    "focal-absurd": ([(FOCAL, RATIONAL, [(100001, 1)])], "focal_length_mm", None, "outside the range"),
    "focal-zero": ([(FOCAL, RATIONAL, [(0, 100)])], "focal_length_mm", None, "outside the range"),
    "focal-35-zero": ([(FOCAL_35, SHORT, [0])], "focal_35mm", None, "outside the range"),
    "bias-zero": ([(BIAS, SRATIONAL, [(0, 6)])], "exposure_bias_ev", 0.0, ""),
    "bias-absurd": ([(BIAS, SRATIONAL, [(-1501, 100)])], "exposure_bias_ev", None, "outside the range"),
    "brightness-lowest": ([(BRIGHTNESS, SRATIONAL, [(-300, 10)])], "brightness_ev", -30.0, ""),
    "brightness-zero": ([(BRIGHTNESS, SRATIONAL, [(0, 256)])], "brightness_ev", 0.0, ""),
    "brightness-unknown": ([(BRIGHTNESS, SRATIONAL, [(-1, 1)])], "brightness_ev", None, "overflow"),
    "brightness-over-zero": ([(BRIGHTNESS, SRATIONAL, [(-1, 0)])], "brightness_ev", None, "no single number"),
    "flash-zero": ([(FLASH, SHORT, [0])], "flash", 0, ""),
    "flash-ascii": ([(FLASH, ASCII, b"16\0")], "flash", None, "wrong type"),
    "metering-other": ([(METERING, SHORT, [255])], "metering", 255, ""),
    "metering-absurd": ([(METERING, SHORT, [256])], "metering", None, "outside the range"),
    "metering-fraction": ([(METERING, RATIONAL, [(5, 2)])], "metering", None, "no code"),
}


# Why a tag that exiftool prints is missing to us: what must hold of its value there, or of its type.
REASONS = {
    "no single number": lambda theirs, tag, kind: not isinstance(theirs, int | float),
    "outside the range": lambda theirs, tag, kind: not tag.low <= theirs <= tag.high,
    "overflow": lambda theirs, tag, kind: theirs == tag.overflow,
    "no code": lambda theirs, tag, kind: tag.kind == "categorical" and theirs % 1 != 0,
    "wrong type": lambda theirs, tag, kind: kind in (ASCII, UNDEFINED),
}


@pytest.mark.parametrize(("entries", "field", "expected", "why"), CASES.values(), ids=CASES)
def test_one_tag_against_exiftool(entries, field, expected, why, tmp_path):
    exif_block = block(entries)
    assert getattr(read(exif_block), field) == expected
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(exif_block))
    theirs = exiftool(path)[field]
    if expected is not None:
        assert theirs == pytest.approx(expected, rel=1e-6)
    else:
        tag = next(tag for tag in TAGS if tag.name == field)
        assert REASONS[why](theirs, tag, entries[0][1]), theirs


@pytest.mark.parametrize(("av", "n"), [((3, 1), 2 ** (3 / 2)), ((2970854, 1000000), 2.8), ((0, 1), 1.0)])
def test_f_number_from_apex_where_f_number_is_absent(av, n, tmp_path):
    exif_block = block([(APERTURE_VALUE, RATIONAL, [av])])
    (tmp_path / "apex.jpg").write_bytes(jpeg(exif_block))
    assert read(exif_block).fnumber == pytest.approx(n, rel=1e-6)
    assert read(exif_block).fnumber == pytest.approx(
        exiftool(tmp_path / "apex.jpg")["aperture_value"], rel=1e-6
    )


@pytest.mark.parametrize(("tv", "t"), [((8, 1), 1 / 256), ((0, 1), 1.0), ((-3, 1), 8.0)])
def test_exposure_time_from_apex_where_exposure_time_is_absent(tv, t, tmp_path):
    exif_block = block([(SHUTTER_SPEED_VALUE, SRATIONAL, [tv])])
    (tmp_path / "apex.jpg").write_bytes(jpeg(exif_block))
    assert read(exif_block).exposure_time_s == t
    assert exiftool(tmp_path / "apex.jpg")["shutter_speed_value"] == pytest.approx(t, rel=1e-6)


def test_the_tag_itself_goes_before_apex():
    apex = [(APERTURE_VALUE, RATIONAL, [(2, 1)]), (SHUTTER_SPEED_VALUE, SRATIONAL, [(5, 1)])]
    both = read(block([(FNUMBER, RATIONAL, [(28, 10)]), (EXPOSURE, RATIONAL, [(1, 50)]), *apex]))
    assert (both.fnumber, both.exposure_time_s) == (2.8, 0.02)
    unusable = read(block([(FNUMBER, RATIONAL, [(0, 0)]), (EXPOSURE, RATIONAL, [(0, 1)]), *apex]))
    assert (unusable.fnumber, unusable.exposure_time_s) == (None, None)


@pytest.mark.parametrize("av", [(0, 0), (1, 0), (4_000_000_000, 1), (30, 1)])
def test_apex_that_says_nothing(av):
    assert read(block([(APERTURE_VALUE, RATIONAL, [av])])).fnumber is None
    assert read(block([(SHUTTER_SPEED_VALUE, RATIONAL, [av])])).exposure_time_s is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"NIKON CORPORATION\0", "NIKON CORPORATION"),
        (b"  Canon  \0\0\0\0", "Canon"),
        (b"Leica\0junk behind the end\0", "Leica"),
        ("Zürich".encode() + b"\0", "Zürich"),
        (b"Caf\xe9 cam\0", "Caf\ufffd cam"),
        (b"\0\0\0\0\0\0", None),
        (b"      \0", None),
        (b"\0", None),
    ],
)
def test_text(raw, expected):
    assert read(block(ifd0=[(MAKE, ASCII, raw)])).make == expected


def test_text_of_another_type_is_missing():
    assert read(block(ifd0=[(MAKE, SHORT, [1]), (MODEL, UNDEFINED, b"model")])) == Exif()


def test_exposure_tags_in_the_first_directory_are_taken_as_exiftool_takes_them():
    found = read(block(ifd0=[(ISO, SHORT, [100]), (FNUMBER, RATIONAL, [(28, 10)])]))
    assert found == Exif(iso=100.0, fnumber=2.8)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0garbage that is no TIFF",
        TYPICAL[:12],
        TYPICAL[:30],
        TYPICAL[:-60],
        b"Exif\0\0II*\0" + struct.pack("<L", 0xFFFFFFF0),
        block(ifd0=[(MAKE, ASCII, b"Canon\0")]).replace(
            struct.pack("<HHL", EXIF_IFD, LONG, 1), b"\x69\x87\x05\0\1\0\0\0"
        ),
    ],
)
def test_malformed_blocks_are_read_as_far_as_they_go(broken, recwarn):
    image = Image.new("RGB", (16, 16))
    image.info["exif"] = broken
    found = read_exif(image).to_mapping()
    assert set(found.items()) <= set(TYPICAL_VALUES.items())
    assert read_orientation(image) == 1
    assert not recwarn.list


@pytest.mark.parametrize("profile", ["no newline", "\n\n\nzz", 5, b"\n\n\n"])
def test_malformed_raw_profile_of_a_png(profile):
    image = Image.new("RGB", (16, 16))
    image.info["Raw profile type exif"] = profile
    assert read_exif(image) == Exif()


def test_warnings_turned_into_errors_by_the_host_do_not_surface():
    image = Image.new("RGB", (16, 16))
    image.info["exif"] = TYPICAL[:-60]  # the last values lie beyond the end: Pillow warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_exif(image).make == "Canon"


def test_silencing_leaves_no_trace_when_threads_overlap():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        inside, leave = threading.Barrier(3), threading.Event()

        def hold():
            with pillow_warnings_silenced():
                inside.wait(timeout=10)
                leave.wait(timeout=10)

        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        inside.wait(timeout=10)
        assert len(warnings.filters) == len(before) + 1
        leave.set()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before


@pytest.mark.parametrize("value", [1, 2, 3, 4, 5, 6, 7, 8])
def test_orientation(value):
    image = Image.new("RGB", (16, 16))
    image.info["exif"] = block(ifd0=[(ORIENTATION, SHORT, [value])])
    assert read_orientation(image) == value


@pytest.mark.parametrize(
    "entry",
    [(SHORT, [0]), (SHORT, [9]), (SHORT, [65535]), (ASCII, b"6\0"), (RATIONAL, [(6, 1)]), (UNDEFINED, b"\6")],
)
def test_invalid_orientation_is_upright(entry):
    image = Image.new("RGB", (16, 16))
    image.info["exif"] = block(ifd0=[(ORIENTATION, *entry)])
    assert read_orientation(image) == 1


def test_pillow_rationals_set_in_memory():
    image = Image.new("RGB", (16, 16))
    ifd = image.getexif().get_ifd(EXIF_IFD)
    ifd.update({FNUMBER: IFDRational(2.8), EXPOSURE: IFDRational(1, 250), ISO: True})
    image.getexif()._ifds[EXIF_IFD] = ifd
    found = read_exif(image)
    assert (found.fnumber, found.exposure_time_s) == (2.8, 1 / 250)


def test_mapping_round_trip():
    found = Exif.from_mapping(TYPICAL_VALUES)
    assert found == read(TYPICAL)
    assert json.loads(json.dumps(found.to_mapping())) == TYPICAL_VALUES
    assert Exif().to_mapping() == {}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"flash": "16", "metering": 5.0, "iso": "400"}, Exif(flash=16, metering=5, iso=400.0)),
        ({"exposure_time_s": "1/250", "fnumber": " 2.8 "}, Exif(exposure_time_s=1 / 250, fnumber=2.8)),
        ({"make": " Canon\0\0", "model": "", "software": 16.2, "lens": "ignored"}, Exif(make="Canon")),
        ({"iso": 65535, "fnumber": -2.8, "exposure_time_s": 0, "focal_length_mm": math.nan}, Exif()),
        ({"iso": math.inf, "fnumber": "1/0", "exposure_time_s": "fast", "focal_35mm": "1e999999999"}, Exif()),
        ({"iso": True, "fnumber": [2.8], "exposure_time_s": None, "focal_35mm": 10**400}, Exif()),
        ({"focal_length_mm": -(10**400), "flash": 16.5, "metering": "256", "white_balance": ""}, Exif()),
    ],
)
def test_from_mapping(row, expected):
    assert Exif.from_mapping(row) == expected


@st.composite
def mutated_blocks(draw):
    """A typical block with bytes overwritten, then perhaps cut short or spliced with itself."""
    data = bytearray(TYPICAL)
    for _ in range(draw(st.integers(1, 12))):
        data[draw(st.integers(6, len(data) - 1))] = draw(st.sampled_from([0, 1, 2, 5, 7, 10, 12, 127, 255]))
    start, stop = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    change = draw(st.sampled_from(["keep", "cut", "remove", "repeat"]))
    changed = {
        "keep": data,
        "cut": data[:stop],
        "remove": data[:start] + data[stop:],
        "repeat": data[:stop] + data[start:],
    }
    return bytes(changed[change])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(mutated_blocks())
def test_mutated_blocks_never_crash_and_never_give_absurd_values(exif_block):
    image = Image.new("RGB", (1, 1))
    image.info["exif"] = exif_block
    found = read_exif(image).to_mapping()
    assert read_orientation(image) in range(1, 9)
    for tag in TAGS:
        value = found.get(tag.name)
        if tag.kind == "text":
            assert value is None or (value.strip() == value and "\0" not in value)
        elif value is not None:
            assert math.isfinite(value)
            assert tag.low <= value <= tag.high


def test_importing_reads_no_optional_package():
    code = "import sys, cameraborn.photo.decode; print('pillow_heif' in sys.modules, 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.split() == ["False", "False"]
