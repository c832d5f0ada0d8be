"""JPEG files taken apart: what Pillow says of the same files, tables as the standard spells them, and any bytes."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.jpeg_parts import Component, JpegParts, Scan, code_words, jpeg_parts
from tests.photo.test_damage import jpeg, photograph
from tests.photo.test_jpeg_scans import segment
from tests.photo.test_jpeg_walk_progressive import codes

SAMPLING = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
ZIGZAG = [0, 1, 8, 16, 9, 2, 3, 10]  # how the standard's order begins


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("size", [(320, 256), (97, 131), (8, 1)])
def test_a_file_is_what_pillow_says_of_it(sampling, size):
    data = jpeg(photograph(size), subsampling=sampling, quality=63)
    parts = jpeg_parts(data)
    h, v = SAMPLING[sampling]
    assert (parts.frame, parts.width, parts.height, parts.precision) == (0xC0, *size, 8)
    assert parts.components == (Component(1, h, v, 0), Component(2, 1, 1, 1), Component(3, 1, 1, 1))
    assert parts.mcu == (8 * h, 8 * v)
    assert parts.grid == (-(-size[1] // (8 * v)), -(-size[0] // (8 * h)))
    with Image.open(io.BytesIO(data)) as image:
        for number, table in image.quantization.items():  # row by row
            assert sorted(parts.quantisation[number]) == sorted(table)
            assert list(parts.quantisation[number][:8]) == [table[place] for place in ZIGZAG]
    assert (parts.end, parts.stray, parts.progressive) == (len(data) - 2, None, False)


def test_the_scan_of_a_sequential_file_reaches_from_its_header_to_the_end():
    data = jpeg()
    parts = jpeg_parts(data)
    (scan,) = parts.scans
    assert scan.start == data.index(b"\xff\xda") + 14  # a header of three components
    assert scan.end == parts.end
    assert scan.components == ((1, 0, 0), (2, 1, 1), (3, 1, 1))
    assert (scan.first, scan.last, scan.high, scan.low) == (0, 63, 0, 0)
    assert (scan.restart_interval, scan.restarts) == (0, ())
    assert set(scan.dc_codes) == set(scan.ac_codes) == {0, 1}


def test_restart_markers_are_counted_in_eights():
    data = jpeg(restart_marker_blocks=3)
    (scan,) = jpeg_parts(data).scans
    assert scan.restart_interval == 3
    assert len(scan.restarts) == -(-20 * 16 // 3) - 1
    assert [number for _, number in scan.restarts] == [n % 8 for n in range(len(scan.restarts))]
    assert all(data[at : at + 2] == bytes([0xFF, 0xD0 + number]) for at, number in scan.restarts)


def test_the_scans_of_a_progressive_file_follow_each_other():
    data = jpeg(progressive=True)
    parts = jpeg_parts(data)
    assert parts.progressive
    assert parts.frame == 0xC2
    starts = [scan.start for scan in parts.scans]
    assert starts == sorted(starts)
    assert all(data[scan.end] == 0xFF and data[scan.end + 1] in (0xC4, 0xDA, 0xD9) for scan in parts.scans)
    assert parts.scans[0].first == parts.scans[0].last == 0
    assert {scan.last for scan in parts.scans[1:]} >= {5, 63}


def test_units_of_a_scan_of_one_component_are_its_blocks():
    components = (Component(1, 2, 2, 0), Component(2, 1, 1, 1))
    parts = JpegParts(0xC2, 97, 131, components=components)

    def grid(*numbers):
        units = tuple((number, 0, 0) for number in numbers)
        return parts.grid_of(Scan(units, 0, 0, 0, 0, 0, 0, 0, (), {}, {}))

    assert grid(1, 2) == parts.grid == (9, 7)
    assert grid(1) == (17, 13)  # of 8 x 8 pixels: what reaches over the edge by a whole block is not there
    assert grid(2) == (9, 7)


def test_a_unit_of_one_component_is_a_block_whatever_its_sampling():
    assert JpegParts(0xC0, 20, 20, components=(Component(1, 2, 2, 0),)).mcu == (8, 8)


@st.composite
def tables(draw):
    """Counts of codes by length, no more than there are words of it, then symbols."""
    counts, free = [], 1
    for _ in range(16):
        free *= 2
        counts.append(draw(st.integers(0, min(free, 3))))
        free -= counts[-1]
    return bytes(counts) + draw(st.binary(min_size=sum(counts), max_size=sum(counts)))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_code_words_are_those_of_the_standard(table):
    found = list(code_words(table))
    words = [(f"{reach.start >> (16 - length):0{length}b}", symbol) for reach, length, symbol in found]
    assert words == list(codes(table).items())
    assert all(reach.stop - reach.start == 1 << (16 - length) for reach, length, _ in found)
    ends = [0, *(reach.stop for reach, _, _ in found)]
    assert [reach.start for reach, _, _ in found] == ends[:-1]  # no code begins with another


def test_a_table_with_too_few_symbols_ends_with_them():
    assert [symbol for _, _, symbol in code_words(bytes([0, 3, 1] + [0] * 13) + b"\7\x08")] == [7, 8]


FRAME = segment(0xC0, bytes([8, 0, 16, 0, 24, 1, 1, 0x11, 0]))
SCAN = segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
END = b"\xff\xd9"


def test_quantisation_of_8_and_of_16_bits():
    body = bytes([2, *range(64)]) + bytes([0x11]) + b"".join(n.to_bytes(2, "big") for n in range(300, 364))
    parts = jpeg_parts(b"\xff\xd8" + segment(0xDB, body) + segment(0xDB, bytes([3, *range(9)])) + END)
    assert parts.quantisation == {2: tuple(range(64)), 1: tuple(range(300, 364))}  # the cut one is none


def test_tables_of_codes_hold_until_others_take_their_number():
    first, second = bytes([1] + [0] * 15) + b"\3", bytes([2] + [0] * 15) + b"\4\5"
    data = b"\xff\xd8" + FRAME + segment(0xC4, b"\0" + first + b"\x11" + second) + SCAN + b"ab"
    data += segment(0xC4, b"\0" + second) + SCAN + b"cd" + END
    one, other = jpeg_parts(data).scans
    assert (one.dc_codes, one.ac_codes) == ({0: first}, {1: second})
    assert (other.dc_codes, other.ac_codes) == ({0: second}, {1: second})
    assert (data[one.start : one.end], data[other.start : other.end]) == (b"ab", b"cd")


def test_fill_bytes_may_stand_before_a_marker():
    parts = jpeg_parts(b"\xff\xd8\xff\xff" + FRAME + b"\xff" + END)
    assert (parts.width, parts.height) == (24, 16)
    assert parts.end == 2 + 2 + len(FRAME)


def test_of_two_frames_the_first_counts():
    other = segment(0xC2, bytes([8, 0, 99, 0, 99, 1, 1, 0x11, 0]))
    parts = jpeg_parts(b"\xff\xd8" + FRAME + other + END)
    assert (parts.frame, parts.width) == (0xC0, 24)


@pytest.mark.parametrize(
    "broken",
    [
        b"\xff\xe0\0\1",  # a length that does not hold itself
        b"\xff\xe0\0\x99abc",  # one that reaches beyond the file
        segment(0xDA, bytes([0])),  # a scan of nothing
        segment(0xDA, bytes([3, 1, 0, 0, 63, 0])),  # of more components than it names
    ],
)
def test_a_marker_that_makes_no_sense_is_told_by_its_place(broken):
    before = b"\xff\xd8" + FRAME
    parts = jpeg_parts(before + broken)
    assert (parts.stray, parts.end, parts.scans) == (len(before), None, ())
    assert parts.width == 24


def test_a_frame_after_a_scan_has_no_place():
    data = b"\xff\xd8" + FRAME + SCAN + b"ab"
    assert jpeg_parts(data + FRAME + END).stray == len(data)
    assert jpeg_parts(data + segment(0xFE, b"a comment has") + END).stray is None


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(st.binary(max_size=9), st.sampled_from([FRAME, SCAN, END, b"\xff", b"\xff\xc4"]))))
def test_any_bytes_are_taken_apart(pieces):
    data = b"\xff\xd8" + b"".join(pieces)
    parts = jpeg_parts(data)
    assert parts.end is None or data[parts.end :].lstrip(b"\xff").startswith(b"\xd9")
    assert parts.stray is None or data[parts.stray] == 0xFF
    assert not (parts.end is not None and parts.stray is not None)
    at = 0
    for scan in parts.scans:
        assert at < scan.start <= scan.end <= len(data)
        assert all(scan.start <= place < scan.end for place, _ in scan.restarts)
        at = scan.end
