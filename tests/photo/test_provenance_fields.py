"""Texts beside the pixels: chunks, tags, comments; bounded, and never raising."""

import json
import shutil
import struct
import subprocess
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_fields import MAX_FIELDS, MAX_TEXT, Field, decoded, fields_of, png_texts
from tests.photo.provenance_files import (
    ascii_tag,
    chunk,
    iim_segment,
    international,
    jpeg,
    png,
    saved,
    text,
    user_comment,
    xmp,
)
from tests.photo.test_exif import UNDEFINED, block


def fields(data):
    with Image.open(BytesIO(data)) as image:
        return fields_of(image, data)


def test_chunks_before_and_behind_the_pixels():
    data = png(
        text("a", "é"),
        chunk(b"zTXt", b"b\0\0" + zlib.compress(b"two")),
        behind=[international("c", "drei ☃"), international("d", "vier", compressed=True)],
    )
    assert fields(data) == (
        Field("PNG text", "a", "é"),
        Field("PNG text", "b", "two"),
        Field("PNG text", "c", "drei ☃"),
        Field("PNG text", "d", "vier"),
    )


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="the oracle is exiftool")
def test_tags_as_exiftool_reads_them(tmp_path):
    tags = [ascii_tag(0x10E, "described"), ascii_tag(0x131, "Program 1"), ascii_tag(0x13B, "Artist")]
    data = jpeg(
        iim_segment((110, b"Credit"), (65, b"Prog")),
        exif=block([user_comment("größer", order="utf-16-le")], tags),
    )
    (tmp_path / "a.jpg").write_bytes(data)
    run = subprocess.run(["exiftool", "-j", tmp_path / "a.jpg"], capture_output=True, check=True, text=True)
    theirs = json.loads(run.stdout)[0]
    ours = {field.name: field.text for field in fields(data)}
    assert ours == {name: theirs[name] for name in ours}
    assert set(ours) == {
        "ImageDescription",
        "Software",
        "Artist",
        "UserComment",
        "OriginatingProgram",
        "Credit",
    }


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (b"ASCII\0\0\0plain\0\0", "plain"),
        (bytes(8) + "né".encode(), "né"),
        (b"UNICODE\0" + "né".encode("utf-16-be"), "né"),
        (b"UNICODE\0" + "né".encode("utf-16-le"), "né"),
        (b"no code at all", "no code at all"),
        (b"", None),
        (b"UNICODE\0\xd8", None),
    ],
)
def test_user_comments(comment, expected):
    found = [field.text for field in fields(jpeg(exif=block([(0x9286, UNDEFINED, comment)])))]
    assert found == ([] if expected is None else [expected])


def test_windows_comments():
    tag = (0x9C9C, 1, "Steps".encode("utf-16-le") + b"\0\0")
    assert fields(jpeg(exif=block([], [tag]))) == (Field("EXIF", "XPComment", "Steps"),)


def test_comments_of_jpeg_and_gif():
    assert fields(jpeg((0xFE, b"one"), (0xFE, b"two"))) == (
        Field("comment", "", "one"),
        Field("comment", "", "two"),
    )
    assert fields(saved("GIF", comment=b"three")) == (Field("comment", "", "three"),)


def test_what_is_inflated_is_bounded():
    bomb = zlib.compress(bytes(8 << 20), 9)
    data = png(chunk(b"tEXt", b"k\0v"), chunk(b"zTXt", b"bomb\0\0" + bomb))
    assert [len(value) for _, value in png_texts(data)] == [1, MAX_TEXT]


def test_fields_are_counted():
    data = png(*[text("k", "v")] * (3 * MAX_FIELDS))
    assert len(fields(data)) == MAX_FIELDS


def test_letters_cut_in_the_middle_are_left_out():
    assert decoded(("a" * (MAX_TEXT - 1) + "é").encode()) == "a" * (MAX_TEXT - 1)
    assert decoded(b"caf\xe9") == "café"


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_arbitrary_chunks_never_raise(data, body):
    list(png_texts(data))
    list(png_texts(b"\x89PNG\r\n\x1a\n" + data))
    kinds = (b"tEXt", b"zTXt", b"iTXt", b"caBX", b"eXIf")
    read_or_refuse(png(*[chunk(kind, body) for kind in kinds]))


SAMPLES = {
    "JPEG": jpeg(
        (0xFE, b"comment"),
        iim_segment((110, b"Credit")),
        exif=block(
            [user_comment("Steps: 1, Seed: 2")], [ascii_tag(0x10F, "Canon"), ascii_tag(0x110, "Canon EOS")]
        ),
    ),
    "PNG": png(text("parameters", "Steps: 1, Seed: 2"), international("XML:com.adobe.xmp", xmp())),
    "WebP": saved("WEBP", xmp=xmp().encode(), exif=block([user_comment("x")])),
    "GIF": saved("GIF", comment=b"comment"),
    "TIFF": saved("TIFF", tiffinfo={700: xmp().encode()}),
}


@pytest.mark.parametrize("name", SAMPLES)
@given(st.data())
def test_a_changed_file_gives_an_answer_or_the_documented_error(name, data):
    whole = SAMPLES[name]
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.binary(min_size=1, max_size=6))
    read_or_refuse(whole[:at] + other + whole[at + len(other) :])
    read_or_refuse(whole[:at])


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF\0\1\0\0WEBPVP8X", b"II*\0", b"GIF89a"]
    ),
)
def test_arbitrary_files_give_an_answer_or_the_documented_error(data, signature):
    read_or_refuse(signature + data)


def read_or_refuse(data):
    try:
        assert read_provenance(data, name="x").path == "x"
    except PictureError as error:
        assert "\n" not in str(error)  # noqa: PT017 (one line)


def test_a_length_beyond_the_file_ends_the_walk():
    assert list(png_texts(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 1 << 31) + b"tEXtk\0v" + bytes(20))) == []
