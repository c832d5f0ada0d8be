"""JUMBF (ISO 19566-5): where a file keeps its C2PA manifest store, and the boxes in it.

Where: C2PA 2.1, appendix A: APP11 segments of a JPEG, a chunk caBX of a PNG, a chunk C2PA of a WebP, a tag of a TIFF, a
box uuid of HEIF and AVIF, a box jumb of JPEG XL, an application extension of a GIF. Nothing raises: what is malformed
is not there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from cameraborn.photo.boxes import JPEG_XL, boxes_of
from cameraborn.photo.provenance_fields import png_chunks

MAX_STORE = 64 << 20  # bytes; thumbnails and earlier manifests add up to some megabytes
_MAX_BOXES = 5000
_MAX_DEPTH = 16
_TIFF_TAG = 0xCD41
_BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_GIF_BLOCK = b"\x21\xff\x0bC2PA_GIF\x01\x00\x00"


@dataclass(frozen=True)
class Box:
    """A box, or a superbox, which has a label and holds others."""

    type: str  # four letters: "jumb", "cbor", "json", ...
    label: str = ""
    uuid: bytes = b""  # of a superbox: what its content is
    payload: bytes = b""  # of a box that is none
    children: tuple[Box, ...] = ()

    def child(self, *labels: str) -> Box | None:
        """The first superbox inside whose label begins so."""
        return next(
            (box for box in self.children if box.type == "jumb" and box.label.startswith(labels)), None
        )

    def content(self, type: str) -> bytes:
        """The payload of the first box inside of a type."""
        return next((box.payload for box in self.children if box.type == type), b"")


def manifest_store(image: Image.Image, data: bytes) -> bytes:
    """The encoded C2PA manifest store of a file; empty where there is none."""
    found = (
        _in_jpeg(image)
        or _in_png(data)
        or _in_webp(data)
        or _in_tiff(image)
        or _in_bmff(data)
        or _in_jpeg_xl(data)
        or _in_gif(data)
    )
    return found[:MAX_STORE]


def _in_jpeg(image: Image.Image) -> bytes:
    """The segments of the first box number that is a manifest store, in their order (ISO 19566-5, D.2)."""
    parts: dict[bytes, list[tuple[int, bytes]]] = defaultdict(list)
    for name, body in getattr(image, "applist", ()):
        if name == "APP11" and body[:2] == b"JP" and len(body) >= 16:
            parts[body[2:4]].append((int.from_bytes(body[4:8], "big"), body[8:]))
    for segments in parts.values():
        segments.sort(key=lambda part: part[0])
        first = segments[0][1]
        header = 16 if first[:4] == b"\0\0\0\1" else 8  # repeated at the beginning of each
        store = first + b"".join(segment[header:] for _, segment in segments[1:])
        if _is_store(store):
            return store
    return b""


def _is_store(data: bytes) -> bool:
    return data[4:8] == b"jumb" and b"c2pa" in data[8:64]


def _in_png(data: bytes) -> bytes:
    return next((bytes(body) for kind, body in png_chunks(data) if kind == b"caBX"), b"")


def _in_webp(data: bytes) -> bytes:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return b""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"C2PA":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _in_tiff(image: Image.Image) -> bytes:
    tags = getattr(image, "tag_v2", None)
    value = None if tags is None else tags.get(_TIFF_TAG)
    return value if isinstance(value, bytes) else b""


def _in_bmff(data: bytes) -> bytes:
    """The first uuid box of the outermost level: version and flags, a purpose, an offset, the store (A.5.1)."""
    if data[4:8] != b"ftyp":
        return b""
    for type, body in boxes_of(memoryview(data)):
        if type == b"uuid" and body[:16] == _BMFF_UUID:
            purpose, _, rest = bytes(body[20:]).partition(b"\0")
            if purpose in (b"manifest", b"original", b"update"):
                return rest[8:]
    return b""


def _in_jpeg_xl(data: bytes) -> bytes:
    """The first superbox of the outermost level that is a manifest store, with its header (ISO 18181-2, 9.8)."""
    if not data.startswith(JPEG_XL):
        return b""
    stores = (body for type, body in boxes_of(memoryview(data)) if type == b"jumb")
    framed = ((8 + len(body)).to_bytes(4, "big") + b"jumb" + bytes(body) for body in stores)
    return next(filter(_is_store, framed), b"")


def _in_gif(data: bytes) -> bytes:
    at = data.find(_GIF_BLOCK) if data.startswith(b"GIF8") else -1
    if at < 0:
        return b""
    at += len(_GIF_BLOCK)
    blocks = []
    while at < len(data) and (length := data[at]):
        blocks.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return b"".join(blocks)


def read_boxes(store: bytes) -> tuple[Box, ...]:
    """The boxes of a store as a tree; deeper or more than any manifest has are left out."""
    budget = [_MAX_BOXES]
    return tuple(_tree(memoryview(store), 0, budget))


def _tree(data: memoryview, depth: int, budget: list[int]) -> Iterator[Box]:
    for type, body in boxes_of(data):
        budget[0] -= 1
        if budget[0] < 0 or depth > _MAX_DEPTH:
            return
        name = type.decode("latin-1")
        if type == b"jumb":
            described, *inside = list(_tree(body, depth + 1, budget)) or [Box("")]
            uuid, label = _description(described.payload) if described.type == "jumd" else (b"", "")
            yield Box(name, label, uuid, children=tuple(inside))
        else:
            yield Box(name, payload=bytes(body))


def _description(payload: bytes) -> tuple[bytes, str]:
    """UUID and label of a superbox (ISO 19566-5, 5.3): 16 bytes, toggles, and a label if the second bit is set."""
    has_label = len(payload) > 16 and payload[16] & 2
    return payload[:16], payload[17:].partition(b"\0")[0].decode("utf-8", "replace") if has_label else ""
