"""CBOR, against the examples of RFC 8949 (appendix A) and arbitrary bytes."""

import math
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.photo.provenance_cbor import CborError, decode_cbor

# RFC 8949, appendix A.
EXAMPLES = {
    "00": 0,
    "17": 23,
    "1818": 24,
    "1903e8": 1000,
    "1a000f4240": 1000000,
    "1bffffffffffffffff": 18446744073709551615,
    "20": -1,
    "3863": -100,
    "3903e7": -1000,
    "f90000": 0.0,
    "f93c00": 1.0,
    "fa47c35000": 100000.0,
    "fb3ff199999999999a": 1.1,
    "f4": False,
    "f5": True,
    "f6": None,
    "f7": None,
    "f818": None,
    "4401020304": b"\1\2\3\4",
    "6449455446": "IETF",
    "62c3bc": "ü",
    "80": [],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "c11a514b67b0": 1363896240,
    "5f42010243030405ff": b"\1\2\3\4\5",
    "7f657374726561646d696e67ff": "streaming",
    "9fff": [],
    "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
    "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]},
}
MALFORMED = [
    "",
    "18",
    "1c",
    "1f",
    "3f",
    "44010203",
    "82 01",
    "a101",
    "5f01ff",
    "ff",
    "81ff",
    "a18001",
    "9f",
    "bf01ff",
]


@pytest.mark.parametrize("encoded", EXAMPLES)
def test_examples_of_the_standard(encoded):
    assert decode_cbor(bytes.fromhex(encoded)) == EXAMPLES[encoded]


def test_a_number_that_is_none():
    assert math.isnan(decode_cbor(bytes.fromhex("f97e00")))


@pytest.mark.parametrize("encoded", MALFORMED)
def test_what_is_malformed_is_refused(encoded):
    with pytest.raises(CborError):
        decode_cbor(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "bomb", [b"\x81" * 100_000, b"\xd8\x18" * 100_000, b"\x9f" * 100_000, b"\x9b" + b"\xff" * 8]
)
def test_depth_and_lengths_are_limited(bomb):
    with pytest.raises(CborError):
        decode_cbor(bomb)


def encoded(value):
    """A slow, literal encoder, with all lengths in eight bytes."""
    head = lambda major, number: bytes([major << 5 | 27]) + struct.pack(">Q", number)  # noqa: E731
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encoded, value))
    return head(5, len(value)) + b"".join(encoded(key) + encoded(item) for key, item in value.items())


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_encoded_is_decoded(value):
    assert decode_cbor(encoded(value)) == value


@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_a_value_or_the_documented_error(data):
    with suppress(CborError):
        decode_cbor(data)
