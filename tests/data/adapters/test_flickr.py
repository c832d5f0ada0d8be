"""EXIF of Flickr photographs: YFCC100M's table and a file each, as the papers have them."""

import bz2
import gzip
import json

import pytest

from cameraborn.data.adapters import LeftOut
from cameraborn.data.adapters.flickr import ExifFolder, ExifTable
from tests.data.adapters.helpers import entries, picture, refusal, rows

LINE = (
    "10000004756\tExif+IFD0.Make:NIKON+CORPORATION,Exif+IFD0.Model:NIKON+D60,"
    "Exif+SubIFD.Exposure+Time:1%2F60+sec,Exif+SubIFD.F-Number:F2.8,Exif+SubIFD.ISO+Speed+Ratings:400,"
    "Exif+SubIFD.Focal+Length:50.0+mm,Exif+SubIFD.Metering+Mode:Multi-segment,"
    "Exif+SubIFD.White+Balance+Mode:Auto+white+balance,Exif+SubIFD.Flash:Flash+did+not+fire%252C+auto,"
    "Exif+SubIFD.Exposure+Program:Program+normal,Exif+Thumbnail.Make:none,Nikon+Makernote.ISO+Speed+Ratings:7\n"
)
TAGS = {
    "iso": 400.0,
    "fnumber": 2.8,
    "exposure_time_s": 1 / 60,
    "focal_length_mm": 50.0,
    "make": "NIKON CORPORATION",
    "model": "NIKON D60",
    "metering": 5,
    "white_balance": 0,
    "exposure_program": 2,
}


def test_a_table(tmp_path):
    other = LINE.replace("10000004756", "5").replace("1%2F60+sec", "1%252F30+sec")  # encoded twice
    (tmp_path / "exif.tsv").write_text(LINE + "7\n\n8\tnonsense,::,a:b:c,%zz:%\n" + other, encoding="utf-8")
    table = ExifTable(tmp_path / "exif.tsv", {"10000004756", "5", "7", "8", "9"})
    assert table.get("10000004756") == TAGS
    assert table.get("5") == TAGS | {"exposure_time_s": 1 / 30}
    assert (table.get("7"), table.get("8"), table.get("9")) == ({}, {}, None)
    assert ExifTable(tmp_path / "exif.tsv", set()).get("5") is None  # what nobody asks for is not kept


@pytest.mark.parametrize(("ending", "opener"), [("bz2", bz2), ("gz", gzip)])
def test_a_compressed_table(tmp_path, ending, opener):
    file = tmp_path / f"yfcc100m_exif.{ending}"
    file.write_bytes(opener.compress(LINE.encode()))
    assert ExifTable(file, {"10000004756"}).get("10000004756") == TAGS
    file.write_bytes(file.read_bytes()[:-20])
    picture(tmp_path / "photos" / "1.jpg")
    assert "copy or download it again" in refusal("flickr", tmp_path / "photos", exif=file)


def test_a_file_each(tmp_path):
    # as EXIF-as-Language writes them: spaces are gone but for two tags
    texts = {"Make": "Canon", "Exposure Time": "1/60sec", "Aperture Value": "F5.6", "Focal Length": "50.0 mm"}
    (tmp_path / "1.json").write_text(json.dumps({"EXIF": texts, "photo_id": 1, "num_exif_tags": 4}))
    found = ExifFolder(tmp_path).get("1")
    assert found == {"make": "Canon", "exposure_time_s": 1 / 60, "fnumber": 5.6, "focal_length_mm": 50.0}
    assert ExifFolder(tmp_path).get("2") is None
    (tmp_path / "inside").mkdir()
    assert ExifFolder(tmp_path / "inside").get("../1") is None


def test_photographs_with_a_table(tmp_path):
    one = picture(tmp_path / "photos" / "10000004756_abc_z.jpg", iso=100)
    picture(tmp_path / "photos" / "5.jpg", iso=100)
    (tmp_path / "exif.tsv").write_text(LINE, encoding="utf-8")
    listed, unlisted = entries("flickr", tmp_path / "photos", exif=tmp_path / "exif.tsv")
    assert (listed.row.path, listed.row.group, listed.row.exif, listed.read) == (
        str(one),
        "10000004756",
        TAGS,
        False,
    )
    assert (unlisted.row.group, unlisted.read) == ("5", True)  # what its file says
    assert [row.exif for row in rows("flickr", tmp_path / "photos")] == [{}, {}]


@pytest.mark.parametrize("broken", [b"{", b"[1]", b'{"EXIF": 3}', b"\xff\xfe\x00", b"[" * 100_000])
def test_a_broken_file_costs_its_photograph_alone(tmp_path, broken):
    for name in ("1", "2"):
        picture(tmp_path / "photos" / f"{name}.jpg")
    (tmp_path / "exif").mkdir()
    (tmp_path / "exif" / "1.json").write_bytes(broken)
    one, two = entries("flickr", tmp_path / "photos", exif=tmp_path / "exif")
    assert isinstance(one, LeftOut)
    assert "1.json: not a JSON object" in one.why
    assert two.row.path.endswith("2.jpg")


def test_files_that_are_no_tables(tmp_path):
    picture(tmp_path / "photos" / "1.jpg")
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    assert "not a table of EXIF" in refusal("flickr", tmp_path / "photos", exif=tmp_path / "notes.txt")
    assert "no such file or folder" in refusal("flickr", tmp_path / "photos", exif=tmp_path / "none")
