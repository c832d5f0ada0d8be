"""JPEG XL: pictures that libjxl's own `cjxl` has written, and headers written bit by bit."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.decode import MAX_PIXELS, open_picture
from cameraborn.photo.jpeg_xl import Header, header_of, jpeg_xl_available
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.sniff import Kind, can_be_read
from tests.command import rows_of, run_here

# Four fields of 32 x 20 pixels; of `turned` and `packed_jpeg` the EXIF says that a viewer turns them by a quarter.
DATA = Path(__file__).parent / "data" / "jxl"
FILES = {file.stem: file.read_bytes() for file in DATA.glob("*.jxl")}
FIELDS = np.array([[[200, 30, 30], [30, 30, 200]], [[120, 120, 120], [30, 200, 30]]], np.uint8)
SCENE = FIELDS.repeat(20, 0).repeat(32, 1)
needs_the_plugin = pytest.mark.skipif(not jpeg_xl_available(), reason="needs pip install 'cameraborn[jxl]'")


def near(pixels, expected):
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 4  # edges of colours are blurred


def error_of(data):
    with pytest.raises(PictureError) as caught:
        open_picture(data, name="a.jxl")
    return str(caught.value)


@needs_the_plugin
@pytest.mark.parametrize("name", ["plain", "container"])
def test_a_picture(name):
    picture = open_picture(FILES[name])
    near(picture.pixels, SCENE)
    assert (picture.format, picture.jpeg_quality, picture.hdr) == ("JPEG XL", None, None)
    assert picture.n_bytes == len(FILES[name])


@needs_the_plugin
def test_greys_of_16_bits_and_transparency():
    near(open_picture(FILES["grey_16"]).pixels, SCENE[..., :1].repeat(3, 2))
    near(open_picture(FILES["alpha"]).pixels, (SCENE.astype(int) + 255) // 2)


@needs_the_plugin
def test_it_is_turned_once():
    near(open_picture(FILES["turned"]).pixels, np.rot90(SCENE, -1))
    near(open_picture(FILES["packed_jpeg"]).pixels, np.rot90(SCENE, -1))


@needs_the_plugin
def test_exif_and_its_orientation_which_is_undone_already():
    from pillow_jxl import Encoder

    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Acme"
    block = bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")
    data = Encoder("RGB", lossless=True, use_container=True)(
        SCENE.tobytes(), 64, 40, jpeg_encode=False, exif=block
    )
    picture = open_picture(data)
    near(picture.pixels, SCENE)
    assert picture.exif.make == "Acme"


@needs_the_plugin
def test_a_packed_jpeg_is_that_jpeg():
    packed, plain = open_picture(FILES["packed_jpeg"]), open_picture(DATA / "packed_jpeg.jpg")
    np.testing.assert_array_equal(packed.pixels, plain.pixels)
    assert packed.jpeg_quality == plain.jpeg_quality == 92
    for fact in ("jpeg_tables", "subsampling", "exif", "damage"):
        assert getattr(packed, fact) == getattr(plain, fact)
    assert packed.format == "JPEG XL"
    assert packed.n_bytes == len(FILES["packed_jpeg"])


@needs_the_plugin
def test_curves_of_high_dynamic_range_are_named():
    assert [open_picture(FILES[name]).hdr for name in ("pq", "hlg")] == ["PQ", "HLG"]


@needs_the_plugin
def test_an_animation_is_refused():
    assert error_of(FILES["animation"]) == (
        "a.jxl: an animation in JPEG XL, which cannot be read: save it as PNG or WebP"
    )


@needs_the_plugin
@pytest.mark.parametrize("name", FILES)
def test_damage_is_one_line(name):
    data = FILES[name]
    for cut in (3, 8, len(data) // 2, len(data) - 1):
        assert error_of(data[:cut]).startswith("a.jxl: "), cut
    if name != "animation":
        assert "damaged or truncated JPEG XL" in error_of(data[: len(data) // 2])
    if name != "animation" and data.startswith(b"\xff\x0a"):  # of boxes, one that is cut is not there
        assert "damaged or truncated JPEG XL (its decoder refuses it)" in error_of(data[:-1])


@needs_the_plugin
def test_many_pixels_are_refused_before_they_are_decoded():
    data = b"\xff\x0a" + bits((0, 1), (3, 2), (99_999, 30), (1, 3), (1, 1)) + bytes(40)
    assert error_of(data) == (
        f"a.jxl: 100000 x 100000 pixels are more than the limit of {MAX_PIXELS:,}: make it smaller first"
    )


def test_without_the_plugin_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)  # how Python marks a module that cannot be imported
    assert (
        error_of(FILES["plain"]) == "a.jxl: JPEG XL needs an optional package: pip install 'cameraborn[jxl]'"
    )
    assert not can_be_read(Kind.JPEG_XL)


@needs_the_plugin
def test_folders_and_provenance(tmp_path, tiny_bundle):
    for name in ("plain", "packed_jpeg", "animation"):
        (tmp_path / name).write_bytes(FILES[name])  # without an ending
    _, out, _ = run_here("score", ".", "--bundle", tiny_bundle, "--format", "jsonl", cwd=tmp_path)
    scopes = {Path(row["path"]).name: row["scope"] for row in rows_of(out)}
    assert scopes == {"plain": "no-face", "packed_jpeg": "no-face", "animation": "unreadable"}
    assert read_provenance(tmp_path / "packed_jpeg").camera == "Acme"


@needs_the_plugin
def test_xmp_tells_of_a_generator(tmp_path):
    from pillow_jxl import Encoder

    kind = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{kind}"/></rdf:RDF></x:xmpmeta>'
    )
    encoder = Encoder("RGB", use_container=True)
    file = tmp_path / "a.jxl"
    file.write_bytes(encoder(SCENE.tobytes(), 64, 40, jpeg_encode=False, xmp=packet.encode()))
    found = read_provenance(file)
    assert (found.says, found.source_type) == ("generated", "trainedAlgorithmicMedia")


def bits(*fields):
    """Numbers and how many bits each has, packed from the lowest bit on."""
    value = place = 0
    for number, count in fields:
        value |= number << place
        place += count
    return value.to_bytes((place + 7) // 8, "little")


def side(number):
    """A side of a picture, with the selector of the smallest field that holds it."""
    for selector, count in enumerate((9, 13, 18, 30)):
        if number - 1 < 1 << count:
            return (selector, 2), (number - 1, count)
    raise ValueError(number)


SIDES = st.integers(1, 1 << 30)


@given(SIDES, SIDES, st.booleans(), st.integers(0, 7), st.booleans(), st.booleans())
def test_headers_of_every_form(width, height, animated, turned, has_other_size, has_preview):
    other = (0, 1), *side(7), (0, 3), *side(9)
    preview = (1, 1), (2, 2), (3, 5), (1, 3)  # 32 pixels, square
    data = b"\xff\x0a" + bits(
        (0, 1), *side(height), (0, 3), *side(width),
        (0, 1), (1, 1), (turned, 3),
        *(((1, 1), *other) if has_other_size else ((0, 1),)),
        *(((1, 1), *preview) if has_preview else ((0, 1),)),
        (animated, 1),
    )  # fmt: skip
    assert header_of(data) == Header(width, height, animated)


@pytest.mark.parametrize(
    ("ratio", "width"), [(1, 240), (2, 288), (3, 320), (4, 360), (5, 426), (6, 300), (7, 480)]
)
def test_ratios_and_small_sides(ratio, width):
    assert header_of(b"\xff\x0a" + bits((1, 1), (29, 5), (ratio, 3), (1, 1))) == Header(width, 240, False)


def test_a_codestream_in_several_boxes():
    stream = FILES["plain"]
    parts = [struct.pack(">L", n) + part for n, part in enumerate((stream[:3], stream[3:5], stream[5:]))]
    boxes = b"".join(struct.pack(">L4s", 8 + len(part), b"jxlp") + part for part in parts)
    container = FILES["container"]
    start = container.index(b"jxlc") - 4
    assert header_of(container[:start] + boxes) == header_of(stream) == Header(64, 40, False)


@settings(max_examples=200)
@given(st.binary(max_size=80), st.booleans())
def test_anything_else_is_a_value_error_or_a_header(data, is_codestream):
    try:
        header = header_of(b"\xff\x0a" * is_codestream + data)
    except ValueError:
        return
    assert header.height > 0
