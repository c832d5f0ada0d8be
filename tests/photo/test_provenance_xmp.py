"""XMP: as exiftool reads it, without entities, bounded, and never raising."""

import json
import shutil
import subprocess
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.provenance_xmp import MAX_PROPERTIES, xmp_fields, xmp_properties
from tests.photo.provenance_files import international, jpeg, png, saved, xmp, xmp_segment

CREDIT = xmp(
    "<dc:creator><rdf:Seq><rdf:li>A</rdf:li><rdf:li>B</rdf:li></rdf:Seq></dc:creator>"
    "<xmpMM:History><rdf:Seq>"
    '<rdf:li><rdf:Description stEvt:action="created" stEvt:softwareAgent="One"/></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><stEvt:softwareAgent>Two</stEvt:softwareAgent></rdf:li>'
    "</rdf:Seq></xmpMM:History>",
    'photoshop:Credit="C &amp; D"',
)


def fields(data):
    with Image.open(BytesIO(data)) as image:
        return [(field.name, field.text) for field in xmp_fields(image, data)]


def test_attributes_elements_lists_and_structures():
    found = xmp_properties(CREDIT.encode())
    assert [text for name, text in found if name == "dc:creator"] == ["A", "B"]
    assert [text for name, text in found if name == "stEvt:softwareAgent"] == ["One", "Two"]
    assert ("photoshop:Credit", "C & D") in found


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="the oracle is exiftool")
def test_as_exiftool_reads_it(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(xmp_segment(CREDIT)))
    run = subprocess.run(
        ["exiftool", "-j", "-G1", tmp_path / "a.jpg"], capture_output=True, check=True, text=True
    )
    theirs = json.loads(run.stdout)[0]
    ours = fields((tmp_path / "a.jpg").read_bytes())
    assert theirs["XMP-dc:Creator"] == [text for name, text in ours if name == "dc:creator"]
    assert theirs["XMP-xmpMM:HistorySoftwareAgent"] == [
        text for name, text in ours if name == "stEvt:softwareAgent"
    ]
    assert [theirs["XMP-photoshop:Credit"]] == [text for name, text in ours if name == "photoshop:Credit"]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(xmp_segment(CREDIT)),
        png(international("XML:com.adobe.xmp", CREDIT)),
        png(behind=[international("XML:com.adobe.xmp", CREDIT, compressed=True)]),
        saved("WEBP", xmp=CREDIT.encode()),
        saved("AVIF", xmp=CREDIT.encode()),
        saved("TIFF", tiffinfo={700: CREDIT.encode()}),
        saved("GIF") + CREDIT.encode(),
    ],
    ids=["JPEG", "PNG", "PNG behind", "WebP", "AVIF", "TIFF", "GIF"],
)
def test_in_every_format(data):
    assert ("photoshop:Credit", "C & D") in fields(data)


def test_other_prefixes_mean_the_same():
    packet = CREDIT.replace("photoshop:Credit", "ps:Credit").replace("xmlns:photoshop", "xmlns:ps")
    assert ("photoshop:Credit", "C & D") in xmp_properties(packet.encode())


def test_no_entity_is_expanded():
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    )
    body = CREDIT.replace("C &amp; D", "&b;&f;").partition("?>")[2]
    assert xmp_properties((bomb + body).encode()) == []


def test_what_comes_before_a_fault_is_kept():
    assert ("photoshop:Credit", "C & D") in xmp_properties(CREDIT.encode()[: CREDIT.index("<xmpMM")])


def test_properties_and_depth_are_bounded():
    many = xmp("<dc:subject><rdf:Bag>" + "<rdf:li>x</rdf:li>" * 10_000 + "</rdf:Bag></dc:subject>")
    assert len(xmp_properties(many.encode())) == MAX_PROPERTIES
    deep = xmp("<dc:a>" * 100_000, 'photoshop:Credit="x"')
    assert xmp_properties(deep.encode())[-1] == ("photoshop:Credit", "x")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data):
    assert isinstance(xmp_properties(data), list)
    assert isinstance(xmp_properties(CREDIT.encode()[:400] + data), list)


@given(st.integers(0, len(CREDIT.encode()) - 1), st.binary(min_size=1, max_size=4))
def test_a_changed_packet_never_raises(at, other):
    packet = CREDIT.encode()
    assert isinstance(xmp_properties(packet[:at] + other + packet[at + len(other) :]), list)
