"""JUMBF: where each format keeps a manifest store, and its boxes as a tree, whatever the bytes are."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.boxes import JPEG_XL
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_jumbf import Box, manifest_store, read_boxes
from tests.photo.provenance_files import app11, box, chunk, jpeg, png, saved, store, superbox

STORE = store(superbox("m", box(b"cbor", bytes(range(256)) * 3)))
OTHER = superbox("other", box(b"json", b"{}"))
PICTURE = Image.new("L", (8, 8))
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def found_store(data):
    with Image.open(BytesIO(data)) as image:
        return manifest_store(image, data)


@pytest.mark.parametrize("part", [1000, 60_000])
def test_a_store_in_several_segments(part):
    whole = store(superbox("m", box(b"cbor", b"x" * 150_000)))
    data = jpeg(*reversed(app11(whole, part=part)))
    assert found_store(data) == whole


def test_boxes_are_bounded():
    deep = b""
    for _ in range(2000):
        deep = superbox("a", deep)
    assert len(read_boxes(deep)) == 1
    many = read_boxes(store(*[superbox("a")] * 20_000))
    assert len(many[0].children) < 6000


def test_other_boxes_of_a_jpeg_are_no_manifest():
    assert found_store(jpeg(*app11(OTHER))) == b""
    assert read_provenance(jpeg(*app11(superbox("other")))).c2pa is None


def test_the_header_of_a_long_box_is_repeated_too():
    """Its length stands in eight bytes behind the type."""
    body = STORE[8:]
    whole = struct.pack(">I4sQ", 1, b"jumb", len(body) + 16) + body
    parts = [body[at : at + 500] for at in range(0, len(body), 500)]
    segments = [
        (0xEB, b"JP\0\1" + struct.pack(">I", number) + whole[:16] + part)
        for number, part in enumerate(parts, start=1)
    ]
    assert len(segments) == 2
    assert found_store(jpeg(*segments)) == whole
    assert read_boxes(whole) == read_boxes(STORE)


def test_a_store_is_found_behind_other_boxes_of_a_jpeg():
    others = [
        (0xEB, b"JP\0\2" + struct.pack(">I", 1) + OTHER),
        (0xEB, b"no box"),
        (0xE5, b"JP\0\1" + bytes(20)),
    ]
    assert found_store(jpeg(*others, *app11(STORE))) == STORE


def riff(*chunks):
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def uuid_box(purpose, uuid=UUID):
    return box(b"uuid", uuid + bytes(4) + purpose + b"\0" + bytes(8) + STORE)


def gif_blocks(data):
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\x21\xff\x0bC2PA_GIF\1\0\0" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


FTYP = box(b"ftyp", b"avif" + bytes(4))
STORES = {
    "PNG": png(chunk(b"caBX", STORE)),
    "PNG, the first": png(chunk(b"caBX", STORE), chunk(b"caBX", OTHER)),
    "WebP": riff((b"VP8 ", b"odd"), (b"C2PA", STORE)),
    "HEIF": FTYP + box(b"mdat", b"x") + uuid_box(b"manifest"),
    "HEIF, an update": FTYP + uuid_box(b"merkle") + uuid_box(b"update"),
    "JPEG XL": JPEG_XL + box(b"jxlc", b"x") + OTHER + STORE,
    "GIF": saved("GIF")[:-1] + gif_blocks(STORE) + b";",
}
NO_STORES = {
    "nothing": b"",
    "no PNG": b"x" + png(chunk(b"caBX", STORE)),
    "a PNG that is cut": png(chunk(b"caBX", STORE))[: 33 + len(STORE)],
    "a RIFF of others": riff((b"C2PA", STORE)).replace(b"WEBP", b"WAVE"),
    "a WebP without": riff((b"VP8 ", b"odd")),
    "a HEIF with another purpose": FTYP + uuid_box(b"merkle"),
    "a HEIF with another identifier": FTYP + uuid_box(b"manifest", bytes(16)),
    "a JPEG XL without": JPEG_XL + OTHER,
    "a GIF without": saved("GIF"),
}


@pytest.mark.parametrize("name", STORES)
def test_every_format_keeps_it_in_a_place_of_its_own(name):
    assert manifest_store(PICTURE, STORES[name]) == STORE


@pytest.mark.parametrize("name", NO_STORES)
def test_what_is_no_store(name):
    assert manifest_store(PICTURE, NO_STORES[name]) == b""


def test_a_tiff_keeps_it_in_a_tag():
    assert found_store(saved("TIFF", tiffinfo={0xCD41: STORE})) == STORE
    assert found_store(saved("TIFF", tiffinfo={0xCD41: "a text"})) == b""


LABELS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    st.builds(Box, st.sampled_from(["cbor", "json", "bidb"]), payload=st.binary(max_size=20)),
    lambda inner: st.builds(
        Box,
        st.just("jumb"),
        LABELS,
        st.binary(min_size=16, max_size=16),
        children=st.lists(inner, max_size=4).map(tuple),
    ),
    max_leaves=20,
)


def encoded(tree):
    """A slow, literal writer of a tree of boxes."""
    if tree.type != "jumb":
        return box(tree.type.encode(), tree.payload)
    return superbox(tree.label, *map(encoded, tree.children), uuid=tree.uuid)


@given(st.lists(TREES, max_size=3).map(tuple))
def test_boxes_that_were_written_are_read(trees):
    assert read_boxes(b"".join(map(encoded, trees))) == trees


@given(st.binary(max_size=200), st.integers(0, len(STORE)), st.binary(max_size=8))
def test_arbitrary_bytes_are_a_tree_of_what_is_there(data, at, changed):
    for given_bytes in (data, STORE[:at] + changed + STORE[at + len(changed) :]):
        boxes = list(read_boxes(given_bytes))
        while boxes:
            one = boxes.pop()
            assert one.payload in given_bytes
            boxes += one.children


def test_the_first_of_several_is_given_and_a_label_may_go_on():
    tree = Box(
        "jumb",
        children=(
            Box("json", payload=b"1"),
            Box("jumb", "c2pa.claim.v2"),
            Box("jumb", "c2pa.claim"),
            Box("json", payload=b"2"),
        ),
    )
    assert tree.child("c2pa.signature", "c2pa.claim").label == "c2pa.claim.v2"
    assert tree.child("json") is None
    assert (tree.content("json"), tree.content("cbor")) == (b"1", b"")


def test_a_superbox_without_a_description_has_no_label():
    (found,) = read_boxes(box(b"jumb", box(b"json", b"x")))
    assert (found.label, found.uuid, found.children) == ("", b"", ())
    (found,) = read_boxes(
        box(b"jumb", box(b"jumd", bytes(16) + b"\1" + b"label\0"))
    )  # the bit of a label is not set
    assert found.label == ""
