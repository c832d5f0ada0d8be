"""Decoding: pixel values of every kind of picture, and one clear line for everything that is none."""

import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cameraborn.errors import PictureError
from cameraborn.photo import decode
from cameraborn.photo.decode import (
    MIN_SIDE,
    SUPPORTED_EXTENSIONS,
    Picture,
    heic_available,
    open_picture,
    open_upright,
)
from cameraborn.photo.exif import Exif

EXAMPLES = sorted((Path(__file__).parents[1] / "pictures").glob("*.jpg"))
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}
LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}}


def scene(width=40, height=24):
    """Return smooth colours with no symmetry, uint8 [H W 3]."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + 2 * y) % 256], axis=-1).astype(
        np.uint8
    )


def noise():
    """Return pixels that compress to files long enough to be cut anywhere, uint8 [64 80 3]."""
    return np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def encode(image, format, **options):
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, format, **options)
    return stream.getvalue()


def orientation_exif(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def error_of(source, **options):
    with pytest.raises(PictureError) as caught:
        open_picture(source, **options)
    line = str(caught.value)
    assert line.isprintable()  # one line
    return line


def png_chunk(kind, data):
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_formats_keep_every_value(format, tmp_path):
    data = encode(scene(), format, **LOSSLESS[format])
    path = tmp_path / "a.bin"  # the content tells, not the name
    path.write_bytes(data)
    picture = open_picture(path)
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert not picture.pixels.flags.writeable
    assert (picture.name, picture.format, picture.n_bytes) == (str(path), format, len(data))
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.jpeg_quality is None
    assert picture.exif == Exif()


@pytest.mark.parametrize("format", LOSSY)
def test_lossy_formats_come_near(format):
    picture = open_picture(encode(scene(), format, subsampling="4:4:4", **LOSSY[format]))
    assert picture.format == format
    assert np.abs(picture.pixels.astype(int) - scene()).mean() < 4


def test_progressive_jpeg_equals_baseline():
    baseline = open_picture(encode(scene(), "JPEG"))
    progressive = open_picture(encode(scene(), "JPEG", progressive=True))
    np.testing.assert_array_equal(progressive.pixels, baseline.pixels)


@pytest.mark.skipif(
    not heic_available(), reason="pillow-heif is not installed: pip install 'cameraborn[heic]'"
)
def test_heic():
    from pillow_heif import from_pillow

    stream = io.BytesIO()
    from_pillow(Image.fromarray(scene(64, 64))).save(stream, quality=95, chroma=444)
    picture = open_picture(stream.getvalue())
    assert picture.format == "HEIF"
    assert np.abs(picture.pixels.astype(int) - scene(64, 64)).mean() < 4
    assert "HEIF" not in Image.OPEN  # the host's registry is as it was


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_equal_pillow(path):
    picture = open_picture(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.format == "JPEG"
    assert 1 <= picture.jpeg_quality <= 100


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(scene(), "PNG"))
    with path.open("rb") as stream, Image.open(path) as image:
        sources = [str(path), path, path.read_bytes(), stream, image, scene(), Image.fromarray(scene())]
        pictures = [open_picture(source) for source in sources]
    for picture in pictures:
        np.testing.assert_array_equal(picture.pixels, scene())
    assert [picture.format for picture in pictures] == ["PNG"] * 5 + ["ARRAY", "IMAGE"]
    assert [picture.name for picture in pictures] == [str(path)] * 2 + [
        "<bytes>",
        str(path),
        str(path),
        "<array>",
        "<image>",
    ]
    assert [picture.sha256 is None for picture in pictures] == [False] * 4 + [True] * 3
    assert open_picture(path, name="upload 7").name == "upload 7"


def test_an_array_is_copied():
    array = scene()
    picture = open_picture(np.asfortranarray(array))
    array[:] = 0
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.pixels.flags.c_contiguous


def test_pillow_pictures_are_left_as_they_were():
    image = Image.fromarray(scene()).convert("RGBA")
    image.info["exif"] = orientation_exif(6)
    assert open_picture(image).pixels.shape == (40, 24, 3)
    assert (image.mode, image.size) == ("RGBA", (40, 24))


STORED = [[1, 2, 3], [4, 5, 6]]
UPRIGHT = {  # the definition: which side of the stored picture is the visual top, and which its left
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def blocks(numbers):
    """Paint each number as a 16 x 16 block of one grey."""
    grey = np.kron(np.array(numbers, np.uint8) * 40, np.ones((16, 16), np.uint8))
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_is_applied(orientation, format):
    options = LOSSLESS.get(format, {"quality": 100})
    picture = open_picture(encode(blocks(STORED), format, exif=orientation_exif(orientation), **options))
    expected = blocks(UPRIGHT[orientation])
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).max() <= (0 if format in LOSSLESS else 3)
    assert picture.pixels.flags.c_contiguous


MODES = ["RGB", "L", "LA", "P", "RGBA", "1", "CMYK", "LAB", "I;16"]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("mode", MODES)
def test_strips_are_converted_and_turned_as_the_whole_is(mode, orientation, monkeypatch, tmp_path):
    image = Image.fromarray(noise())
    if mode == "I;16":
        image = Image.fromarray(noise()[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert("LAB") if mode == "LAB" else image.convert(mode)
    if mode in {"LA", "RGBA"}:
        image.putalpha(Image.fromarray(noise()[..., 1]))
    path = tmp_path / "a"
    format = "TIFF" if mode in {"CMYK", "LAB"} else "PNG"
    profile = {"icc_profile": ADOBE_RGB} if mode == "RGB" else {}
    transparent = {"transparency": 3} if mode == "P" else {}
    path.write_bytes(encode(image, format, exif=orientation_exif(orientation), **profile, **transparent))
    monkeypatch.setattr(decode, "_STRIP", 7 * 80)
    np.testing.assert_array_equal(open_picture(path).pixels, np.asarray(open_upright(path)))


def test_the_pixels_alone_are_the_same(tmp_path):
    path = tmp_path / "turned.jpg"
    path.write_bytes(encode(noise(), "JPEG", exif=orientation_exif(6)))
    np.testing.assert_array_equal(np.asarray(open_upright(path)), open_picture(path).pixels)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(PictureError, match="truncated JPEG"):
        open_upright(path)
    path.write_text("no picture")
    with pytest.raises(PictureError, match="not a picture"):
        open_upright(path)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_invalid_orientation_is_ignored(orientation):
    exif = orientation_exif(orientation)
    np.testing.assert_array_equal(open_picture(encode(scene(), "PNG", exif=exif)).pixels, scene())


def solid(mode, colour):
    return Image.new(mode, (20, 20), colour)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format):
    frames = [solid("RGB", "red"), solid("RGB", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    np.testing.assert_array_equal(open_picture(data).pixels, np.asarray(frames[0]))


def test_first_picture_of_an_mpo_is_a_jpeg():
    data = encode(solid("RGB", "red"), "MPO", save_all=True, append_images=[solid("RGB", "blue")])
    picture = open_picture(data)
    assert picture.format == "JPEG"
    np.testing.assert_allclose(picture.pixels, np.asarray(solid("RGB", "red")), atol=2)


def matrix_profile(red, green, blue, gamma):
    """Return an ICC v2 display profile: columns of the D50 matrix, and one exponent for all channels."""

    def s15(*values):
        return b"".join(struct.pack(">l", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(gamma * 256))
    text = b"a test profile\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">L", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1.0, 0.8249),
        **{
            name: b"XYZ " + bytes(4) + s15(*xyz)
            for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (red, green, blue), strict=True)
        },
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, start = struct.pack(">L", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">LL", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">L4sL4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp")
    header = header.ljust(68, b"\0") + s15(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + table + body


ADOBE_RGB = matrix_profile(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.19921875
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("quality", [1, 2, 5, 10, 25, 49, 50, 51, 75, 76, 90, 95, 98, 99, 100])
def test_jpeg_quality_is_recovered(quality):
    assert open_picture(encode(scene(), "JPEG", quality=quality)).jpeg_quality == quality


def test_jpeg_quality_of_other_tables_is_the_nearest():
    tables = encode(scene(), "JPEG", quality=80)
    with Image.open(io.BytesIO(tables)) as image:
        qtables = {key: list(table) for key, table in image.quantization.items()}
    qtables[0][5] += 2
    assert open_picture(encode(scene(), "JPEG", qtables=qtables)).jpeg_quality == 80
    flat = open_picture(encode(scene(), "JPEG", qtables=[[1] * 63 + [2]] * 2)).jpeg_quality
    assert flat == 100


def test_missing_directory_and_empty(tmp_path):
    assert error_of(tmp_path / "no.jpg") == f"{tmp_path}/no.jpg: no such file: check the path"
    assert error_of(tmp_path) == f"{tmp_path}: a directory, not a picture: name the pictures inside it"
    (tmp_path / "empty.jpg").touch()
    assert "empty.jpg: empty file (0 bytes): copy" in error_of(tmp_path / "empty.jpg")
    assert "cannot be read" in error_of("nul\0inside.jpg")


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs an ordinary POSIX user: root may read all"
)
def test_permission_denied(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encode(scene(), "PNG"))
    path.chmod(0)
    assert error_of(path) == f"{path}: permission denied: make the file readable for this user"


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is no picture\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1",
        b"%PDF-1.7",
        b"<svg/>",
        b"\0" * 100,
        b"x",
    ],
)
def test_other_files_are_refused_with_the_list_of_formats(data, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    line = error_of(path)
    assert line.startswith(
        f"{path}: not a picture in a supported format (JPEG, PNG, WEBP, TIFF, BMP, GIF, AVIF, "
    )
    assert line.endswith("convert it to JPEG or PNG")


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # how Python marks a module that cannot be imported
    assert not heic_available()
    header = struct.pack(">L4s4sL4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")
    assert error_of(header + bytes(100), name="a.heic").endswith("pip install 'cameraborn[heic]'")


CUTS = {
    **LOSSLESS,
    **LOSSY,
    "GIF": {},
    "TIFF-LZW": {"compression": "tiff_lzw"},
    "JPEG-progressive": {"progressive": True},
}


@pytest.mark.parametrize("kind", CUTS)
def test_truncated_files_are_refused(kind):
    data = encode(noise(), kind.partition("-")[0], **CUTS[kind])
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        assert "truncated" in error_of(data[: int(share * len(data))])


def test_truncated_jpeg_line():
    data = encode(scene(200, 200), "JPEG")
    expected = "photo.jpg: truncated JPEG (the file ends early): copy or download it again"
    assert error_of(data[: len(data) // 2], name="photo.jpg") == expected
    assert error_of(data[: int(0.99 * len(data))], name="photo.jpg") == expected


def test_a_jpeg_that_lacks_its_end_marker_alone_is_whole():
    data = encode(scene(200, 200), "JPEG")
    whole, cut = open_picture(data), open_picture(data[:-2])
    np.testing.assert_array_equal(cut.pixels, whole.pixels)
    assert cut.damage.notes == ("the end marker of the JPEG is missing",)
    assert whole.damage.notes == whole.damage.boxes == cut.damage.boxes == ()


def png_header(width, height):
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 10**7))
    )


def bmp_header(width, height):
    return b"BM" + struct.pack("<LLLLllHHLLllLL", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("bomb", [png_header(40_000, 40_000), bmp_header(40_000, 40_000)], ids=["png", "bmp"])
def test_bombs_are_refused_from_the_header(bomb):
    # Neither file has the pixels it announces: had they been decoded, the error would be another.
    line = error_of(bomb, name="bomb")
    assert line == "bomb: 40000 x 40000 pixels are more than the limit of 200,000,000: make it smaller first"


def test_the_limit_can_be_chosen():
    data = encode(scene(), "PNG")
    assert "more than the limit of 959" in error_of(data, max_pixels=40 * 24 - 1)
    assert "more than the limit of 959" in error_of(scene(), max_pixels=40 * 24 - 1)
    assert open_picture(data, max_pixels=40 * 24).pixels.shape == (24, 40, 3)


@pytest.mark.parametrize("format", [*LOSSLESS, *LOSSY, "GIF"])
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_the_hosts_limit_is_neither_obeyed_nor_changed(format, options, monkeypatch):
    made = {**LOSSLESS.get(format, {}), **(options if format == "TIFF" else {})}
    data = encode(scene(), format, **made, exif=orientation_exif(6))
    picture = open_picture(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(open_picture(data).pixels, picture.pixels)
    line = error_of(data, name="a", max_pixels=959)
    assert re.fullmatch(
        r"a: (40 x 24|24 x 40) pixels are more than the limit of 959: make it smaller first", line
    )
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("size", [(1, 1), (MIN_SIDE - 1, 100), (100, MIN_SIDE - 1)])
def test_too_small(size):
    line = f"a.png: {size[0]} x {size[1]} pixels are too few: use a version of at least 16 x 16"
    assert error_of(encode(Image.new("RGB", size), "PNG"), name="a.png") == line
    assert error_of(Image.new("RGB", size), name="a.png") == line
    assert error_of(np.zeros((size[1], size[0], 3), np.uint8), name="a.png") == line


def test_smallest():
    assert open_picture(scene(MIN_SIDE, MIN_SIDE)).pixels.shape == (MIN_SIDE, MIN_SIDE, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((20, 20, 3)),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros(3, np.uint8),
    ],
)
def test_arrays_of_other_kinds(array):
    assert "not uint8 [H, W, 3]: convert it to RGB" in error_of(array)


def test_pictures_whose_range_is_not_known():
    assert "floating-point picture" in error_of(encode(solid("F", 0.5), "TIFF"))
    assert "32-bit greyscale" in error_of(encode(solid("I", 70_000), "TIFF"))
    assert "32-bit greyscale" in error_of(solid("I", -1))


def test_streams_in_text_mode_and_other_objects(tmp_path):
    assert "text mode" in error_of(io.StringIO("hello"))
    stream = io.BytesIO(b"closed")
    stream.close()
    assert "stream cannot be read" in error_of(stream)
    with pytest.raises(TypeError, match="not a path"):
        open_picture(5)


def test_control_characters_in_names_stay_out_of_the_line():
    assert error_of(b"", name="a\n\x1b[31mb.jpg").startswith("a??[31mb.jpg: empty file")


TYPICAL_EXIF = Image.Exif()
TYPICAL_EXIF.update({0x010F: "Canon", 0x0112: 1})
TYPICAL_EXIF.get_ifd(0x8769).update({0x8827: 100, 0x829D: 2.8})


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("junk", [b"Exif\0\0" + b"\xff" * 60, b"Exif\0\0II*\0\xff\xff\xff\xff" + b"?" * 40])
def test_corrupted_exif_does_not_cost_the_picture(format, junk):
    options = {**LOSSLESS, **LOSSY}[format]
    whole = encode(scene(), format, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", **options)
    if format == "AVIF":  # its encoder refuses junk: overwrite a whole block
        at = whole.index(b"II*\0\x08")
        damaged = whole[:at] + b"\xff" * 8 + whole[at + 8 :]
    else:
        damaged = encode(scene(), format, exif=junk, **options)
    picture = open_picture(damaged)
    np.testing.assert_array_equal(picture.pixels, open_picture(whole).pixels)
    assert picture.exif == Exif()


def test_png_whose_exif_fails_its_checksum():
    data = encode(scene(), "PNG", exif=TYPICAL_EXIF)
    picture = open_picture(data.replace(b"Canon", b"Kanon"))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert picture.exif == Exif()


@st.composite
def damage(draw, limit):
    """Bytes overwritten, and perhaps a piece removed."""
    edits = draw(st.lists(st.tuples(st.integers(0, limit - 1), st.integers(0, 255)), min_size=1, max_size=20))
    return edits, draw(st.one_of(st.none(), st.tuples(st.integers(0, limit - 1), st.integers(1, 50))))


def damaged(data, edits, removed):
    data = bytearray(data)
    for at, value in edits:
        data[at] = value
    if removed is not None:
        del data[removed[0] : sum(removed)]
    return bytes(data)


def picture_or_line(data) -> Picture | str:
    try:
        return open_picture(data)
    except PictureError as error:
        return str(error)


def with_exif(format):
    return encode(scene(), format, exif=TYPICAL_EXIF, **{**LOSSLESS, **LOSSY}.get(format, {}))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_give_a_picture_or_one_line(format, data):
    original = encode(scene(), format) if format in ("BMP", "GIF") else with_exif(format)
    edits, removed = data.draw(damage(min(len(original), 600)))
    found = picture_or_line(damaged(original, edits, removed))
    if isinstance(found, str):
        assert found.isprintable()
        assert found.startswith("<bytes>: ")
    else:
        assert min(found.pixels.shape[:2]) >= MIN_SIDE


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_exif_never_costs_a_jpeg(data):
    original = with_exif("JPEG")
    start = original.index(b"Exif\0\0") + 6
    stop = start + len(TYPICAL_EXIF.tobytes()) - 6
    edits, _ = data.draw(damage(stop - start))
    edits = [(start + at, value) for at, value in edits]
    pixels = open_picture(damaged(original, edits, None)).pixels
    assert sorted(pixels.shape) == sorted(scene().shape)  # orientation may have become another


def test_warnings_and_logs_do_not_leak():
    cut_exif = TYPICAL_EXIF.tobytes()[:-4]  # Pillow warns of the last value, and of more than 600 pixels
    code = (
        "import sys\nfrom PIL import Image\nfrom cameraborn.photo.decode import open_picture\n"
        "Image.MAX_IMAGE_PIXELS = 600\nopen_picture(sys.stdin.buffer)\n"
        "print(Image.MAX_IMAGE_PIXELS)\n"
    )
    data = encode(scene(), "JPEG", exif=cut_exif)
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], input=data, capture_output=True, check=True
    )
    assert run.stderr == b""
    assert run.stdout.split() == [b"600"]


def test_errors_that_pillow_logs_do_not_leak():
    tag = struct.pack("<HHL", 277, 3, 1)  # SamplesPerPixel
    absurd = encode(scene(), "TIFF").replace(tag + b"\3\0", tag + b"\0\x08")
    code = (
        "import sys\nfrom cameraborn.errors import PictureError\nfrom cameraborn.photo.decode import open_picture\n"
        "try:\n    open_picture(sys.stdin.buffer)\nexcept PictureError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], input=absurd, capture_output=True, check=True)
    assert run.stderr == b""
    assert b"damaged or truncated TIFF" in run.stdout


def test_many_threads_decode_at_once():
    sources = [encode(scene(), format, **options) for format, options in LOSSLESS.items()] * 8
    sources += [encode(scene(), "PNG", icc_profile=SRGB)] * 8
    start = threading.Barrier(4)

    def work(source):
        return open_picture(source).pixels

    with ThreadPoolExecutor(4, initializer=start.wait) as pool:
        for pixels in pool.map(work, sources):
            np.testing.assert_array_equal(pixels, scene())


def test_supported_extensions_are_those_that_decoders_write():
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".avif",
        ".heic",
    } <= SUPPORTED_EXTENSIONS
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUPPORTED_EXTENSIONS)
