"""Profiles in text chunks of PNG and the data sets in them: what was written is read, and nothing raises."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cameraborn.photo.provenance_profiles import iim_of, raw_profile
from tests.photo.provenance_files import iim_segment

DATA_SETS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=5)


def written(name, body, width=72):
    """The text of ImageMagick's chunk."""
    digits = body.hex()
    lines = "\n".join(digits[at : at + width] for at in range(0, len(digits), width))
    return f"\n{name}\n{len(body):8}\n{lines}\n"


def data_sets(sets, record=2):
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for number, value in sets)


def resource(sets, name=b"", number=0x0404):
    """A resource of Photoshop's; its name has a length before it, and is padded to an even number with it."""
    named = bytes([len(name)]) + name
    body = data_sets(sets)
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + named
        + b"\0" * (len(named) % 2)
        + struct.pack(">I", len(body))
        + body
    )


@given(st.binary(max_size=300), st.sampled_from([72, 2, 7]))
def test_a_profile_that_was_written_is_read(body, width):
    assert raw_profile("Raw profile type iptc", written("iptc", body, width), "iptc", "8bim") == body
    assert raw_profile("Raw profile type APP1", written("APP1", body, width), "xmp", "app1") == body


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("Raw profile type xmp", written("xmp", b"body")),
        ("raw profile type iptc", written("iptc", b"body")),
        ("iptc", written("iptc", b"body")),
        ("Raw profile type iptc", ""),
        ("Raw profile type iptc", "\niptc\n 4\nwxyz"),
        ("Raw profile type iptc", "\niptc\n 4\n"),
        ("Raw profile type iptc", "\niptc\n 1\n\u0661\u0662"),  # digits, and none of hexadecimal
    ],
)
def test_what_is_no_profile_of_these_names(keyword, text):
    assert raw_profile(keyword, text, "iptc") == b""


def test_of_a_text_that_is_cut_the_whole_bytes_are_read():
    text = written("iptc", bytes(range(100)))
    for length in range(len(text)):
        found = raw_profile("Raw profile type iptc", text[:length], "iptc")
        digits = "".join(text[:length].split("\n")[3:])
        assert found == bytes(range(100))[: len(digits) // 2]


@given(DATA_SETS)
@example([(120, b"\x1c\x02")])
def test_data_sets_that_were_written_are_read(sets):
    assert list(iim_of(data_sets(sets))) == sets


@given(DATA_SETS, st.binary(max_size=5))
def test_data_sets_lie_in_a_resource_whatever_it_is_called(sets, name):
    behind = data_sets([(5, b"not in the resource")])
    other = resource([(5, b"of another number")], number=0x0405)
    assert list(iim_of(other + resource(sets, name) + behind)) == sets


def test_a_segment_of_a_jpeg_holds_them_too():
    _, body = iim_segment((110, b"Made with Google AI"), (120, b"odd"))
    assert list(iim_of(body)) == [(110, b"Made with Google AI"), (120, b"odd")]


def test_other_records_are_passed_over_and_long_lengths_end_it():
    sets = [(5, b"a title"), (25, b"a word")]
    assert list(iim_of(data_sets([(90, b"UTF-8")], record=1) + data_sets(sets))) == sets
    extended = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, 3) + b"abc"
    assert list(iim_of(data_sets(sets) + extended + data_sets(sets))) == sets
    assert list(iim_of(data_sets(sets)[:-3])) == [sets[0], (25, b"a w")]
    assert list(iim_of(data_sets(sets)[:-7])) == sets[:1]


@given(st.text(max_size=60), st.binary(max_size=60), st.integers(0, 12))
def test_arbitrary_profiles_never_raise(text, body, cut):
    assert isinstance(raw_profile("Raw profile type iptc", text, "iptc"), bytes)
    for profile in (body, b"8BIM\x04\x04" + body, resource([(5, body)])[:cut]):
        assert all(value in profile for _, value in iim_of(profile))
