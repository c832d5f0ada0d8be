"""Digital Source Types: every one in words, wherever a file says it and however it is spelt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_fields import Field
from cameraborn.photo.provenance_source import WORDS, source_claims, source_code, source_type_of
from tests.photo.provenance_files import (
    SOURCE,
    ascii_tag,
    international,
    jpeg,
    png,
    saved,
    with_xmp,
    xmp,
    xmp_segment,
)
from tests.photo.test_exif import block


def with_source(code):
    return with_xmp(attributes=f'ext:DigitalSourceType="{SOURCE}{code}"')


@pytest.mark.parametrize("spelt", [str, str.lower, str.upper])
@pytest.mark.parametrize("code", WORDS)
def test_every_source_type_has_words(code, spelt):
    data = with_xmp(f"<ext:DigitalSourceType>{SOURCE}{spelt(code)}</ext:DigitalSourceType>")
    found = read_provenance(data)
    said = f"the file says that it {WORDS[code]} ({code})"
    assert found.source_type == code
    if found.says == "nothing":
        assert found.summary == f"{said}; no generator and no camera is named, which proves nothing"
    else:
        assert found.notes == (f"{said}, which can be forged",)


def test_the_list_of_the_iptc_is_complete():
    assert len(WORDS) == 20 + 2  # the IPTC's, retired ones too, and C2PA's
    generated = [code for code in WORDS if read_provenance(with_source(code)).traces]
    assert generated == [
        "compositeWithTrainedAlgorithmicMedia",
        "trainedAlgorithmicMedia",
        "compositeSynthetic",
    ]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_source_types_of_every_format(format):
    packet = xmp(attributes=f'ext:DigitalSourceType="{SOURCE}virtualRecording"')
    if format == "PNG":
        data = png(international("XML:com.adobe.xmp", packet))
    elif format == "TIFF":
        data = saved("TIFF", tiffinfo={700: packet.encode()})
    elif format == "GIF":
        data = saved("GIF") + packet.encode()
    else:
        data = saved(format, xmp=packet.encode())
    assert "it is a recording of a virtual event (virtualRecording)" in read_provenance(data).summary


def test_a_source_type_beside_a_camera_is_a_note():
    exif = block([], [ascii_tag(0x10F, "Canon"), ascii_tag(0x110, "Canon EOS 30D")])
    packet = xmp(attributes=f'ext:DigitalSourceType="{SOURCE}digitalCapture"')
    found = read_provenance(jpeg(xmp_segment(packet), exif=exif))
    assert found.says == "camera"
    assert (
        found.notes[0]
        == "the file says that it was taken by a digital camera (digitalCapture), which can be forged"
    )


def test_a_source_type_that_is_in_no_list():
    found = read_provenance(with_source("holiday"))
    assert found.source_type == "holiday"
    assert 'has the source type "holiday", which is not in the IPTC\'s list' in found.summary


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SOURCE + "digitalCapture", "digitalCapture"),
        (SOURCE + "digitalcapture/", "digitalCapture"),
        (" digsrctype:print\n", "print"),
        ("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData", "trainedAlgorithmicData"),
        ("NEGATIVEFILM", "negativeFilm"),
        ("of my own", "of my own"),
        ("https://example.org/" + "x" * 200, "x" * 100),
        ("", ""),
    ],
)
def test_a_code_is_the_last_word_as_the_list_spells_it(text, code):
    assert source_code(text) == code


@given(st.text())
def test_a_code_is_read_once_and_for_all(text):
    code = source_code(text)
    assert len(code) <= 100
    assert code in WORDS or code in text


PLACES = ["XMP Iptc4xmpExt:DigitalSourceType", "C2PA digitalSourceType", "PNG text DigitalSourceType"]


@pytest.mark.parametrize("place", PLACES)
def test_it_is_read_where_it_may_stand(place):
    where = place.rsplit(" ", 1)
    assert source_type_of([Field(*where, SOURCE + "print")]) == "print"
    assert source_claims([Field(*where, "print")]) == (
        "the file says that it was scanned from a print (print)",
    )
    for other in (("comment", "DigitalSourceType"), ("XMP", "dc:description"), ("XMP", "DigitalSourceTypes")):
        assert source_type_of([Field(*other, "print")]) is None


def test_the_files_own_word_comes_before_those_of_ingredients():
    fields = [
        Field("XMP", "ingredient ext:DigitalSourceType", "negativeFilm"),
        Field("C2PA", "digitalSourceType", "holiday"),
        Field("C2PA", "digitalSourceType", ""),
        Field("C2PA", "digitalSourceType", SOURCE + "holiday"),
    ]
    assert source_type_of(fields) == "holiday"
    assert source_claims(fields) == (
        'the file says that it has the source type "holiday", which is not in the IPTC\'s list',
        "an earlier picture that it was made from says that it was scanned from a film negative (negativeFilm)",
    )
    many = [Field("XMP", "ext:DigitalSourceType", code) for code in WORDS]
    assert len(source_claims(many)) == 5
    assert source_claims([]) == ()
