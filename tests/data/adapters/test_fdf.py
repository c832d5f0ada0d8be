"""FDF as it is downloaded, and as the papers' SSL_training_data arrange it."""

import json
import pickle

import pytest

from cameraborn.data.adapters import LeftOut
from tests.data.adapters.helpers import entries, picture, refusal, rows

LANDMARK = [[0.5, 0.5], [0.4, 0.4], [0.6, 0.4], [0.25, 0.5], [0.75, 0.5], [0.1, 0.9], [0.9, 0.9]]


def facts(photo, author="ann", licence="Attribution License", **changes):
    return {
        "author": author,
        "bounding_box": [0.25, 0.125, 0.75, 0.875],
        "category": "training",
        "landmark": LANDMARK,
        "license": licence,
        "license_url": "http://creativecommons.org/licenses/by/2.0/",
        "photo_url": f"http://www.flickr.com/photos/{author}/{photo}/",
    } | changes


def fdf(folder, metadata, faces=None):
    """A download of FDF with pictures of some faces."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fdf_metainfo.json").write_text(json.dumps(metadata, indent=1))
    for face in metadata if faces is None else faces:
        picture(folder / "images" / "128" / f"{face}.png", size=(128, 128))
    return folder


@pytest.fixture
def papers(tmp_path):
    """SSL_training_data: two faces of one photograph, one of another without EXIF; variants of the first."""
    root = tmp_path / "SSL_training_data"
    metadata = {"10": facts("0"), "11": facts("0"), "12": facts("0", "bob"), "13": facts("0")}
    fdf(root / "FDF" / "data" / "fdf", metadata, faces=("10", "11", "12"))
    for number in range(4):
        picture(root / "FDF" / "data" / "face_dataaug_neg" / f"10_{number}.png", size=(128, 128))
    (root / "FDF" / "data" / "id_vs_fdfName.pkl").write_bytes(
        pickle.dumps({"10": "777", "11": "777", "12": "778"})
    )
    exif = root / "fdf_ccby2_exif_update_filtered_v2"
    exif.mkdir()
    texts = {
        "ISO Speed Ratings": "200",
        "Aperture Value": "F4.0",
        "Exposure Time": "30sec",
        "Focal Length": "50.0 mm",
    }
    (exif / "777.json").write_text(json.dumps({"EXIF": texts}))
    return root


def test_the_papers_arrangement(papers):
    found = rows("fdf", papers)
    names = [type(papers)(row.path).name for row in found]
    assert names == ["10.png", "10_0.png", "10_1.png", "10_2.png", "10_3.png", "11.png", "12.png"]
    # AIGFD-EXIF's generator scripts: _0 mouth by 180 degrees, _1 mouth, _2 eye, _3 all of it
    assert [row.manipulation for row in found] == ["", "mouth-vertical", "mouth", "eye", "affine", "", ""]
    first = found[0]
    assert first.box == (32, 16, 96, 112)
    assert first.points["nose"] == (64, 64)
    assert first.points["right_eye"] == (0.4 * 128, 0.4 * 128)
    assert len(first.points) == 7
    assert first.landmarks is None
    assert first.exif == {"iso": 200.0, "fnumber": 4.0, "exposure_time_s": 30.0, "focal_length_mm": 50.0}
    assert all(row.exif == first.exif and row.group == first.group for row in found[:6])
    assert found[6].exif == {}
    assert found[6].group != first.group


@pytest.mark.parametrize("below", ["", "FDF", "FDF/data", "FDF/data/fdf"])
def test_any_folder_around_it_may_be_given(papers, below):
    found = rows("fdf", papers / below)
    assert len(found) == 7
    assert found[0].exif["iso"] == 200.0


def test_a_download_alone(tmp_path):
    metadata = {
        "0": facts("55", licence="Attribution-NonCommercial License"),
        "1": facts("56", author=""),
        "2": {**facts("", author=""), "photo_url": ""},
    }
    found = rows("fdf", fdf(tmp_path / "fdf", metadata))
    assert [row.group for row in found] == ["author ann", "photo 56", "face 2"]
    assert [row.research_only for row in found] == [True, False, False]
    assert "creativecommons.org" in found[0].licence


def test_a_table_of_exif_for_a_download(tmp_path):
    source = fdf(tmp_path / "fdf", {"0": facts("55"), "1": facts("56")}, faces=["0"])
    (tmp_path / "yfcc.tsv").write_text(
        "56\tExif+SubIFD.ISO+Speed+Ratings:1\n55\tExif+SubIFD.ISO+Speed+Ratings:800\n"
    )
    (row,) = rows("fdf", source, exif=tmp_path / "yfcc.tsv")
    assert row.exif == {"iso": 800.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"bounding_box": [0.1, 0.2]},
        {"bounding_box": None},
        {"bounding_box": [0.5, 0.5, 0.5, 0.5]},
        {"landmark": LANDMARK[:3]},
        {"landmark": [["a", "b"]] * 7},
    ],
)
def test_metadata_that_make_no_sense_cost_that_face_alone(tmp_path, changes):
    bad, good = entries("fdf", fdf(tmp_path, {"0": facts("1", **changes), "1": facts("1")}))
    assert isinstance(bad, LeftOut)
    assert "0.png" in bad.why
    assert good.row.path.endswith("1.png")


def test_what_is_not_fdf(tmp_path):
    assert "no fdf_metainfo.json" in refusal("fdf", tmp_path)
    (tmp_path / "fdf_metainfo.json").write_text("[1, 2]")
    assert "not a JSON object" in refusal("fdf", tmp_path)


def test_faces_whose_names_lead_elsewhere_are_not_opened(tmp_path):
    picture(tmp_path / "secret.png", size=(128, 128))
    assert rows("fdf", fdf(tmp_path / "fdf", {"../../../secret": facts("1"), "0": facts("1")}, faces=["0"]))[
        0
    ].path.endswith("0.png")
