"""Scans of progressive files: sound ones are walked to the byte, and damaged ones as a literal reader of T.81 would."""

import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from cameraborn.photo import jpeg_walk_progressive
from cameraborn.photo.damage import Damage
from cameraborn.photo.decode import open_picture
from cameraborn.photo.jpeg_parts import jpeg_parts
from cameraborn.photo.jpeg_walk_progressive import can_walk_progressive, walk_progressive

EXAMPLES = sorted((Path(__file__).parents[1] / "pictures").glob("photo-*.jpg"))


def photograph(size=(176, 144), example=0):
    with Image.open(EXAMPLES[example]) as image:
        return image.convert("RGB").resize(size)


def progressive(image=None, **options):
    stream = io.BytesIO()
    (image or photograph()).save(stream, "JPEG", **{"quality": 90, "progressive": True, **options})
    return stream.getvalue()


SOUND = {
    "4:2:0": {},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:4:4": {"subsampling": "4:4:4"},
    "coarse": {"quality": 5},
    "fine": {"quality": 100},
    "restarts": {"restart_marker_rows": 1},
    "many restarts": {"restart_marker_blocks": 3},
}


@pytest.mark.parametrize("options", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("size", [(176, 144), (97, 131), (17, 16)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_sound_files_are_walked_to_the_byte(options, size, mode):
    data = progressive(photograph(size).convert(mode), **options)
    parts = jpeg_parts(data)
    assert can_walk_progressive(parts)
    walked = dict(walk_progressive(data, parts))
    assert [*walked] == [*range(len(parts.scans))]
    for number, found in walked.items():
        assert sum(part.expected for part in found) == np.prod(parts.grid_of(parts.scans[number]))
        assert all(part.sound and part.read == part.expected and not part.spare for part in found)


class Broken(Exception):
    """A code that no table has, or what no encoder writes."""


class Bits:
    """T.81, figures F.16, F.17 and F.18: one bit after the other."""

    def __init__(self, stuffed):
        plain = np.frombuffer(stuffed.replace(b"\xff\0", b"\xff"), np.uint8)
        self.bits, self.at = np.unpackbits(plain).tolist(), 0

    def receive(self, count):
        value = 0
        for _ in range(count):
            if self.at == len(self.bits):
                raise EOFError
            value, self.at = 2 * value + self.bits[self.at], self.at + 1
        return value

    def decode(self, table):
        code = ""
        while code not in table:
            code += str(self.receive(1))
            if len(code) > 16:
                raise Broken
        return table[code]


def codes(specification):
    """T.81, C.2: code words in their order."""
    table, code, symbols = {}, 0, iter(specification[16:])
    for length, count in enumerate(specification[:16], 1):
        for _ in range(count):
            table[f"{code:0{length}b}"] = next(symbols)
            code += 1
        code *= 2
    return table


class Told(NamedTuple):
    units: int  # that could be read
    left: int  # bits
    why: str  # it breaks; empty: it does not


def literally(data, parts):
    """What is said of each scan without restarts, up to the first that breaks."""
    coefficients = {one.id: np.zeros((*grid_of_one(parts, one), 64), int) for one in parts.components}
    for scan in parts.scans:
        bits = Bits(data[scan.start : scan.end])
        try:
            read_scan(bits, scan, parts, coefficients)
        except (Broken, EOFError) as error:
            yield Told(bits.units, 0, type(error).__name__)
            return
        yield Told(bits.units + 1, len(bits.bits) - bits.at, "")


def grid_of_one(parts, component):
    h, v = max(one.h for one in parts.components), max(one.v for one in parts.components)
    return -(-parts.height * component.v // (8 * v)), -(-parts.width * component.h // (8 * h))


def read_scan(bits, scan, parts, coefficients):
    if scan.first == 0:
        units = [one for one in parts.components if one.id in {number for number, _, _ in scan.components}]
        alone = len(units) == 1
        blocks = [one.id for one in units for _ in range(1 if alone else one.h * one.v)]
        table = {number: codes(scan.dc_codes[dc]) for number, dc, _ in scan.components if not scan.high}
        dc = dict.fromkeys(table, 0)
        for bits.units in range(np.prod(grid_of_one(parts, units[0]) if alone else parts.grid)):
            for number in blocks:
                if scan.high:
                    bits.receive(1)
                    continue
                if (size := bits.decode(table[number])) > 11:
                    raise Broken
                dc[number] += extended(bits.receive(size), size)
                check(dc[number], 0, scan, parts, number)
        return
    number, _, ac = scan.components[0]
    grid = coefficients[number].reshape(-1, 64)
    read = refined if scan.high else first
    left = 0
    for bits.units, block in enumerate(grid):
        left = read(bits, codes(scan.ac_codes[ac]), scan, parts, number, block, left)
        if bits.units + 1 + left > len(grid):
            bits.units = 0
            raise Broken


def extended(value, size):
    return value if not size or value >> (size - 1) else value - (1 << size) + 1


def check(value, k, scan, parts, number):
    step = parts.quantisation[next(one.table for one in parts.components if one.id == number)][k] << scan.low
    if abs(value) * step > 1100 + step:
        raise Broken


def first(bits, table, scan, parts, number, block, left):
    """T.81, figure G.5's inverse: how many more blocks end with this one."""
    if left:
        return left - 1
    k = scan.first
    while k <= scan.last:
        run, size = divmod(bits.decode(table), 16)
        if not size and run < 15:
            return (1 << run) + bits.receive(run) - 1
        k += run
        if k > scan.last:
            raise Broken
        if size:
            block[k] = extended(bits.receive(size), size)
            smallest = 1 << (size - 1)
            check(smallest, k, scan, parts, number)
        k += 1
    return 0


def refined(bits, table, scan, parts, number, block, left):
    """T.81, figure G.7's inverse."""
    k = scan.first
    while not left and k <= scan.last:
        run, size = divmod(bits.decode(table), 16)
        if size > 1:
            raise Broken
        if not size and run < 15:
            left = (1 << run) + bits.receive(run)
            break
        sign = bits.receive(size)
        while k <= scan.last and (block[k] or run):
            if block[k]:
                bits.receive(1)
            else:
                run -= 1
            k += 1
        if k > scan.last:
            raise Broken
        if size:
            block[k] = 1 if sign else -1
        k += 1
    if not left:
        return 0
    for coefficient in block[k : scan.last + 1]:
        bits.receive(bool(coefficient))
    return left - 1


def test_damaged_scans_are_those_that_a_literal_reader_finds():
    small = photograph((64, 48))
    rng = np.random.default_rng(1)
    breaks = set()
    for options in ({}, {"subsampling": "4:4:4", "quality": 75}, {"quality": 97}):
        whole = progressive(small, **options)
        for _ in range(60):
            scan = jpeg_parts(whole).scans[rng.integers(len(jpeg_parts(whole).scans))]
            at, length = int(rng.integers(scan.start, scan.end)), int(rng.integers(1, 5))
            data = whole[:at] + rng.bytes(length) + whole[at + int(rng.integers(1, 5)) :]
            parts = jpeg_parts(data)
            if (
                len(parts.scans) != len(jpeg_parts(whole).scans)
                or parts.stray
                or any(s.restarts for s in parts.scans)
            ):
                continue  # the bytes made a marker
            walked = dict(walk_progressive(data, parts))
            for number, told in enumerate(literally(data, parts)):
                if number not in walked:  # what a scan has left over makes the next one's history doubtful
                    break
                (part,) = walked[number]
                breaks.add(told.why)
                assert (part.trouble or part.short) == bool(told.why)
                assert part.read == told.units
                assert part.spare == (0 if told.why else told.left // 8)
    assert breaks == {"Broken", "EOFError", ""}


def lost(data, at):
    return data[:at] + data[at + 64 :]


def doubled(data, at):
    return data[: at + 64] + data[at:]


def swapped(data, at):
    return data[:at] + data[at + 64 : at + 128] + data[at : at + 64] + data[at + 128 :]


@pytest.mark.parametrize("damage", [lost, doubled, swapped])
@pytest.mark.parametrize("example", range(3))
def test_what_befalls_a_scan_is_noted(damage, example):
    whole = progressive(photograph(example=example))
    places = [(scan.start + scan.end) // 2 for scan in jpeg_parts(whole).scans if scan.end - scan.start > 256]
    damaged = [open_picture(damage(whole, at)).damage for at in places]
    noted = [one for one in damaged if one.notes]
    assert len(noted) >= len(places) - 1 >= 4  # a refinement may end at the right bit by chance
    assert all(one.share_of((0, 128, 176, 144)) == 1.0 for one in noted)  # the last rows


def test_a_cut_with_an_end_marker_is_noted():
    data = progressive()
    last = jpeg_parts(data).scans[-1]
    picture = open_picture(data[: (last.start + last.end) // 2] + b"\xff\xd9")
    assert picture.damage.notes == (
        "compressed data of a scan of the JPEG are missing: details are wrong or lacking",
    )
    assert picture.damage.share_of((0, 0, 176, 144)) == 1.0


def test_restart_markers_bound_what_is_affected():
    data = progressive(restart_marker_rows=3)
    scan = max(jpeg_parts(data).scans, key=lambda scan: scan.end - scan.start)
    (begin, _), (end, _) = scan.restarts[0:2]
    at = (begin + end) // 2
    picture = open_picture(data[:at] + data[at + 20 :])
    assert picture.damage.notes
    assert picture.damage.share_of((0, 0, 176, 144)) < 0.6
    sound = open_picture(data).pixels
    rows = np.flatnonzero(np.any(picture.pixels != sound, axis=(1, 2)))
    ((_, top, _, bottom),) = picture.damage.boxes
    assert top - 8 <= rows[0] <= rows[-1] < bottom + 8  # chroma is smoothed over the edge


def test_lost_restart_markers_are_noted():
    data = progressive(restart_marker_rows=1)
    at, _ = jpeg_parts(data).scans[-1].restarts[4]
    picture = open_picture(data[:at] + data[at + 2 :])
    assert picture.damage.notes == ("restart markers of the JPEG are missing or out of order",)
    assert 0 < picture.damage.share_of((0, 0, 176, 144)) < 0.6


def test_runs_of_one_byte_are_no_damage_where_all_codes_make_sense():
    """Blocks that are alike, and of no one colour: bits of their brightness are the same."""
    pixels = np.array(photograph((256, 256)))
    pixels[:160] = 100 + 8 * (np.arange(256, dtype=np.uint8)[None, :, None] % 8)
    data = progressive(Image.fromarray(pixels), quality=85)
    scan = next(scan for scan in jpeg_parts(data).scans if not scan.first and scan.high)
    assert max(map(len, re.findall(rb"(?s)(?:\x00|\xff\x00)+", data[scan.start : scan.end]))) > 40
    assert open_picture(data).damage == Damage()


def test_what_a_file_may_cost_is_bounded(monkeypatch):
    data = progressive()
    parts = jpeg_parts(data)
    refinements = {n for n, scan in enumerate(parts.scans) if scan.first and scan.high}
    monkeypatch.setattr(jpeg_walk_progressive, "_MOST_BLOCKS", 10)
    assert {*range(len(parts.scans))} - {n for n, _ in walk_progressive(data, parts)} == refinements
    monkeypatch.setattr(jpeg_walk_progressive, "LONGEST_WALK", parts.scans[1].end - parts.scans[0].start)
    assert {0, 1} <= {n for n, _ in walk_progressive(data, parts)} < {*range(len(parts.scans))} - refinements
    assert all(part.sound for _, found in walk_progressive(data, parts) for part in found)


def test_a_first_scan_that_is_passed_over_leaves_its_refinements_out():
    data = progressive()
    parts = jpeg_parts(data)
    (luma,) = [n for n, scan in enumerate(parts.scans) if (scan.first, scan.last, scan.high) == (1, 5, 0)]
    walked = {n for n, _ in walk_progressive(data, parts, [luma])}
    assert {parts.scans[n].components[0][0] for n in range(len(parts.scans)) if n not in walked} == {1}
    assert luma not in walked


def test_zeros_in_a_refinement_are_noted_though_its_codes_may_make_sense_again():
    data = progressive(photograph((320, 256)))
    last = jpeg_parts(data).scans[-1]
    assert last.first
    assert last.high
    for at in range(last.start, last.end - 64, 1000):
        damage = open_picture(data[:at] + bytes(64) + data[at + 64 :]).damage
        assert "a long run of one byte stands where compressed data should be" in damage.notes
