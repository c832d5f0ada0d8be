"""Damage done to PNGs: chunks, checksums, and rows that are lacking."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.damage import Damage
from cameraborn.photo.damage_png import with_its_end
from cameraborn.photo.decode import open_picture
from cameraborn.photo.frames import frames
from tests.photo.test_damage import overwritten, photograph, png
from tests.photo.test_frames import animation


def chunks(data):
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield at, data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def chunk(kind, body, checksum=None):
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", checksum or zlib.crc32(kind + body))


def test_a_png_that_lacks_its_last_chunk_is_whole():
    data = png()
    picture = open_picture(data[:-12])
    np.testing.assert_array_equal(picture.pixels, open_picture(data).pixels)
    assert picture.damage == Damage(("the end of the PNG is missing",))
    assert open_picture(data).damage == Damage()
    assert with_its_end(data) == data
    assert with_its_end(data[:-12]) == data
    assert with_its_end(data[:-5]) == data
    assert with_its_end(data[:-13]) == data[:-13]  # of the pixels' chunk something is missing


def test_a_png_with_a_wrong_checksum_and_right_pixels():
    data = png()
    at, _, body = next(found for found in chunks(data) if found[1] == b"IDAT")
    picture = open_picture(overwritten(data, at + 8 + len(body), b"oops"))
    assert picture.damage == Damage((f"the checksum of IDAT at byte {at:,} of the PNG is wrong",))


def test_a_png_whose_data_end_early_is_refused():
    data = png()
    for share in (0.3, 0.7):
        with pytest.raises(PictureError):
            open_picture(data[: int(share * len(data))] + data[-12:])


def test_a_png_whose_palette_is_damaged():
    data = png(photograph().quantize(64))
    at, _, body = next(found for found in chunks(data) if found[1] == b"PLTE")
    with pytest.raises(PictureError, match="damaged or truncated PNG"):
        open_picture(overwritten(data, at + 20, bytes([body[12] ^ 255])))


# Bits of a channel, type of colour, channels; a palette is added where the type wants one.
KINDS = [(1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3)]
KINDS += [(1, 3, 1), (4, 3, 1), (8, 3, 1), (8, 4, 2), (16, 4, 2), (8, 6, 4), (16, 6, 4)]
WIDTH, HEIGHT = 37, 41
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def rows_of(bits, channels, interlaced):
    """The rows of a picture of ones in the order of a file: which row of the picture, and its bytes."""
    rows = []
    for x, y, across, down in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        columns = len(range(x, WIDTH, across))
        stored = b"\0" + b"\xff" * ((columns * bits * channels + 7) // 8)
        rows += [(row, stored) for row in range(y, HEIGHT, down)]
    return rows


def made(bits, colour, interlaced, compressed):
    header = struct.pack(">LLBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(1, 4)) * (1 << bits)) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", compressed)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("bits", "colour", "channels"), KINDS)
@pytest.mark.parametrize("interlaced", [0, 1])
def test_rows_that_never_come(bits, colour, channels, interlaced):
    rows = rows_of(bits, channels, interlaced)
    whole = b"".join(stored for _, stored in rows)
    assert open_picture(made(bits, colour, interlaced, zlib.compress(whole))).damage == Damage()
    black = zlib.compress(bytes(len(whole)))
    assert open_picture(made(bits, colour, interlaced, black)).damage == Damage()
    for kept in (len(rows) - 1, len(rows) * 2 // 3, len(rows) // 4, 1):
        data = b"".join(stored for _, stored in rows[:kept])
        picture = open_picture(made(bits, colour, interlaced, zlib.compress(data)))
        first = min(row for row, _ in rows[kept:])
        said = f"data of the PNG are missing: of {HEIGHT} rows, those from row {first + 1} on are not whole"
        assert picture.damage == Damage((said,), ((0.0, float(first), float(WIDTH), float(HEIGHT)),))
        with pytest.raises(PictureError, match="truncated"):  # all of the next row but a byte
            open_picture(made(bits, colour, interlaced, zlib.compress(data + rows[kept][1][:-1])))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_black_at_the_bottom_is_no_damage(mode):
    pixels = np.asarray(photograph()).copy()
    pixels[-60:] = 0
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    assert open_picture(png(image if mode == "I;16" else image.convert(mode))).damage == Damage()


def test_lacking_rows_are_counted_a_piece_at_a_time(monkeypatch):
    pixels = np.zeros((500, 400, 3), np.uint8)
    data = png(Image.fromarray(pixels))
    assert open_picture(data).damage == Damage()
    monkeypatch.setattr("cameraborn.photo.damage_png._PIECE", 7)
    monkeypatch.setattr("cameraborn.photo.damage_png._MOST", 11)
    assert open_picture(data).damage == Damage()


def test_a_frame_that_lacks_rows_and_those_laid_over_it():
    shades = [Image.fromarray(np.roll(np.asarray(photograph((64, 48))), 5 * k, axis=0)) for k in range(4)]
    data = animation("PNG", shades)
    assert all(picture.damage == Damage() for _, picture in frames(data))
    found = [(at, body) for at, kind, body in chunks(data) if kind == b"fdAT"]
    (at, body), after = found[1], found[1][0] + 12 + len(found[1][1])
    rows = zlib.decompress(body[4:])
    stride = len(rows) // 48
    short = chunk(b"fdAT", body[:4] + zlib.compress(rows[: 30 * stride]))
    pictures = [picture for _, picture in frames(data[:at] + short + data[after:])]
    assert [picture.damage.boxes for picture in pictures[:2]] == [(), ()]
    for picture in pictures[2:]:
        (note,) = picture.damage.notes
        assert note == "data of the PNG are missing: of 48 rows, those from row 31 on are not whole"
        assert picture.damage.boxes == ((0.0, 30.0, 64.0, 48.0),)
