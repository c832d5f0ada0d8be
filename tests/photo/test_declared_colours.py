"""Colours that a file declares without an ICC profile: against the formulas of the standards, worked out here."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.declared_colours import Colours, colours_of
from cameraborn.photo.decode import heic_available, open_picture
from tests.photo.test_decode import ADOBE_RGB, SRGB

COLOUR = (180, 120, 60)
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
REC_2020 = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
REC_709 = (0.3127, 0.3290, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)


def png(*chunks, icc=None, image=None):
    stream = io.BytesIO()
    (image or Image.new("RGB", (20, 20), COLOUR)).save(stream, "PNG", icc_profile=icc)
    data = stream.getvalue()
    made = b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + made + data[33:]


def cicp(primaries, transfer):
    return b"cICP", bytes([primaries, transfer, 0, 1])


def gama(gamma):
    return b"gAMA", struct.pack(">L", round(gamma * 100000))


def chrm(points):
    return b"cHRM", struct.pack(">8L", *(round(point * 100000) for point in points))


def expected(points, linear):
    """sRGB of COLOUR by the formulas: to light, to XYZ, to Rec. 709's primaries, through sRGB's curve."""

    def to_xyz(points):
        xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(points[::2], points[1::2], strict=True)])
        return xyz[1:].T * np.linalg.solve(xyz[1:].T, xyz[0])

    light = np.linalg.solve(to_xyz(REC_709), to_xyz(points) @ linear(np.array(COLOUR) / 255)).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def first_pixel(data):
    return open_picture(data).pixels[3, 4].astype(float)


CASES = {
    "gAMA, linear": ([gama(1.0)], REC_709, lambda v: v),
    "gAMA, 1.8": ([gama(1 / 1.8)], REC_709, lambda v: v**1.8),
    "cHRM, Display P3": ([gama(0.45455), chrm(P3)], P3, srgb),
    "cHRM alone": ([chrm(REC_2020)], REC_2020, srgb),
    "gAMA and cHRM": ([gama(1.0), chrm(P3)], P3, lambda v: v),
    "cICP, Display P3": ([cicp(12, 13)], P3, srgb),
    "cICP, Rec. 2020": ([cicp(9, 14)], REC_2020, srgb),
    "cICP, gamma 2.2": ([cicp(1, 4)], REC_709, lambda v: v**2.2),
    "cICP, linear": ([cicp(1, 8)], REC_709, lambda v: v),
    "cICP goes before gAMA": ([gama(1.0), cicp(12, 13)], P3, srgb),
}


@pytest.mark.parametrize(("chunks", "points", "linear"), CASES.values(), ids=CASES)
def test_png_chunks_are_followed(chunks, points, linear):
    data = png(*chunks)
    np.testing.assert_allclose(first_pixel(data), expected(points, linear), atol=1.5)
    picture = open_picture(data)
    assert (picture.hdr, picture.has_icc) == (None, False)


def greys(mode):
    """A picture of greys, of 8 bits and of 16, as such and in RGB."""
    values = np.linspace(0, 255, 400).round().astype(np.uint8).reshape(20, 20)
    if mode == "1":
        values = np.where(values > 99, 255, 0).astype(np.uint8)
    grey = Image.fromarray(values)
    if mode == "I;16":
        return Image.fromarray(values.astype(np.uint16) * 257), grey.convert("RGB")
    return grey.convert(mode), grey.convert("RGBA" if mode == "LA" else "RGB")


@pytest.mark.parametrize(
    "chunks", [[gama(1.0)], [gama(1 / 1.8), chrm(P3)], [cicp(1, 8)], [cicp(12, 4)]], ids=str
)
@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_greys_follow_them_as_colours_do(mode, chunks):
    grey, colour = (open_picture(png(*chunks, image=image)).pixels for image in greys(mode))
    np.testing.assert_array_equal(grey, colour)
    plain = open_picture(png(image=greys(mode)[0])).pixels
    assert (mode == "1") == np.array_equal(grey, plain)


SAME = {
    "nothing": [],
    "gAMA of most files": [gama(0.45455)],
    "gAMA nearly so": [gama(0.4386)],
    "gAMA and cHRM of most files": [gama(0.45455), chrm(REC_709)],
    "sRGB goes before gAMA": [(b"sRGB", b"\0"), gama(1.0), chrm(P3)],
    "cICP, sRGB": [cicp(1, 13)],
    "cICP, television": [cicp(1, 1)],
    "cICP, not specified": [cicp(2, 2)],
    "cICP too short": [(b"cICP", b"\x0c\x0d")],
    "gAMA of nought": [gama(0)],
    "gAMA that is absurd": [gama(40)],
    "cHRM of noughts": [chrm([0] * 8)],
    "cHRM of one colour": [chrm([0.3, 0.3] * 4)],
    "cHRM of large numbers": [chrm([20] * 8)],
}


@pytest.mark.parametrize("chunks", SAME.values(), ids=SAME)
def test_numbers_that_stay_as_they_are(chunks):
    np.testing.assert_array_equal(first_pixel(png(*chunks)), COLOUR)


def test_which_declaration_counts():
    adobe = first_pixel(png(icc=ADOBE_RGB))
    assert np.abs(adobe - COLOUR).max() > 5
    np.testing.assert_array_equal(first_pixel(png(gama(1.0), icc=ADOBE_RGB)), adobe)
    np.testing.assert_array_equal(first_pixel(png(cicp(1, 13), icc=ADOBE_RGB)), COLOUR)
    np.testing.assert_array_equal(first_pixel(png(gama(1.0), icc=SRGB)), COLOUR)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_named_and_left_alone(transfer, name):
    picture = open_picture(png(cicp(9, transfer)))
    assert picture.hdr == name
    np.testing.assert_array_equal(picture.pixels[0, 0], COLOUR)
    assert open_picture(png()).hdr is None


def with_cicp(transfer):
    """A profile of sRGB, which names its curve by a code point too (ICC.1:2022, 9.2.17)."""
    count = int.from_bytes(SRGB[128:132], "big")
    tags = [SRGB[132 + 12 * n : 144 + 12 * n] for n in range(count)]
    moved = [tag[:4] + struct.pack(">L", struct.unpack(">L", tag[4:8])[0] + 12) + tag[8:] for tag in tags]
    body = SRGB[132 + 12 * count :]
    place = 132 + 12 * (count + 1) + len(body)
    table = struct.pack(">L", count + 1) + b"".join(moved) + b"cicp" + struct.pack(">LL", place, 12)
    profile = SRGB[:128] + table + body + b"cicp" + bytes(4) + bytes([9, transfer, 0, 1])
    return struct.pack(">L", len(profile)) + profile[4:]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(("transfer", "name"), [(13, None), (16, "PQ"), (18, "HLG")])
def test_a_profile_that_names_a_curve_of_high_dynamic_range(format, transfer, name):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), COLOUR).save(stream, format, icc_profile=with_cicp(transfer))
    assert open_picture(stream.getvalue()).hdr == name


def avif(primaries, transfer):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), COLOUR).save(stream, "AVIF", quality=100, subsampling="4:4:4")
    data = stream.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def test_avif():
    np.testing.assert_allclose(first_pixel(avif(1, 13)), COLOUR, atol=2)
    np.testing.assert_allclose(first_pixel(avif(12, 13)), expected(P3, srgb), atol=4)
    assert [open_picture(avif(9, transfer)).hdr for transfer in (13, 16, 18)] == [None, "PQ", "HLG"]


@pytest.mark.skipif(
    not heic_available(), reason="pillow-heif is not installed: pip install 'cameraborn[heic]'"
)
def test_heic():
    from pillow_heif import from_pillow

    def heic(primaries, transfer):
        stream = io.BytesIO()
        image = from_pillow(Image.new("RGB", (64, 64), COLOUR))
        image.save(
            stream, quality=100, chroma=444, color_primaries=primaries, transfer_characteristics=transfer
        )
        return stream.getvalue()

    np.testing.assert_allclose(first_pixel(heic(12, 13)), expected(P3, srgb), atol=4)
    assert [open_picture(heic(9, transfer)).hdr for transfer in (13, 16, 18)] == [None, "PQ", "HLG"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([png(gama(1.0), chrm(P3), cicp(9, 16)), avif(9, 16)]),
    st.binary(max_size=30),
    st.integers(0, 300),
)
def test_any_bytes_declare_something_or_nothing(data, junk, at):
    assert isinstance(colours_of(data[:at] + junk + data[at + len(junk) :], {}), Colours)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.lists(st.floats(), max_size=9).map(tuple)))
def test_any_numbers_are_colours_or_none(gamma, points):
    assert isinstance(colours_of(png(), {"gamma": gamma, "chromaticity": points}), Colours)
