"""Codes at every bit of a scan's data: as a reader finds them that looks at one place after the other."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameraborn.photo import jpeg_codes
from cameraborn.photo.jpeg_codes import (
    ScanData,
    bits_of_coefficient,
    bits_of_difference,
    bits_of_refinement,
    codes_of,
    data_of,
)
from cameraborn.photo.jpeg_parts import Scan, jpeg_parts
from tests.photo.test_jpeg_walk_progressive import codes, progressive

BEHIND = bytes(4)
# Three codes of 2 bits, one of 3, two of 9 and one of 16: 0, 10, 11, 110..., and many beginnings that are no code.
TABLE = bytes([0, 3, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]) + bytes(
    [0x00, 0x01, 0xF0, 0x35, 0x0B, 0x0C, 0x10]
)
KINDS = {
    "difference": bits_of_difference,
    "coefficient": bits_of_coefficient,
    "refinement": bits_of_refinement,
}


def literally(plain, table, bits_of):
    """How far to go and the symbol at each bit, found by trying longer and longer codes."""
    bits = "".join(f"{byte:08b}" for byte in plain)
    words = codes(table)
    for at in range(len(bits) - 8 * len(BEHIND)):
        word = next((bits[at : at + n] for n in range(1, 17) if bits[at : at + n] in words), None)
        symbol = 0 if word is None else words[word]
        more = None if word is None else bits_of(symbol)
        yield (0 if more is None else len(word) + more), symbol


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=40))
def test_codes_are_those_of_a_slow_reader(kind, data):
    found = codes_of(data + BEHIND, TABLE, KINDS[kind])
    expected = list(literally(data + BEHIND, TABLE, KINDS[kind]))
    assert [*zip(found.advance, found.symbols, strict=True)][: len(expected)] == expected


def test_data_that_are_looked_up_in_several_goes_are_as_one(monkeypatch):
    data = np.random.default_rng(0).bytes(1000) + BEHIND
    whole = codes_of(data, TABLE, bits_of_coefficient)
    monkeypatch.setattr(jpeg_codes, "_AT_A_TIME", 37)
    assert codes_of(data, TABLE, bits_of_coefficient) == whole


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=20), st.data())
def test_numbers_are_those_that_the_bits_spell(data, drawn):
    bits = "".join(f"{byte:08b}" for byte in data + BEHIND)
    places = st.tuples(st.integers(0, 8 * len(data) - 1), st.integers(1, 14))
    wanted = drawn.draw(st.lists(places, min_size=1, max_size=9))
    scan = ScanData(data + BEHIND, (0, 8 * len(data)))
    expected = [int(bits[at : at + length], 2) for at, length in wanted]
    assert [scan.number(at, length) for at, length in wanted] == expected
    at, length = np.array(wanted).T
    assert scan.numbers(at, length).tolist() == expected
    assert scan.numbers(at, np.zeros_like(length)).tolist() == [0] * len(wanted)


@pytest.mark.parametrize(
    ("bits_of", "symbols"),
    [
        (bits_of_difference, {0: 0, 5: 5, 11: 11, 12: None, 255: None}),
        (bits_of_coefficient, {0x00: 0, 0x35: 5, 0x0A: 10, 0xF0: 0, 0xF3: 3, 0x10: 1, 0xE0: 14}),
        (bits_of_refinement, {0x00: 0, 0x31: 1, 0x32: None, 0xFF: None, 0xF0: 0, 0x10: 1, 0xE0: 14}),
    ],
    ids=KINDS,
)
def test_how_many_bits_belong_to_a_symbol(bits_of, symbols):
    assert {symbol: bits_of(symbol) for symbol in symbols} == symbols


def scan_of(start, end, interval, restarts):
    return Scan(((1, 0, 0),), 0, 0, 0, 0, start, end, interval, restarts, {}, {})


def test_data_of_a_scan_are_without_stuffing_and_markers():
    file = b"head" + b"a\xff\0b\xff\xd0c\xff\0\xff\0\xff\xd1" + b"tail"
    scan = scan_of(4, 17, 3, ((8, 0), (15, 1)))
    assert data_of(file, scan) == ScanData(b"a\xffb" + b"c\xff\xff" + BEHIND, (0, 24, 48, 48))
    assert data_of(file, scan_of(4, 8, 0, ())) == ScanData(b"a\xffb" + BEHIND, (0, 24))


def test_markers_that_should_not_be_there_are_data():
    file = b"ab\xff\xd0cd"
    assert data_of(file, scan_of(0, 6, 0, ((2, 0),))) == ScanData(file + BEHIND, (0, 48))


def test_parts_of_a_file_with_restart_markers_are_one_more_than_those():
    data = progressive(restart_marker_rows=2)
    for scan in jpeg_parts(data).scans:
        plain, edges = data_of(data, scan).plain, data_of(data, scan).edges
        assert len(edges) == len(scan.restarts) + 2
        assert list(edges) == sorted(edges)
        assert edges[-1] == 8 * (len(plain) - len(BEHIND))
        stuffed = data[scan.start : scan.end].count(b"\xff\0")
        assert len(plain) - len(BEHIND) == scan.end - scan.start - stuffed - 2 * len(scan.restarts)
