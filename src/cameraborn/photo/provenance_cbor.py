"""CBOR (RFC 8949), the part that C2PA's claims and signatures are written in: bytes to Python values.

A decoder of our own, because a claim is a few kilobytes of maps and texts, and scoring needs no further package for
that. It takes bytes from strangers: no item is believed to be longer than what is left, and depth is limited.
"""

from __future__ import annotations

import struct

_MAX_DEPTH = 32
_BREAK = object()


class CborError(ValueError):
    """The bytes are not CBOR, or nested too deep."""


def decode_cbor(data: bytes) -> object:
    """The first item: int, float, bytes, str, list, dict, bool or None; a tag gives what it stands before.

    Raises:
        CborError: it is malformed, cut off, or nested deeper than any claim.
    """
    item, _ = _item(data, 0, 0)
    if item is _BREAK:
        raise CborError("a break without a beginning")
    return item


def _item(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth > _MAX_DEPTH or at >= len(data):
        raise CborError("nested too deep, or cut off")
    major, info = data[at] >> 5, data[at] & 31
    if major == 7:
        return _simple(data, at + 1, info)
    endless = info == 31
    number, at = (0, at + 1) if endless else _argument(data, at + 1, info)
    if endless and major in (0, 1, 6):
        raise CborError("a number without an end")
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        return _string(data, at, number, depth, text=major == 3, endless=endless)
    if major == 6:
        return _item(data, at, depth + 1)
    items, at = _items(data, at, None if endless else number * (major - 3), depth)
    return (items if major == 4 else _map(items)), at


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    """RFC 8949, 3: the number in the first byte, or in the 1, 2, 4 or 8 behind it."""
    if info < 24:
        return info, at
    if info > 27:
        raise CborError("a length that is reserved")
    end = at + (1 << (info - 24))
    if end > len(data):
        raise CborError("cut off")
    return int.from_bytes(data[at:end], "big"), end


def _simple(data: bytes, at: int, info: int) -> tuple[object, int]:
    if info == 31:
        return _BREAK, at
    if info in (25, 26, 27):
        size = 1 << (info - 24)
        if at + size > len(data):
            raise CborError("cut off")
        return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], data[at : at + size])[0], at + size
    if info == 24:
        return None, _argument(data, at, info)[1]
    return {20: False, 21: True}.get(info), at


def _string(
    data: bytes, at: int, length: int, depth: int, *, text: bool, endless: bool
) -> tuple[object, int]:
    if endless:
        parts, at = _items(data, at, None, depth)
        if not all(isinstance(part, str if text else bytes) for part in parts):
            raise CborError("a part of a string that is not a string")
        return ("" if text else b"").join(parts), at  # type: ignore[arg-type]
    if length > len(data) - at:
        raise CborError("cut off")
    value = data[at : at + length]
    return (value.decode("utf-8", "replace") if text else value), at + length


def _items(data: bytes, at: int, count: int | None, depth: int) -> tuple[list[object], int]:
    """So many items, or all up to a break; each takes a byte at least."""
    if count is not None and count > len(data) - at:
        raise CborError("cut off")
    items: list[object] = []
    while count is None or len(items) < count:
        item, at = _item(data, at, depth + 1)
        if item is _BREAK:
            if count is not None:
                raise CborError("a break inside")
            break
        items.append(item)
    return items, at


def _map(items: list[object]) -> dict[object, object]:
    if len(items) % 2:
        raise CborError("a key without a value")
    try:
        return dict(zip(items[::2], items[1::2], strict=True))
    except TypeError as error:
        raise CborError("a key that is a list or a map") from error
