"""Boxes of files of HEIF and their like: one level is read as far as it is complete, and never beyond."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.boxes import boxes_of

TYPES = st.binary(min_size=4, max_size=4)
BOXES = st.lists(st.tuples(TYPES, st.binary(max_size=30), st.booleans()), max_size=6)


def box(kind, body, long=False):
    """A box with its length in four bytes, or in the eight that long ones have."""
    if long:
        return b"\0\0\0\1" + kind + (16 + len(body)).to_bytes(8, "big") + body
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def read(data):
    return [(kind, bytes(body)) for kind, body in boxes_of(memoryview(data))]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(BOXES)
def test_what_is_written_is_read(boxes):
    assert read(b"".join(box(*one) for one in boxes)) == [(kind, body) for kind, body, _ in boxes]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(BOXES, st.data())
def test_of_a_file_that_is_cut_the_complete_boxes_are_read(boxes, data):
    whole = b"".join(box(*one) for one in boxes)
    kept = data.draw(st.integers(0, len(whole)))
    complete, at = [], 0
    for kind, body, long in boxes:
        at += len(box(kind, body, long))
        if at <= kept:
            complete.append((kind, body))
    assert read(whole[:kept]) == complete


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_error_and_not_twice(data):
    found = read(data)
    assert sum(8 + len(body) for _, body in found) <= len(data)
    assert all(len(kind) == 4 for kind, _ in found)


def test_a_length_of_zero_reaches_to_the_end():
    assert read(box(b"ftyp", b"avif") + b"\0\0\0\0mdat" + b"pixels") == [
        (b"ftyp", b"avif"),
        (b"mdat", b"pixels"),
    ]


@pytest.mark.parametrize("length", [2, 7])
def test_a_length_that_does_not_hold_its_own_header_ends_the_level(length):
    broken = length.to_bytes(4, "big") + b"free" + bytes(20)
    assert read(box(b"ftyp", b"avif") + broken + box(b"meta", b"")) == [(b"ftyp", b"avif")]


def test_a_long_length_that_does_not_hold_its_header_ends_the_level():
    assert read(b"\0\0\0\1free" + (15).to_bytes(8, "big") + bytes(20)) == []
    assert read(b"\0\0\0\1free" + (16).to_bytes(8, "big") + bytes(4)) == [(b"free", b"")]


def test_boxes_in_a_box_are_read_from_its_body():
    inner = box(b"hdlr", b"pict") + box(b"pitm", b"\1")
    ((_, body),) = boxes_of(memoryview(box(b"meta", inner)))
    assert read(body) == [(b"hdlr", b"pict"), (b"pitm", b"\1")]


def test_a_file_of_an_encoder_is_made_of_boxes():
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(stream, "AVIF")
    found = read(stream.getvalue())
    assert [kind for kind, _ in found][:2] == [b"ftyp", b"meta"]
    assert b"mdat" in [kind for kind, _ in found]
    assert found[0][1].startswith(b"avif")
    assert sum(8 + len(body) for _, body in found) == len(stream.getvalue())
