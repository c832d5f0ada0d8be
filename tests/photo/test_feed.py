"""What a decoder is given to read: nothing beyond the end, and of a JPEG a look at how far the decoder has come."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from cameraborn.photo.decode import open_picture
from cameraborn.photo.feed import GREY, JPEG_END, EndOfFile, JpegFeed, WebpFeed, WholeFile
from cameraborn.photo.jpeg_parts import jpeg_parts
from tests.photo.test_damage import jpeg, middle, photograph
from tests.photo.test_decode import encode, error_of, noise, orientation_exif, scene

READS = st.lists(st.integers(0, 12), max_size=12)


def loaded(data):
    """The feed of a JPEG and the picture that was loaded from it."""
    feed = JpegFeed(data)
    with Image.open(feed, formats=["JPEG"]) as image:
        feed.watch(image)
        image.load()
        return feed, image.copy()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60), READS)
def test_a_whole_file_gives_its_bytes_and_ends_with_an_error(data, sizes):
    feed, plain = WholeFile(data), io.BytesIO(data)
    for size in sizes:
        expected = plain.read(size)
        if expected or not size:
            assert feed.read(size) == expected
        else:
            with pytest.raises(EndOfFile, match=r"^the file ends early$"):
                feed.read(size)


@pytest.mark.parametrize("all_of_it", [-1, None])
def test_the_rest_is_read_at_once(all_of_it):
    feed = WholeFile(b"abcdef")
    assert feed.read(2) == b"ab"
    assert feed.read(all_of_it) == b"cdef"
    with pytest.raises(EndOfFile):
        feed.read(all_of_it)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=40, max_size=80), READS)
def test_of_a_webp_the_size_comes_later_than_the_names(data, sizes):
    feed, got = WebpFeed(data), b""
    assert len(feed.read(4096)) == 16
    feed.seek(0)
    for size in sizes:
        if size and feed.tell() == len(data):
            break
        got += feed.read(size)
    assert got == data[: len(got)]
    feed.seek(0)
    assert feed.read() == data  # whoever asks for everything gets it
    feed.seek(0)
    assert feed.read(16) + feed.read(4096) == data


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}], ids=str)
def test_the_look_at_a_sound_file_changes_nothing(mode, options):
    data = jpeg(photograph((97, 131)).convert(mode), **options)
    feed, image = loaded(data)
    assert (feed.finished_early, feed.behind) == (False, False)
    assert not feed.lacks_data(image)
    with Image.open(io.BytesIO(data)) as plain:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(plain))


def test_too_many_codes_finish_the_last_row_early():
    data = jpeg()
    at = middle(data, 0.4)
    feed, _ = loaded(data[:at] + data[at:][:2000] + data[at:])
    assert (feed.finished_early, feed.behind) == (True, False)


def test_lost_codes_leave_the_decoder_behind():
    data = jpeg()
    at = middle(data, 0.4)
    feed, image = loaded(data[:at] + data[at + 2000 :])
    assert (feed.finished_early, feed.behind) == (False, True)
    assert np.all(np.asarray(image)[-16:, -16:] == GREY)


def test_a_progressive_file_is_not_looked_at():
    feed, _ = loaded(jpeg(progressive=True))
    assert (feed.finished_early, feed.behind) == (None, None)


def test_a_picture_that_is_decoded_smaller_is_not_inked():
    data = jpeg()
    feed = JpegFeed(data)
    with Image.open(feed, formats=["JPEG"]) as image, Image.open(io.BytesIO(data)) as plain:
        image.draft("RGB", (80, 64))
        plain.draft("RGB", (80, 64))
        feed.watch(image)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(plain))
        assert image.size < (320, 256)
    assert (feed.finished_early, feed.behind) == (None, None)


def test_a_missing_end_marker_is_added():
    data = jpeg()
    assert data.endswith(JPEG_END)
    assert JpegFeed(data).getvalue() == data
    assert JpegFeed(data[:-2]).getvalue() == data
    assert JpegFeed(data[:-2]).data == data[:-2]


KINDS = {"one scan": {}, "progressive": {"progressive": True}}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("cut", [2, 40, 400])
def test_a_file_without_its_end_marker_lacks_data_or_that_alone(options, cut):
    feed, image = loaded(jpeg(**options)[:-cut])
    assert feed.lacks_data(image) == (cut > 2)


def without_quantisation(data):
    """Such a file cannot be walked: its first table is declared again, as one that no component asks for."""
    at = data.index(b"\xff\xdb") + 4
    return data[:at] + bytes([data[at] | 2]) + data[at + 1 :]


def test_grey_in_the_last_units_tells_where_codes_cannot_be_followed():
    data = jpeg()
    feed = JpegFeed(data[:-2])
    feed.parts = jpeg_parts(without_quantisation(data[:-2]))
    size = (feed.parts.width, feed.parts.height)
    (rows, columns), (width, height) = feed.parts.grid, feed.parts.mcu
    image = Image.new("RGB", size, (GREY, GREY, GREY))
    assert feed.lacks_data(image)
    image.putpixel(((columns - 1) * width - 1, (rows - 1) * height), (0, 0, 0))  # beside the last unit
    assert feed.lacks_data(image)
    image.putpixel(((columns - 1) * width, (rows - 1) * height), (0, 0, 0))
    assert not feed.lacks_data(image)
    assert feed.lacks_data(image.resize((16, 16)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF"])
def test_truncated_files_are_refused_even_where_the_host_allows_them(format, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode(noise(), format)
    assert "truncated" in error_of(data[: len(data) // 2])
    assert open_picture(data).pixels.shape == (64, 80, 3)


def test_a_webp_with_a_huge_canvas_is_refused_from_its_header():
    data = bytearray(encode(scene(), "WEBP", lossless=True, exif=orientation_exif(6)))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xff\xff\xff\xff\xff\xff"
    line = error_of(bytes(data), name="a")
    assert (
        line == "a: 16777216 x 16777216 pixels are more than the limit of 200,000,000: make it smaller first"
    )
