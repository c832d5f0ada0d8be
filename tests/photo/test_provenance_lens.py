"""A lens's name: what is read in it, what is not, and what it cannot have taken."""

import pytest

from cameraborn.photo.exif import Exif
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_lens import Lens, lens_doubts, lens_of_name
from tests.photo.provenance_files import ascii_tag, chunk, jpeg, png, saved
from tests.photo.test_exif import FNUMBER, FOCAL, RATIONAL, block

LENS, MODEL = 0xA432, 0xA434
ZOOM = "EF70-200mm f/2.8L IS II USM"
CANON = [ascii_tag(0x10F, "Canon"), ascii_tag(0x110, "Canon EOS 5D Mark III")]


@pytest.mark.parametrize(
    ("name", "lens"),
    [
        (ZOOM, (70, 200, 2.8)),
        ("FE 24-70mm F2.8 GM", (24, 70, 2.8)),
        ("EF-S18-55mm f/3.5-5.6 IS", (18, 55, 3.5)),
        ("18.0-55.0 mm f/3.5-5.6", (18, 55, 3.5)),
        ("iPhone 12 back camera 4.2mm f/1.6", (4.2, 4.2, 1.6)),
        ("iPhone 15 Pro back triple camera 6.765mm f/1.78", (6.765, 6.765, 1.78)),
        ("XF35mmF1.4 R", (35, 35, 1.4)),
        ("OLYMPUS M.14-42mm F3.5-5.6 II R", (14, 42, 3.5)),
        ("smc PENTAX-F 35-105mm F4-5.6", (35, 105, 4)),
        ("MP-E65mm f/2.8 1-5x Macro Photo", (65, 65, 2.8)),
        ("TAMRON SP 24-70mm F/2.8 Di VC USD", (24, 70, 2.8)),
        ("24\u201370 mm f/4", (24, 70, 4)),
        ("NIKKOR Z 800mm f/6.3 VR S", (800, 800, 6.3)),
        ("10-22mm", (10, 22, None)),
        ("AF 105mm Macro 1:2", (105, 105, None)),
        ("AF 50mm F14", (50, 50, None)),  # f/1.4
        ("EF 50mm f/1,8", (50, 50, 1)),  # less than it says, so that nothing is doubted
        ("AF 50mm Sharp f/8 Look", (50, 50, None)),
    ],
)
def test_names_as_makers_write_them(name, lens):
    assert lens_of_name(name) == Lens(*lens)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "----",
        "0.0 mm f/0.0",
        "SUMMILUX 1:1.7/28 ASPH.",
        "LUMIX G VARIO 14-42/F3.5-5.6",
        "iPhone 12 back camera 4,2mm f/1.6",
        "Canon EF 28-80mm f/3.5 or Sigma 28-70mm f/2.8",
        "28mm-300mm",
        "200-70mm f/2.8",
        "FE 28mm F2 + UWC",
        "EF70-200mm f/2.8L USM +1.4x",
        "99999mm",
        "mm f/2",
    ],
)
def test_names_of_which_nothing_is_said(name):
    assert lens_of_name(name) == Lens()


@pytest.mark.parametrize(
    ("f", "n", "name", "doubts"),
    [
        (50, 2.8, ZOOM, ["focal length 50 mm is none of a lens of 70 to 200 mm"]),
        (85, 2.0, ZOOM, ["f-number 2 is none of a lens that opens to f/2.8"]),
        (500, 8, ZOOM, ["focal length 500 mm is none of a lens of 70 to 200 mm"]),
        (
            20,
            2.8,
            "XF35mmF1.4 R",
            ["focal length 20 mm is none of a lens of 35 mm"],
        ),
        (70, 2.8, ZOOM, []),
        (200, 22, ZOOM, []),
        (280, 4, ZOOM, []),  # with a converter of 1.4
        (400, 5.6, ZOOM, []),  # with one of 2
        (66, 2.5, ZOOM, []),  # rounded
        (4.0, 1.8, "iPhone 7 Plus back dual camera 3.99mm f/1.8", []),
        (50, 1.4, "EF 24-105mm L", []),
        (3, 0.5, "some lens", []),
    ],
)
def test_what_the_lens_cannot_have_taken(f, n, name, doubts):
    assert list(lens_doubts(Exif(focal_length_mm=f, fnumber=n), {MODEL: name})) == doubts


def test_the_specification_comes_before_the_name():
    exif = Exif(focal_length_mm=50.0, fnumber=2.8)
    assert list(lens_doubts(exif, {MODEL: ZOOM, LENS: (24, 70, 2.8, 2.8)})) == []
    assert list(lens_doubts(exif, {MODEL: "50mm f/1.4", LENS: (50, 50, 0, 0)})) == []
    (doubt,) = lens_doubts(exif, {MODEL: "50mm f/4", LENS: (50, 50, 0, 0)})
    assert doubt == "f-number 2.8 is none of a lens that opens to f/4"


def test_small_cameras_may_name_their_lens_as_on_film():
    name = {MODEL: "28-100mm F1.8-4.9"}
    assert list(lens_doubts(Exif(focal_length_mm=10.4, focal_35mm=28.0), name)) == []
    assert (
        list(lens_doubts(Exif(focal_length_mm=10.4, focal_35mm=200.0), name)) == []
    )  # a converter, or zoomed
    assert len([*lens_doubts(Exif(focal_length_mm=10.4, focal_35mm=300.0), name)]) == 1
    # Half the film's size has no such names.
    assert len([*lens_doubts(Exif(focal_length_mm=50.0, focal_35mm=75.0), {MODEL: ZOOM})]) == 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format(format):
    exif = block(
        [(FOCAL, RATIONAL, ((50, 1),)), (FNUMBER, RATIONAL, ((28, 10),)), ascii_tag(MODEL, ZOOM)], CANON
    )
    if format == "PNG":
        data = png(chunk(b"eXIf", exif[6:]))
    else:
        data = jpeg(exif=exif) if format == "JPEG" else saved(format, exif=exif)
    found = read_provenance(data)
    assert found.says == "contradictory"
    assert found.doubts == ("focal length 50 mm is none of a lens of 70 to 200 mm",)
