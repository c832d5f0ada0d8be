"""What a file is by its first bytes: real files of every kind, and bytes of none."""

import io
import os
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.decode import open_picture
from cameraborn.photo.sniff import HEAD, PICTURES, Census, Kind, decoder_of, is_regular, kind_of, kind_of_file

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and devices in folders are POSIX")


def written(format, **options):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(noise).save(stream, format, **options)
    return stream.getvalue()


def tiff(entries, order="<", magic=42):
    """The head of a TIFF whose first directory has these entries: (tag, type, value)."""
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HLH", magic, 8, len(entries))
    for tag, kind, value in entries:
        field = struct.pack(order + ("HH" if kind == 3 else "L"), *([value, 0] if kind == 3 else [value]))
        head += struct.pack(order + "HHL", tag, kind, 1) + field
    return head + bytes(4)


def brands(*names):
    body = b"".join((names[0], bytes(4), *names[1:]))
    return struct.pack(">L", 8 + len(body)) + b"ftyp" + body


WRITTEN = {
    "JPEG": Kind.JPEG,
    "PNG": Kind.PNG,
    "WEBP": Kind.WEBP,
    "GIF": Kind.GIF,
    "TIFF": Kind.TIFF,
    "BMP": Kind.BMP,
    "AVIF": Kind.AVIF,
    "JPEG2000": Kind.JPEG_2000,
    "PDF": Kind.PDF,
} | dict.fromkeys(("PPM", "ICO", "DDS", "PCX", "SGI"), Kind.OTHER_PICTURE)


@pytest.mark.parametrize("format", WRITTEN)
def test_files_that_pillow_writes(format, tmp_path):
    path = tmp_path / "name.txt"
    path.write_bytes(written(format))
    assert kind_of_file(path) == kind_of_file(str(path)) == WRITTEN[format]
    if WRITTEN[format] in PICTURES:
        assert open_picture(path).format == Kind[WRITTEN[format].name].name


def test_an_mpo_is_a_jpeg_with_more_behind():
    assert kind_of(written("MPO", save_all=True, append_images=[Image.new("RGB", (40, 32))])) == Kind.JPEG


def test_heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(stream, quality=90)
    assert kind_of(stream.getvalue()[:HEAD]) == Kind.HEIF


HEADS = {
    "JPEG XL, container": (b"\0\0\0\x0cJXL \r\n\x87\n" + brands(b"jxl ", b"jxl "), Kind.JPEG_XL),
    "JPEG XL, codestream": (b"\xff\x0a\xfa\x1f", Kind.JPEG_XL),
    "JPEG 2000, codestream": (b"\xff\x4f\xff\x51\0\x2f", Kind.JPEG_2000),
    "JPEG XR": (b"II\xbc\x01\x08\0\0\0", Kind.JPEG_XR),
    "Photoshop": (b"8BPS\0\1", Kind.PSD),
    "OpenEXR": (b"v/1\x01\x02\0\0\0", Kind.OPENEXR),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Kind.SVG),
    "SVG behind much": (
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<!DOCTYPE svg>\n<svg:svg>",
        Kind.SVG,
    ),
    "HTML that shows an SVG": (b"<html><body><svg></svg>", Kind.TEXT),
    "PGM": (b"P5\n# made by hand\n40 32\n255\n", Kind.OTHER_PICTURE),
    "PAM": (b"P7\nWIDTH 40\n", Kind.OTHER_PICTURE),
    "text that begins as a PPM": (b"P6 is a paragraph.", Kind.TEXT),
    "QOI": (b"qoif\0\0\0\x28", Kind.OTHER_PICTURE),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n", Kind.OTHER_PICTURE),
    "film": (brands(b"isom", b"mp42"), Kind.VIDEO),
    "AVI": (b"RIFF\0\0\0\0AVI LIST", Kind.VIDEO),
    "Matroska": (b"\x1aE\xdf\xa3\x01", Kind.VIDEO),
    "FLV": (b"FLV\x01\x05\0\0\0\t", Kind.VIDEO),
    "WMV": (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", Kind.VIDEO),
    "Ogg": (b"OggS\0\2" + bytes(20), Kind.VIDEO),
    "transport stream": (3 * (b"G\x40\x11\x10" + bytes(184)), Kind.VIDEO),
    "text that begins as a transport stream": (b"Go on.\n" * 100, Kind.TEXT),
    "sound": (b"RIFF\0\0\0\0WAVEfmt ", Kind.OTHER),
    "text": ("Größe: 3 µm\r\n".encode(), Kind.TEXT),
    "text that begins as a BMP": (b"BMW is a maker of cars.", Kind.TEXT),
    "archive": (b"PK\3\4\x14\0", Kind.OTHER),
    "nothing": (b"", Kind.EMPTY),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0", Kind.RAW),
    "CR3": (brands(b"crx ", b"isom"), Kind.RAW),
    "RAF": (b"FUJIFILMCCD-RAW 0201", Kind.RAW),
    "ORF": (b"IIRO\x08\0\0\0", Kind.RAW),
    "RW2": (b"IIU\0\x18\0\0\0", Kind.RAW),
    "X3F": (b"FOVb\0\0\2\0", Kind.RAW),
    "CRW": (b"II\x1a\0\0\0HEAPCCDR", Kind.RAW),
    "DNG": (tiff([(0xFE, 4, 1), (0xC612, 4, 0x01040000)]), Kind.RAW),
    "NEF": (tiff([(0xFE, 4, 1), (0x14A, 4, 900)], ">"), Kind.RAW),
    "a mosaic": (tiff([(0x106, 3, 32803)]), Kind.RAW),
    "TIFF": (tiff([(0xFE, 4, 0), (0x106, 3, 2)], ">"), Kind.TIFF),
    "TIFF of pages": (tiff([(0xFE, 4, 2), (0x14A, 4, 900)]), Kind.TIFF),
    "big TIFF": (b"II+\0\x08\0\0\0\x10" + bytes(7), Kind.TIFF),
    "TIFF of nothing": (b"MM\0*", Kind.TIFF),
    "one byte": (b"\xff", Kind.TEXT),
}


@pytest.mark.parametrize(("head", "kind"), HEADS.values(), ids=HEADS)
def test_heads(head, kind):
    assert kind_of(head) == kind


@pytest.mark.parametrize(
    ("name", "decoder"),
    [("TIFF", "TIFF"), ("DNG", "TIFF"), ("CR2", "TIFF"), ("ORF", None), ("JPEG XR", None), ("nothing", None)],
)
def test_which_decoder_reads_it(name, decoder):
    assert decoder_of(HEADS[name][0]) == decoder


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([head for head, _ in HEADS.values()]), st.binary(max_size=40), st.integers(0, 40))
def test_any_bytes_are_of_some_kind(head, junk, at):
    assert isinstance(kind_of(head[:at] + junk + head[at + len(junk) :]), Kind)


def test_only_the_first_bytes_are_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        stream.truncate(1 << 40)  # a whole read would never end
    assert kind_of_file(path) == Kind.PNG


@posix
def test_pipes_sockets_and_devices_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        (tmp_path / "link").symlink_to(tmp_path / "pipe.jpg")
        found = []
        paths = [tmp_path / "pipe.jpg", tmp_path / "s", tmp_path / "link", Path("/dev/zero"), tmp_path]
        looking = threading.Thread(target=lambda: found.extend(map(kind_of_file, paths)), daemon=True)
        looking.start()
        looking.join(20)
        assert found == [Kind.SPECIAL] * 5
        assert not any(map(is_regular, paths))


def test_what_cannot_be_read(tmp_path):
    assert kind_of_file(tmp_path / "none") == kind_of_file("a\0b") == Kind.UNREADABLE
    assert not is_regular(tmp_path / "none")
    assert not is_regular("a\0b")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_another_user(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "a").chmod(0)
    assert kind_of_file(tmp_path / "a") == Kind.UNREADABLE
    assert is_regular(tmp_path / "a")


@pytest.mark.parametrize(
    ("kinds", "line"),
    [
        ([], None),
        (
            [Kind.JPEG_XL] * 3 + [Kind.TEXT] * 2 + [Kind.OTHER, Kind.PDF],
            "7 files passed over: 3 JPEG XL, 4 not pictures",
        ),
        ([Kind.TEXT], "1 file passed over: 1 not a picture"),
        ([Kind.SPECIAL, Kind.RAW], "2 files passed over: 1 camera raw, 1 not a regular file"),
        (
            [Kind.VIDEO, Kind.OTHER_PICTURE, Kind.VIDEO, Kind.TEXT],
            "4 files passed over: 2 videos, 1 picture of another format, 1 not a picture",
        ),
        ([Kind.EMPTY] * 1200, "1,200 files passed over: 1,200 empty"),
        (
            [Kind.SVG, Kind.PSD, Kind.SVG, Kind.UNREADABLE, Kind.SPECIAL, Kind.SPECIAL],
            "6 files passed over: 2 SVG, 1 Photoshop, 2 not regular files, 1 unreadable",
        ),
    ],
)
def test_the_line_that_ends_a_run(kinds, line):
    census = Census()
    for kind in kinds:
        census.add(kind)
    assert census.summary() == line
