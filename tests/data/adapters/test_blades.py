"""BLADES' labels of FDF's faces: `fdf_ccby2_exif_ordinal_categorical.json`."""

import json

import pytest

from cameraborn.data.adapters.blades import CLASSES, NAME
from tests.data.adapters.helpers import refusal, rows
from tests.data.adapters.test_fdf import papers  # noqa: F401 (a fixture)

ORDINAL = {"ISO": 400, "Aperture": 2.8, "Focal Length": 35.0, "Exposure Time": 60}


def labels(face, ordinal=ORDINAL, **classes):
    every = {tag: {"cls_label": count - 1, "value": "text"} for tag, (_, count) in CLASSES.items()}
    return {
        "path": f"/home/authors/FDF/data/fdf/images/128/{face}.png",
        "EXIF_ordinal": ordinal,
        "EXIF_categorical": every | {tag: {"cls_label": label} for tag, label in classes.items()},
    }


def written(root, listed):
    (root / NAME).write_text(json.dumps(listed))
    return root


def by_face(root):
    return {row.path.rpartition("/")[2].partition(".")[0]: row for row in rows("fdf", root)}


def test_labels_are_read(papers):  # noqa: F811
    found = by_face(written(papers, {"0": labels("12", Make=0), "1": labels("99")}))
    row = found["12"]  # its photograph has no file of EXIF
    assert row.labels == {
        "blades_exposure": 60.0,  # as given: its unit is not published
        "blades_make": 0.0,
        "blades_metering": 7.0,
        "blades_exposure_mode": 6.0,
        "blades_white_balance": 1.0,
        "blades_program": 5.0,
    }
    assert row.exif == {"iso": 400.0, "fnumber": 2.8, "focal_length_mm": 35.0}
    assert found["11"].labels == {}
    assert found["11"].exif["iso"] == 200.0


def test_a_photographs_own_file_is_exact_and_counts_first(papers):  # noqa: F811
    found = by_face(written(papers, {"10": labels("10")}))
    for name in ("10", "10_0", "10_3"):  # variants have the tags of their face
        assert found[name].exif == {
            "iso": 200.0,
            "fnumber": 4.0,
            "exposure_time_s": 30.0,
            "focal_length_mm": 50.0,
        }
        assert found[name].labels["blades_make"] == 9.0


def test_texts_are_tags(papers):  # noqa: F811
    texts = {"ISO": "100", "Aperture": "F4.0", "Focal Length": "50.0 mm", "Exposure Time": "10/600sec"}
    row = by_face(written(papers, {"12": labels("12", texts)}))["12"]
    assert row.exif == {"iso": 100.0, "fnumber": 4.0, "focal_length_mm": 50.0, "exposure_time_s": 1 / 60}
    assert "blades_exposure" not in row.labels


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        (labels("12", Make=10), "Make is 10, and its classes are 0 to 9"),
        (labels("12", Make="Nikon"), "Make is 'Nikon'"),
        ({"path": "12.png"}, "EXIF_ordinal"),
        (labels("12", {"Exposure Time": [1]}), "float"),
        (labels("12", {"Exposure Time": 10**400}), "too large"),
    ],
    ids=["class", "text", "incomplete", "exposure", "overflow"],
)
def test_labels_that_make_no_sense_are_named(papers, facts, named):  # noqa: F811
    message = refusal("fdf", written(papers, {"7": facts}))
    assert f"{NAME}: entry 7 makes no sense" in message
    assert named in message
