"""SDAIE's training data as published: `exif_tags.json` beside pictures."""

import json
import math

import pytest

from cameraborn.data.adapters import LeftOut
from cameraborn.data.adapters.sdaie import CLASSES
from tests.data.adapters.helpers import entries, picture, refusal, rows

RANKED = {0: "ISO Speed Ratings", 2: "Exposure Time", 3: "Aperture Value", 4: "Focal Length"}


def tags(**changes):
    """Seventeen values in order: three that are not learnt, and the fourteen."""
    values = {"Id": 5, "Width": 256, "Height": 256}
    for place in range(14):
        name, count = CLASSES.get(place, (RANKED.get(place, f"Tag {place}"), 0))
        values[name] = count - 1 if count else 10.5 * place
    return values | changes


def published(folder, listed, pictures=("pictures/1.jpg",)):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exif_tags.json").write_text(json.dumps(listed))
    for name in pictures:
        picture(folder / name)
    return folder


@pytest.mark.parametrize("given", [".", "exif_tags.json"])
def test_the_fourteen_become_labels_of_the_authors_heads(tmp_path, given):
    source = published(tmp_path, {"1.jpg": tags(**{"ISO Speed Ratings": 200, "Exposure Time": "1/60sec"})})
    (row,) = rows("sdaie", source / given)
    assert row.path == str(tmp_path / "pictures" / "1.jpg")
    assert (row.label, row.source, row.group) == ("photo", "SDAIE", "1")
    classes = {"fc2": 6, "fc6": 5, "fc7": 3, "fc10": 5, "fc11": 3, "fc12": 1, "fc14": 4}
    ranked = {"fc1": 200, "fc3": 1 / 60, "fc4": 31.5, "fc5": 42.0, "fc8": 73.5, "fc9": 84.0, "fc13": 126.0}
    assert row.labels == classes | ranked
    # The classes' numbers are no codes of EXIF.
    assert row.exif == {"iso": 200.0, "exposure_time_s": 1 / 60, "focal_length_mm": 42.0}


def test_words_are_tags_and_no_classes(tmp_path):
    (row,) = rows("sdaie", published(tmp_path, {"1.jpg": tags(Make="Canon", **{"Metering Mode": "Spot"})}))
    assert (row.exif["make"], row.exif["metering"]) == ("Canon", 3)
    assert not {"fc2", "fc10"} & set(row.labels)


@pytest.mark.parametrize(
    ("value", "expected"), [("2/3", 2 / 3), ("F2.8", 2.8), ("a lot", None), (None, None), (True, None)]
)
def test_what_is_ranked_is_a_number_or_missing(tmp_path, value, expected):
    (row,) = rows("sdaie", published(tmp_path, {"1.jpg": tags(**{"Aperture Value": value})}))
    assert row.labels.get("fc4") == expected


def test_pictures_are_found_beside_the_list_and_converted_ones_too(tmp_path):
    listed = {
        name: tags()
        for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "../5.jpg", "/6.jpg", "", ".", "\0", "7" * 300)
    }
    source = published(tmp_path / "set", listed, ("1.jpg", "png_256/2.png", "pkl_256/3.jpg"))
    picture(tmp_path / "5.jpg")
    (source / "pkl_256" / "4.pkl").write_bytes(b"never opened")
    *found, pickled = entries("sdaie", source)
    assert [item.row.path for item in found] == [
        str(source / name) for name in ("1.jpg", "png_256/2.png", "pkl_256/3.jpg")
    ]
    assert isinstance(pickled, LeftOut)
    assert "4.pkl: a pickle of pixels, which is not opened: save it as PNG" in pickled.why


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"Id": 1}, "1 values, 17 are needed"),
        ([1, 2], "makes no sense"),
        (tags(Make=7), "Make is 7, and its classes are 0 to 6"),
        (tags(Flash=-1), "Flash is -1"),
        (tags(Flash=True), "Flash is True"),
        (tags(**{"Tag 7": 10**400}), "too large"),
        (tags(**{"Tag 7": math.nan}), "labels.fc8"),
    ],
    ids=["few", "list", "large class", "negative", "boolean", "overflow", "nan"],
)
def test_an_entry_that_makes_no_sense_costs_that_picture_alone(tmp_path, values, named):
    listed = {"1.jpg": values, "2.jpg": tags()}
    bad, good = entries("sdaie", published(tmp_path, listed, ("1.jpg", "2.jpg")))
    assert isinstance(bad, LeftOut)
    assert named in bad.why
    assert good.row.path.endswith("2.jpg")


def test_what_is_not_sdaies(tmp_path):
    assert "no exif_tags.json" in refusal("sdaie", tmp_path)
    (tmp_path / "exif_tags.json").write_text("[]")
    assert "not a JSON object" in refusal("sdaie", tmp_path)
