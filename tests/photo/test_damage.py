"""Damage done to real files: it is noted, placed where the pixels differ, and never seen in a sound file."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.damage import Damage, as_stored
from cameraborn.photo.decode import open_picture
from cameraborn.photo.jpeg_parts import Component, JpegParts, Scan, jpeg_parts
from cameraborn.photo.jpeg_scans import lacking_scans
from cameraborn.photo.jpeg_walk import can_walk, walk

EXAMPLES = sorted((Path(__file__).parents[1] / "pictures").glob("photo-*.jpg"))


def photograph(size=(320, 256)):
    with Image.open(EXAMPLES[0]) as image:
        return image.convert("RGB").resize(size)


def jpeg(image=None, **options):
    stream = io.BytesIO()
    (image or photograph()).save(stream, "JPEG", **{"quality": 85, **options})
    return stream.getvalue()


def png(image=None, **options):
    stream = io.BytesIO()
    (image or photograph()).save(stream, "PNG", **options)
    return stream.getvalue()


def overwritten(data, at, with_what):
    return data[:at] + with_what + data[at + len(with_what) :]


def middle(data, share=0.5):
    scan = jpeg_parts(data).scans[0]
    return scan.start + int(share * (scan.end - scan.start))


def differing_rows(picture, sound):
    far = np.abs(picture.pixels.astype(int) - sound.pixels).mean(axis=(1, 2))
    return np.flatnonzero(far > 2)


SOUND = {
    "plain": {},
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "many restarts": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "coarse": {"quality": 5},
    "fine": {"quality": 100},
}


@pytest.mark.parametrize("options", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("size", [(320, 256), (97, 131), (16, 16)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_sound_jpegs_have_nothing(options, size, mode):
    data = jpeg(photograph(size).convert(mode), **options)
    assert open_picture(data).damage == Damage()
    parts = jpeg_parts(data)
    assert can_walk(parts) == (not options.get("progressive"))
    if can_walk(parts):  # to the byte
        assert all(len(s.starts) == s.expected and not s.spare and not s.trouble for s in walk(data, parts))


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (320, 256), (128, 128, 128)),
        Image.new("RGB", (320, 256), "white"),
        Image.new("L", (320, 256), 0),
        Image.new("RGB", (320, 256), (1, 254, 3)),
        Image.fromarray(
            np.repeat(np.repeat(np.arange(20, 236, 24, dtype=np.uint8), 32)[:, None], 320, axis=1)
        ),
    ],
    ids=["grey", "white", "black", "ink", "stripes"],
)
@pytest.mark.parametrize("options", SOUND.values(), ids=SOUND)
def test_flat_pictures_look_like_damage_and_are_none(image, options):
    assert open_picture(jpeg(image, **options)).damage == Damage()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_photographs_have_nothing(path):
    assert open_picture(path).damage == Damage()


def test_what_is_behind_the_end_marker_is_no_damage():
    assert open_picture(jpeg() + bytes(5000) + jpeg()).damage == Damage()


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 4}]
)
def test_zeros_where_codes_should_be_are_found_and_placed(options):
    data = jpeg(**options)
    sound = open_picture(data)
    picture = open_picture(overwritten(data, middle(data), bytes(512)))
    assert "a long run of one byte stands where compressed data should be" in picture.damage.notes
    first = picture.damage.boxes[0][1]
    rows = differing_rows(picture, sound)
    assert first - 1 <= rows[0] <= first + 32
    assert picture.damage.share_of((0, first + 16, 320, rows[-1])) == 1.0
    assert picture.damage.share_of((0, 0, 320, first)) == 0.0


def test_lost_bytes_leave_grey_at_the_end():
    data = jpeg()
    at = middle(data, 0.6)
    picture = open_picture(data[:at] + data[at + 600 :])
    assert picture.damage.notes
    assert picture.damage.share_of((0, 200, 320, 256)) == 1.0


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_cut_that_has_an_end_marker_is_noted_and_without_one_refused(mode):
    data = jpeg(photograph().convert(mode))
    picture = open_picture(data[: middle(data)] + b"\xff\xd9")
    assert "filled with grey" in " ".join(picture.damage.notes)
    assert picture.damage.share_of((0, 220, 320, 256)) == 1.0
    with pytest.raises(PictureError, match="truncated JPEG"):
        open_picture(data[: middle(data)])


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": "4:4:4"}, {"optimize": True}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("end", [b"", b"\xff"])
def test_the_end_marker_alone_is_missing(options, end):
    data = jpeg(**options)
    picture = open_picture(data[:-2] + end)
    np.testing.assert_array_equal(picture.pixels, open_picture(data).pixels)
    assert picture.damage == Damage(("the end marker of the JPEG is missing",))


def test_one_more_byte_is_too_many():
    data = jpeg(quality=95)
    with pytest.raises(PictureError, match="truncated JPEG"):
        open_picture(data[:-8])


def brighter_from(unit, levels):
    """A photograph whose units are brighter from one on, as after one wrong difference of brightness."""
    image = np.asarray(photograph().convert("L")).astype(int)
    rows, columns = 32, 40
    change = np.where(np.arange(rows * columns) >= unit, levels, 0).reshape(rows, columns)
    return Image.fromarray(
        (image * 0.7 + 20 + np.kron(change, np.ones((8, 8)))).clip(0, 255).astype(np.uint8)
    )


def test_a_stair_is_found_where_it_begins():
    picture = open_picture(jpeg(brighter_from(40 * 14 + 17, 25), quality=92))
    assert picture.damage.notes == ("brightness or colour jumps in the middle of the JPEG's compressed data",)
    assert picture.damage.boxes == ((136.0, 112.0, 320.0, 120.0), (0.0, 120.0, 320.0, 256.0))


def test_a_frame_is_no_stair():
    assert open_picture(jpeg(brighter_from(40 * 14, 25), quality=92)).damage == Damage()


@pytest.mark.parametrize("damage", ["lost", "swapped"])
def test_restart_markers(damage):
    data = jpeg(restart_marker_rows=1)
    (first, _), (second, number) = jpeg_parts(data).scans[0].restarts[6:8]
    if damage == "lost":
        broken = data[:first] + data[first + 2 :]
    else:
        broken = overwritten(overwritten(data, first + 1, bytes([0xD0 + number])), second + 1, b"\xd6")
    picture = open_picture(broken)
    assert picture.damage.notes == ("restart markers of the JPEG are missing or out of order",)
    assert picture.damage.share_of((0, 0, 320, 90)) == 0.0
    rows = differing_rows(picture, open_picture(data))
    assert picture.damage.share_of((0, rows[0] // 16 * 16, 320, rows[-1])) > 0.9


def test_scans_that_never_come():
    data = jpeg(progressive=True)
    scans = jpeg_parts(data).scans
    assert len(scans) > 4
    for scan in scans[:-1]:
        picture = open_picture(data[: scan.end] + b"\xff\xd9")
        assert picture.damage.notes == ("scans of the JPEG are missing: the picture lacks detail",)
        assert picture.damage.share_of((10, 10, 90, 90)) == 1.0


def without_scan(data, number):
    scan = jpeg_parts(data).scans[number]
    return data[: data.rindex(b"\xff\xda", 0, scan.start)] + data[scan.end :]


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}, {"quality": 30}]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_each_scan_is_missed(options, mode):
    data = jpeg(photograph().convert(mode), progressive=True, **options)
    notes = set()
    for number in range(len(jpeg_parts(data).scans)):
        picture = open_picture(without_scan(data, number))
        notes |= {*picture.damage.notes}
        assert picture.damage.share_of((10, 10, 90, 90)) == 1.0
    assert notes == {
        "scans of the JPEG are missing: the picture lacks detail",
        "a scan of the JPEG is missing that later ones refine: details are wrong in the whole picture",
    }


# What is refined by which scan: components, first and last coefficient, bits left to this scan and by it.
SCRIPTS = {
    "libjpeg, colour": "012:0-0:0,1 0:1-5:0,2 2:1-63:0,1 1:1-63:0,1 0:6-63:0,2 0:1-63:2,1 012:0-0:1,0 2:1-63:1,0 "
    "1:1-63:1,0 0:1-63:1,0",
    "libjpeg, others": "0:0-0:0,1 0:1-5:0,2 0:6-63:0,2 0:1-63:2,1 0:0-0:1,0 0:1-63:1,0",
    "mozjpeg": "0:0-0:0,0 12:0-0:0,0 0:1-8:0,2 0:9-63:0,2 0:1-63:2,1 0:1-63:1,0 1:1-8:0,0 1:9-63:0,0 2:1-63:0,0",
    "no refinement": "0:0-0:0,0 0:1-63:0,0",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_of_encoders_are_whole_and_lack_each_of_their_scans(script):
    scans = []
    for words in script.split():
        numbers, reach, bits = words.split(":")
        components = tuple((int(number), 0, 0) for number in numbers)
        scans.append(Scan(components, *map(int, (*reach.split("-"), *bits.split(","))), 0, 0, 0, (), {}, {}))
    components = tuple(
        Component(number, 1, 1, 0) for number in {n for scan in scans for n, _, _ in scan.components}
    )

    def parts(kept):
        return JpegParts(0xC2, 16, 16, components=components, scans=tuple(kept))

    assert lacking_scans(parts(scans)) == []
    for number in range(len(scans)):
        assert lacking_scans(parts(scans[:number] + scans[number + 1 :]))


def test_a_sequential_file_needs_a_scan_of_each_component():
    components = tuple(Component(number, 1, 1, 0) for number in (1, 2, 3))
    # Sequential scans have all coefficients, whatever the bytes say that progressive ones have for that.
    scans = tuple(Scan(((number, 0, 0),), 0, 0, 0, 3, 0, 0, 0, (), {}, {}) for number in (1, 2, 3))
    assert lacking_scans(JpegParts(0xC0, 16, 16, components=components, scans=scans)) == []
    assert lacking_scans(JpegParts(0xC0, 16, 16, components=components, scans=scans[:1])) != []


def test_conditions_of_arithmetic_codes_may_stand_between_scans():
    data = jpeg(progressive=True)
    second = data.rindex(b"\xff\xda", 0, jpeg_parts(data).scans[1].start)
    assert open_picture(data[:second] + b"\xff\xcc\0\x04\0\x10" + data[second:]).damage == Damage()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_those_of_the_upright_picture(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(exif=exif)
    picture = open_picture(data[: middle(data)] + b"\xff\xd9")
    grey = np.all(picture.pixels == 128, axis=2)
    marked = np.zeros(grey.shape, bool)
    for x0, y0, x1, y1 in picture.damage.boxes:
        marked[int(y0) : int(y1), int(x0) : int(x1)] = True
    assert marked[grey].mean() > 0.99
    assert as_stored(picture.pixels, orientation).shape == (256, 320, 3)
    np.testing.assert_array_equal(
        as_stored(picture.pixels, orientation),
        np.asarray(Image.open(io.BytesIO(data[: middle(data)] + b"\xff\xd9"))),
    )


def test_share():
    damage = Damage((), ((10.0, 0.0, 20.0, 10.0), (0.0, 10.0, 20.0, 20.0)))
    assert damage.share_of((0, 0, 20, 20)) == 0.75
    assert damage.share_of((0, 0, 10, 10)) == 0.0
    assert damage.share_of((12, 12, 15, 15)) == 1.0
    assert damage.share_of((5, 5, 5, 9)) == 0.0
    assert Damage().share_of((0, 0, 5, 5)) == 0.0


PIECES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=300)), min_size=1, max_size=4)
FILES = {
    "JPEG": jpeg(),
    "restarts": jpeg(restart_marker_blocks=3),
    "progressive": jpeg(progressive=True),
    "PNG": png(),
}


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pieces=PIECES, kept=st.floats(0.2, 1))
def test_any_damage_gives_a_picture_or_one_line(kind, pieces, kept):
    data = FILES[kind]
    for share, piece in pieces:
        data = overwritten(data, int(share * len(data)), piece)[: len(FILES[kind])]
    try:
        picture = open_picture(data[: int(kept * len(data))])
    except PictureError:  # `test_decode` reads their lines
        return
    height, width = picture.pixels.shape[:2]
    boxes = picture.damage.boxes
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes)
    assert picture.damage.share_of((0, 0, width, height)) <= 1.0 + 1e-9  # they do not overlap
    assert not boxes or picture.damage.notes


def test_a_few_lost_bytes_of_a_picture_for_print_are_noted():
    """Less than a row of units is lacking, and what fills up is no grey once inks have become colours."""
    data = jpeg(photograph((640, 512)).convert("CMYK"), quality=92)
    at = middle(data, 0.4)
    picture = open_picture(data[:at] + data[at + 200 :])
    assert picture.damage.notes == ("compressed data of the JPEG are damaged",)
    assert picture.damage.share_of((0, 300, 640, 512)) == 1.0
    assert open_picture(data).damage == Damage()


def test_eight_lost_restart_markers_are_placed():
    """Their numbers begin anew after eight, so the next one is as expected."""
    data = jpeg(restart_marker_blocks=2)
    marks = jpeg_parts(data).scans[0].restarts
    begin, end = marks[60][0] + 2, marks[68][0] + 2
    picture = open_picture(data[:begin] + b"\x35" * (end - begin) + data[end:])
    assert "restart markers of the JPEG are missing or out of order" in picture.damage.notes
    rows = differing_rows(picture, open_picture(data))
    assert picture.damage.share_of((0, rows[0] + 16, 320, rows[-1])) > 0.95
