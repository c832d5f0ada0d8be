"""Scans of sequential files: sound ones and damaged ones are walked as a literal reader of T.81 would."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameraborn.photo import jpeg_walk
from cameraborn.photo.jpeg_parts import jpeg_parts
from cameraborn.photo.jpeg_walk import LARGEST, Part, can_walk, walk
from tests.photo.test_damage import FILES, PIECES, jpeg, overwritten, photograph
from tests.photo.test_jpeg_walk_progressive import Bits, Broken, codes, extended, grid_of_one


class Coded:
    """The units of a scan without restart markers, one after the other (T.81, F.2.2)."""

    def __init__(self, data, parts, scan):
        self.stuffed, self.begin = data[scan.start : scan.end], scan.start
        self.bits = Bits(self.stuffed)
        places = {one.id: one for one in parts.components}
        self.units = [places[number] for number, _, _ in scan.components]
        self.steps = {one.id: parts.quantisation[one.table] for one in self.units}
        self.tables = [(codes(scan.dc_codes[dc]), codes(scan.ac_codes[ac])) for _, dc, ac in scan.components]
        self.dc = dict.fromkeys(places, 0)
        self.alone = len(self.units) == 1
        self.count = np.prod(grid_of_one(parts, self.units[0]) if self.alone else parts.grid)

    def read(self):
        """Bytes of the file at which units begin, and why the next is none."""
        starts = []
        for _ in range(self.count):
            at = self.bits.at
            try:
                self.read_unit()
            except (Broken, EOFError) as error:
                return starts, type(error).__name__
            starts.append(self.begin + self.place(at // 8))
        return starts, ""

    def place(self, number):
        """Where the byte of the plain data with this number is in the file."""
        at = 0
        for _ in range(number):
            at += 2 if self.stuffed[at] == 0xFF else 1
        return at

    def read_unit(self):
        for one, tables in zip(self.units, self.tables, strict=True):
            for _ in range(1 if self.alone else one.h * one.v):
                self.read_block(one.id, *tables)

    def read_block(self, number, dc, ac):
        steps = self.steps[number]
        size = self.bits.decode(dc)
        value = self.bits.receive(size & 15)
        if size > 11:
            raise Broken
        self.dc[number] += extended(value, size)
        self.check(abs(self.dc[number]), steps[0])
        k = 1
        while k < 64:
            run, size = divmod(self.bits.decode(ac), 16)
            self.bits.receive(size)
            if not run and not size:
                return
            k += run
            if k > 63:
                raise Broken
            if size:
                self.check(1 << (size - 1), steps[k])  # the smallest of so many bits
            k += 1

    def check(self, value, step):
        if value * step > LARGEST + step:
            raise Broken


def test_damaged_files_are_read_as_a_literal_reader_does():
    rng = np.random.default_rng(2)
    whys = set()
    for options in ({}, {"subsampling": "4:4:4", "quality": 40}, {"quality": 97}):
        for mode in ("RGB", "L"):
            whole = jpeg(photograph((48, 40)).convert(mode), **options)
            (scan,) = jpeg_parts(whole).scans
            for _ in range(30):
                at, cut = int(rng.integers(scan.start, scan.end)), int(rng.integers(0, 4))
                data = whole[:at] + rng.bytes(int(rng.integers(0, 4))) + whole[at + cut :]
                parts = jpeg_parts(data)
                if len(parts.scans) != 1 or parts.scans[0].restarts or parts.end != len(data) - 2:
                    continue  # the bytes made a marker
                (found,) = walk(data, parts)
                coded = Coded(data, parts, parts.scans[0])
                starts, why = coded.read()
                whys.add(why)
                assert list(found.starts) == starts
                assert (found.trouble, found.short) == (why == "Broken", why == "EOFError")
                assert found.spare == (0 if why else (len(coded.bits.bits) - coded.bits.at) // 8)
                assert (found.read, found.expected) == (len(starts), coded.count)
    assert whys == {"", "Broken", "EOFError"}


def test_long_data_are_looked_at_in_several_goes(monkeypatch):
    data = jpeg(quality=95)
    parts = jpeg_parts(data)
    whole = walk(data, parts)
    monkeypatch.setattr(jpeg_walk, "_BITS_AT_A_TIME", 512)
    assert walk(data, parts) == whole
    assert whole[0].sound


@pytest.mark.parametrize("blocks", [1, 3, 7])
def test_restart_markers_part_the_units(blocks):
    data = jpeg(restart_marker_blocks=blocks)
    parts = jpeg_parts(data)
    found = walk(data, parts)
    units = int(np.prod(parts.grid))
    assert [part.first for part in found] == list(range(0, units, blocks))
    assert sum(part.expected for part in found) == units
    assert [part.starts[0] for part in found[1:]] == [at + 2 for at, _ in parts.scans[0].restarts]


def test_what_is_left_over_behind_the_last_unit_is_counted():
    data = jpeg()
    for more, sound in ((1, True), (2, False), (9, False)):
        longer = data[:-2] + bytes(more) + data[-2:]
        (found,) = walk(longer, jpeg_parts(longer))
        assert (found.spare, found.sound, found.trouble, found.short) == (more, sound, False, False)


def test_a_part_is_sound_where_nothing_is_wrong():
    sound = Part(0, 4, 4, trouble=False, short=False, spare=0)
    assert sound.sound
    assert replace(sound, spare=1).sound  # a fill byte
    for wrong in ({"spare": 2}, {"trouble": True}, {"short": True}):
        assert not replace(sound, **wrong).sound


def test_what_can_be_walked():
    parts = jpeg_parts(jpeg())
    assert can_walk(parts)
    (scan,) = parts.scans
    for wrong in (
        {"frame": 0xC2},
        {"precision": 12},
        {"quantisation": {0: parts.quantisation[0]}},
        {"components": ()},
        {"components": (*parts.components[:2], parts.components[1])},
        {"scans": (scan, scan)},
        {"scans": ()},
        {"scans": (replace(scan, dc_codes={0: scan.dc_codes[0]}),)},
        {"scans": (replace(scan, ac_codes={}),)},
    ):
        assert not can_walk(replace(parts, **wrong)), wrong


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pieces=PIECES, kept=st.floats(0, 1))
def test_any_bytes_are_taken_apart_and_walked_through(pieces, kept):
    data = FILES["restarts"][: int(kept * len(FILES["restarts"]))]
    for share, piece in pieces:
        data = overwritten(data, int(share * min(len(data), 900)), piece)
    parts = jpeg_parts(data)
    if parts.scans and can_walk(parts):
        for stretch in walk(data, parts):
            assert len(stretch.starts) <= stretch.expected
            assert all(parts.scans[0].start <= at <= parts.scans[0].end for at in stretch.starts)
