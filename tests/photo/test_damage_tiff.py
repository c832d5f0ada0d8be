"""Damage done to the strips and tiles of TIFFs, which are JPEGs or have a checksum."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.damage import Damage
from cameraborn.photo.decode import open_picture
from tests.photo.test_damage import differing_rows, jpeg, middle, overwritten, photograph

LONG, SHORT = 4, 3
SIZES = {LONG: "I", SHORT: "H"}


def tiff(image=None, **options):
    stream = io.BytesIO()
    (image or photograph()).save(stream, "TIFF", **options)
    return stream.getvalue()


def tags_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return dict(image.tag_v2)


def tiled(size, side, tiles, compression, more=()):
    """A TIFF of tiles, whose compressed bytes are given, in RGB or what `more` tags say."""
    starts = [0] * len(tiles)
    tags = {
        256: (LONG, [size[0]]),
        257: (LONG, [size[1]]),
        258: (SHORT, [8, 8, 8]),
        259: (SHORT, [compression]),
    }
    tags |= {262: (SHORT, [2]), 277: (SHORT, [3]), 322: (LONG, [side]), 323: (LONG, [side])}
    tags |= {324: (LONG, starts), 325: (LONG, [len(tile) for tile in tiles]), **dict(more)}
    at = 8 + 2 + 12 * len(tags) + 4
    for number in range(len(tiles)):  # behind the directory and its values
        values = sum(struct.calcsize(SIZES[kind]) * len(v) for kind, v in tags.values())
        starts[number] = at + values + sum(map(len, tiles[:number]))
    directory, values = struct.pack("<H", len(tags)), b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}{SIZES[kind]}", *numbers)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", at + len(values))
        values += packed if len(packed) > 4 else b""
        directory += struct.pack("<HHI", tag, kind, len(numbers)) + place
    total = sum(struct.calcsize(SIZES[kind]) * len(v) for kind, v in tags.values())
    return (
        b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + values.ljust(total, b"\0") + b"".join(tiles)
    )


def tiles_of(image, side):
    """Tiles in reading order; those at the edges go on with its last pixels."""
    pixels = np.asarray(image)
    beyond = [(0, -length % side) for length in pixels.shape[:2]]
    pixels = np.pad(pixels, (*beyond, (0, 0)), "edge")
    H, W, _ = pixels.shape
    return [pixels[y : y + side, x : x + side] for y in range(0, H, side) for x in range(0, W, side)]


YCBCR = ((262, (SHORT, [6])), (530, (SHORT, [2, 2])))
SOUND = {
    "jpeg": {"compression": "jpeg"},
    "fine jpeg": {"compression": "jpeg", "quality": 98},
    "deflate": {"compression": "tiff_adobe_deflate"},
    "old deflate": {"compression": "tiff_deflate"},
    "differences": {"compression": "tiff_adobe_deflate", "tiffinfo": {317: 2}},
    "high strips": {"compression": "jpeg", "strip_size": 1 << 20},
}


@pytest.mark.parametrize("options", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
@pytest.mark.parametrize("size", [(320, 256), (97, 131)])
def test_sound_tiffs_have_nothing(options, mode, size):
    if mode == "RGBA" and options["compression"] == "jpeg":
        return
    assert open_picture(tiff(photograph(size).convert(mode), **options)).damage == Damage()


@pytest.mark.parametrize("mode", ["I;16", "1", "P", "LA"])
def test_sound_tiffs_of_other_pixels_have_nothing(mode):
    grey = photograph().convert("L")
    image = (
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    )
    assert open_picture(tiff(image, compression="tiff_adobe_deflate")).damage == Damage()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_strip_is_placed_in_the_upright_picture(orientation):
    data = tiff(compression="jpeg", tiffinfo={274: orientation}, strip_size=320 * 3 * 64)
    tags = tags_of(data)
    sound = open_picture(data)
    assert sound.damage == Damage()
    start, length = tags[273][1], tags[279][1]
    picture = open_picture(overwritten(data, start + length // 3, bytes(length // 4)))
    marked = np.zeros(picture.pixels.shape[:2], bool)
    for x0, y0, x1, y1 in picture.damage.boxes:
        marked[int(y0) : int(y1), int(x0) : int(x1)] = True
    differs = np.abs(picture.pixels.astype(int) - sound.pixels).mean(axis=2) > 8
    assert marked[differs].mean() > 0.95
    strip = np.zeros((256, 320), bool)
    strip[64:128] = True
    upright = (
        open_picture(tiff(Image.fromarray(strip).convert("RGB"), tiffinfo={274: orientation})).pixels[..., 0]
        > 0
    )
    assert marked.any()
    assert not marked[~upright].any()
    assert picture.damage.notes[0].startswith("in 1 of 4 strips of the TIFF: ")


def test_zeros_in_a_jpeg_strip():
    data = tiff(compression="jpeg", strip_size=320 * 3 * 64)
    tags = tags_of(data)
    picture = open_picture(overwritten(data, tags[273][1] + tags[279][1] // 2, bytes(100)))
    assert "a long run of one byte stands where compressed data should be" in picture.damage.notes[0]
    rows = differing_rows(picture, open_picture(data))
    assert picture.damage.share_of((0, rows[0], 320, rows[-1] + 1)) > 0.8
    assert picture.damage.share_of((0, 0, 320, 64)) == 0
    assert picture.damage.share_of((0, 128, 320, 256)) == 0


@pytest.mark.parametrize("side", [64, 112])
@pytest.mark.parametrize("size", [(320, 256), (203, 117)])
def test_jpeg_tiles(side, size):
    tiles = [jpeg(Image.fromarray(np.ascontiguousarray(tile))) for tile in tiles_of(photograph(size), side)]
    assert open_picture(tiled(size, side, tiles, 7, YCBCR)).damage == Damage()
    for number in range(len(tiles)):
        whole = tiles[number]
        broken = [*tiles[:number], overwritten(whole, middle(whole), bytes(60)), *tiles[number + 1 :]]
        picture = open_picture(tiled(size, side, broken, 7, YCBCR))
        row, column = divmod(number, -(-size[0] // side))
        assert picture.damage.notes[0].startswith(f"in 1 of {len(tiles)} tiles of the TIFF: ")
        for x0, y0, x1, y1 in picture.damage.boxes:
            assert column * side <= x0 < x1 <= min(size[0], (column + 1) * side)
            assert row * side <= y0 < y1 <= min(size[1], (row + 1) * side)


def test_deflated_tiles():
    """libtiff itself sees a wrong checksum, but for data that go on behind the last pixel."""
    pixels = [tile.tobytes() for tile in tiles_of(photograph((100, 80)), 64)]
    tiles = [zlib.compress(tile + bytes(900)) for tile in pixels]
    assert open_picture(tiled((100, 80), 64, tiles, 8)).damage == Damage()
    endless = zlib.compress(pixels[1] + np.random.default_rng(0).bytes(900))[:-300]
    for wrong in (tiles[1][:-4] + b"oops", endless):
        damage = open_picture(tiled((100, 80), 64, [tiles[0], wrong, *tiles[2:]], 8)).damage
        assert damage.notes == (
            "in 1 of 4 tiles of the TIFF: the checksum of compressed data is wrong or missing",
        )
        assert damage.boxes == ((64.0, 0.0, 100.0, 64.0),)
    tiles = [zlib.compress(tile)[:-4] for tile in pixels]  # as if somebody left the checksums out
    assert open_picture(tiled((128, 128), 64, tiles, 8)).damage == Damage()


@pytest.mark.parametrize("compression", [7, 8])
def test_channels_that_are_stored_apart(compression):
    planes = []
    for channel in range(3):
        for tile in tiles_of(photograph((128, 96)), 64):
            grey = np.ascontiguousarray(tile[..., channel])
            planes.append(
                jpeg(Image.fromarray(grey)) if compression == 7 else zlib.compress(grey.tobytes() + bytes(99))
            )
    planar = ((284, (SHORT, [2])),)
    assert open_picture(tiled((128, 96), 64, planes, compression, planar)).damage == Damage()
    for number in (1, 5):  # the same place in two channels
        whole = planes[number]
        planes[number] = (
            overwritten(whole, middle(whole), bytes(60)) if compression == 7 else whole[:-4] + b"oops"
        )
    damage = open_picture(tiled((128, 96), 64, planes, compression, planar)).damage
    assert damage.notes[0].startswith("in 2 of 12 tiles of the TIFF: ")
    assert damage.boxes == ((64.0, 0.0, 128.0, 64.0),)


@pytest.mark.parametrize("options", [{}, {317: 2}], ids=["plain", "differences"])
def test_what_deflate_holds_is_checked_wherever_it_is_damaged(options):
    data = tiff(compression="tiff_adobe_deflate", tiffinfo=options)
    tags = tags_of(data)
    begin, end = tags[273][0], tags[273][-1] + tags[279][-1]
    noted = 0
    for at in np.linspace(begin + 2, end - 20, 40).astype(int):
        try:
            picture = open_picture(overwritten(data, at, bytes(16)))
        except PictureError:  # by libtiff
            continue
        noted += 1
        assert picture.damage.notes == (
            f"in 1 of {len(tags[273])} strips of the TIFF: the checksum of compressed data is wrong or missing",
        )
        rows = differing_rows(picture, open_picture(data))
        assert not rows.size or picture.damage.share_of((0, rows[0], 320, rows[-1] + 1)) == 1
    assert noted > 5
