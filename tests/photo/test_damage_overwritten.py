"""Runs of equal bytes in files without checksums: told where pixels are coded, and nowhere else."""

import io
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.damage_overwritten import LONGEST, coded_parts, overwritten
from cameraborn.photo.decode import heic_available, open_picture
from tests.command import EXAMPLES

FORMATS = {
    "WebP": ("WEBP", {"quality": 80}),
    "WebP without loss": ("WEBP", {"lossless": True}),
    "AVIF": ("AVIF", {"quality": 80}),
    "HEIC": ("HEIF", {}),
}


@pytest.fixture(scope="module")
def face():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return image.convert("RGB").resize((600, 600))


def encoded(image, name):
    format, options = FORMATS[name]
    stream = io.BytesIO()
    if format == "HEIF":
        if not heic_available():
            pytest.skip("pillow-heif is not installed")
        from pillow_heif import from_pillow

        from_pillow(image).save(stream, quality=80)
    else:
        image.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_sound_files_have_no_note(face, name):
    flat = Image.new("RGB", (1200, 900), "white")
    flat.paste(face.resize((200, 200)), (500, 300))
    for image in (face, flat, Image.new("RGB", (64, 64))):
        assert open_picture(encoded(image, name)).damage.notes == ()


def test_flat_pictures_of_the_fastest_coder_have_no_note(face):
    """The worst case for WebP with loss: zeros of one in 526 bytes."""
    flat = Image.new("RGB", (4000, 3000))
    flat.paste(face, (1000, 1000))
    stream = io.BytesIO()
    flat.save(stream, "WEBP", quality=100, method=0)
    assert open_picture(stream.getvalue()).damage.notes == ()


@pytest.mark.parametrize("byte", [0x00, 0xFF])
@pytest.mark.parametrize("name", FORMATS)
def test_a_tenth_of_equal_bytes_is_told_of_or_refused(face, name, byte):
    data = encoded(face, name)
    begin, count = len(data) // 2, len(data) // 10
    spoilt = data[:begin] + bytes([byte]) * count + data[begin + count :]
    try:
        damage = open_picture(spoilt).damage
    except PictureError:
        return
    (note,) = damage.notes
    assert note.endswith(f" bytes of its coded pixels are all {byte:#04x}")
    assert count <= int(note.split()[0]) <= count + 5
    assert damage.share_of((0, 0, 600, 600)) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_all_coded_pixels_are_looked_at_and_nothing_else(face, name):
    format, options = FORMATS[name]
    plain = encoded(face, name)
    parts = [part for part, _ in coded_parts(plain, 360_000)]
    assert sum(map(len, parts)) > 0.95 * len(plain)
    if format != "HEIF":  # a camera's notes may be empty for long
        exif = Image.Exif()
        exif[0x927C] = bytes(5000)
        stream = io.BytesIO()
        face.save(stream, format, exif=exif, **options)
        assert bytes(1000) in stream.getvalue()
        assert overwritten(stream.getvalue(), 360_000) is None


@given(st.binary(max_size=300), st.integers(0, LONGEST), st.integers(0, 255))
def test_a_run_is_told_of_from_a_length_on(noise, extra, byte):
    chunk = noise + bytes([byte]) * (LONGEST + extra) + noise
    data = b"RIFF" + bytes(4) + b"WEBP" + b"VP8L" + struct.pack("<L", len(chunk)) + chunk
    # Slowly: the longest run, byte by byte.
    longest = run = 1
    for one, other in itertools.pairwise(chunk):
        run = run + 1 if one == other else 1
        longest = max(longest, run)
    said = overwritten(data, 1)
    assert (said is not None) == (longest > LONGEST)
    assert said is None or said.split()[0] == str(longest)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_file_is_too_malformed(data):
    begin = data.draw(st.sampled_from([b"RIFF\0\0\0\0WEBP", b"\0\0\0\x14ftypavif\0\0\0\0avif"]))
    box = st.tuples(
        st.sampled_from([b"meta", b"iinf", b"iloc", b"infe", b"VP8 ", b"VP8L"]), st.binary(max_size=40)
    )
    body = b"".join(
        struct.pack(">L", len(inner) + 8) + kind + inner
        for kind, inner in data.draw(st.lists(box, max_size=4))
    )
    wrapped = struct.pack(">L", len(body) + 12) + b"meta" + bytes(4) + body
    overwritten(begin + data.draw(st.sampled_from([body, wrapped])) + data.draw(st.binary(max_size=80)), 100)


def test_extents_are_found_in_every_version_of_their_boxes():
    pixels = bytes(np.random.default_rng(0).integers(0, 256, 500, np.uint8)) + bytes(200)
    for version, infe_version in ((0, 2), (1, 2), (2, 3)):
        wide = ">L" if version == 2 else ">H"
        item = struct.pack(wide, 7)

        def box(kind, body):
            return struct.pack(">L", len(body) + 8) + kind + body

        infe_id = struct.pack(">L" if infe_version == 3 else ">H", 7)
        infe = box(b"infe", bytes([infe_version, 0, 0, 0]) + infe_id + bytes(2) + b"av01\0")
        iinf = box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe)
        head = b"\0\0\0\x10ftypavif\0\0\0\0"

        def iloc(offset):
            index = b"" if version == 0 else bytes(2)  # noqa: B023 (used at once)
            body = bytes([version, 0, 0, 0]) + bytes([0x44, 0x00]) + struct.pack(wide, 1) + item  # noqa: B023
            return box(b"iloc", body + index + bytes(2) + struct.pack(">HLL", 1, offset, len(pixels)))

        length = len(head + box(b"meta", bytes(4) + iinf + iloc(0)))
        data = head + box(b"meta", bytes(4) + iinf + iloc(length + 8)) + box(b"mdat", pixels)
        assert [bytes(part) for part, _ in coded_parts(data, 1)] == [pixels], version
        assert overwritten(data, 1) == "200 bytes of its coded pixels are all 0x00"
